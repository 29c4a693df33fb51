import * as z from 'zod'
import { FIELD_VALUE } from './edited-heads.ts'
import { anyText, exactlyOne, headerName, label, serviceName, setting, text } from './values.ts'

/** What a caller gets in the place of a refusal by its own sidecar. */

const reply = z.strictObject({
  status: setting(z.int().min(200).max(599).default(200), 'Its status.', 'a fallback is what the caller can use'),
  headers: setting(
    z.record(headerName, text(FIELD_VALUE, 'a header value', 'visible characters')).default({}),
    'Its headers, such as Content-Type. The length is added.',
  ),
  body: setting(
    anyText('a body')
      .refine(body => typeof body !== 'string' || Buffer.byteLength(body) <= 64 * 1024, {
        params: { wrong: { what: 'the body has more than 64KiB', fix: 'serve it from a service (to)' } },
      })
      .default(''),
    'Its body, up to 64KiB.',
  ),
})

const to = z.strictObject({
  service: setting(serviceName().optional(), 'Another service. Without it: this one.'),
  subset: setting(label('a subset name').optional(), 'Only the endpoints of this subset.'),
})

export const fallback = z
  .strictObject({
    on: setting(
      z
        .array(z.enum(['breaker', 'overflow', 'no-healthy-upstream']))
        .min(1)
        .default(['breaker']),
      'When: the breaker is open; a limit is reached, or the queue or the adaptive concurrency refuses (`overflow`); no endpoint may be used (`no-healthy-upstream`).',
      'what else fails may be over at the next request',
    ),
    reply: setting(reply.optional(), 'An answer of the sidecar. Not for gRPC calls: those are refused.'),
    to: setting(to.optional(), 'Another destination. The limits, the breaker and the retries there are its own.'),
  })
  .superRefine(({ on: _on, ...forms }, context) =>
    exactlyOne(forms, context, '{ reply: { body: "[]" } } or { to: { service: other } }'),
  )
