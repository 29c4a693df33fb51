import * as z from 'zod'
import { timeouts } from './call.ts'
import { REWRITE } from './edited-heads.ts'
import { fallback } from './fallback.ts'
import { headerEdits } from './header-edits.ts'
import { routePriority } from './queue.ts'
import { retryOverrides } from './retries.ts'
import { valueMatches } from './route-values.ts'
import { anyText, exactlyOne, headerName, label, overrides, serviceName, setting, text } from './values.ts'

/** One of the `routes` of a service policy (service.ts): which requests, where they go, and what differs for them. */

export const pathForms = {
  exact: setting(text(/^\/[^?#\s]*$/, 'a path', 'a path that begins with / and has no query'), 'The whole path.'),
  prefix: setting(
    text(/^\/[^?#\s]*$/, 'a path', 'a path that begins with / and has no query'),
    'The beginning of the path.',
  ),
  regex: setting(anyText('a regular expression'), 'An RE2 expression that the whole path must match.'),
}

const path = z.union([
  text(/^\/[^?#\s*]*(\*)?$/, 'a path', '/orders for one path, /orders/* for all below it, or { regex: ... }').transform(
    shorthand => (shorthand.endsWith('*') ? { prefix: shorthand.slice(0, -1) } : { exact: shorthand }),
  ),
  z
    .strictObject({
      exact: pathForms.exact.optional(),
      prefix: pathForms.prefix.optional(),
      regex: pathForms.regex.optional(),
      ignoreCase: setting(
        z.boolean().default(false),
        'Small and capital letters of the path are the same.',
        'paths are case-sensitive (RFC 9110 section 4.2.3)',
      ),
    })
    .superRefine(({ ignoreCase, ...forms }, context) => {
      exactlyOne(forms, context)
      if (ignoreCase && forms.regex !== undefined)
        context.addIssue({
          code: 'custom',
          path: ['ignoreCase'],
          params: { wrong: { what: 'an expression says itself which case counts', fix: 'write (?i) in front of it' } },
        })
    }),
])

const match = {
  path: setting(
    path.optional(),
    'Which paths, without the query: `/orders` for one, `/orders/*` for all below, or exact, prefix, regex. Without it: every path.',
  ),
  methods: setting(
    z
      .array(text(/^[A-Z][A-Z0-9_-]*$/, 'a method', 'it in capitals, such as GET', input => input.toUpperCase()))
      .optional(),
    'Which methods. Without it: every method.',
  ),
  headers: setting(
    z.record(headerName, valueMatches).optional(),
    'Headers that must match, all of them; a text means the exact value, a list that all of it match.',
  ),
  query: setting(
    z.record(z.string(), valueMatches).optional(),
    'Query parameters that must match, all of them; a text means the exact value, a list that all of it match.',
  ),
}

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
    match: setting(z.strictObject(match).prefault({}), 'Which requests. Without it: all.'),
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
