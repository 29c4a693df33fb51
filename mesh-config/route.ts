import * as z from 'zod'
import { timeouts } from './call.ts'
import { REWRITE } from './edited-heads.ts'
import { fallback } from './fallback.ts'
import { faults } from './faults.ts'
import { headerEdits } from './header-edits.ts'
import { match } from './match.ts'
import { mirror } from './mirror.ts'
import { routePriority } from './queue.ts'
import { rateLimits } from './rate-limits.ts'
import { retryOverrides } from './retries.ts'
import { label, overrides, serviceName, setting, text } from './values.ts'

/** One of the `routes` of a service policy (service.ts): which requests, where they go, and what differs for them. */

const { connect: _ofTheService, ...ofRoutes } = timeouts

const destination = {
  service: setting(serviceName().optional(), 'Another service. Without it: this one.'),
  subset: setting(label('a subset name').optional(), 'Only the endpoints of this subset. Without it: all.'),
  weight: setting(
    z
      .number()
      .min(0)
      .max(1_000_000)
      .refine(isHundredths, {
        params: {
          wrong: { what: '{value} has more than two digits behind the point', fix: 'write 0.01 or a multiple' },
        },
      })
      .default(1),
    'The share of the requests, relative to the other weights, in steps of 0.01. 0: none.',
    'equal shares',
  ),
  headers: setting(
    headerEdits.optional(),
    'Edits of the heads of requests that go to this destination, and of their responses: before those of the route.',
  ),
}

function isHundredths(weight: number): boolean {
  return Math.round(weight * 100) / 100 === weight
}

export const route = z
  .strictObject({
    name: setting(
      text(/^[^\s"\\]{1,100}$/, 'a route name', 'up to 100 characters without spaces').optional(),
      'Its name in metrics and logs. Without it: the path as written.',
    ),
    match: setting(match.prefault({}), 'Which requests. Without it: all.'),
    to: setting(
      z.array(z.strictObject(destination)).min(1).prefault([{}]),
      'Their destinations; several share the requests by weight. Without it: the service itself.',
    ),
    rewrite: setting(
      text(REWRITE, 'a path', 'a path that begins with / and has no query, other characters as %C3%A9').optional(),
      'What takes the place of the matched prefix, or of the exact path; the rest and the query stay. The endpoint also gets the path as it was in `x-envoy-original-path`. With `/` no second slash comes of it.',
    ),
    headers: setting(headerEdits.optional(), 'Edits of the heads of its requests and of their responses.'),
    priority: setting(routePriority.optional(), 'The priority of its requests, where no header says it.'),
    fallback: setting(fallback.optional(), 'In the place of the fallback of the service.'),
    timeouts: setting(
      z.strictObject(overrides(ofRoutes)).optional(),
      'Timeouts that differ from those of the service. `connect` is always that of the service.',
    ),
    retries: setting(
      z.strictObject(retryOverrides).optional(),
      'Retry settings that differ from those of the service. The budget is always that of the service.',
    ),
    rateLimits,
    faults,
    mirror,
  })
  .superRefine(({ match, rewrite }, context) => {
    if (rewrite === undefined || match.path === undefined || !('regex' in match.path)) return
    context.addIssue({
      code: 'custom',
      path: ['rewrite'],
      params: {
        wrong: {
          what: 'an expression has no beginning that could be replaced',
          fix: 'match the path by prefix or exact',
        },
      },
    })
  })
