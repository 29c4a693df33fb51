import * as z from 'zod'
import { match } from './match.ts'
import { checked, duration, setting, size, text } from './values.ts'

/** `faults` of a service or a route: trouble made on purpose, to see what callers do about it. */

const percent = setting(
  z.number().min(0).max(100).default(100),
  'The share of the matching requests.',
  'a rule that is written is meant; `match` is the other way to choose',
)

const time = checked(
  input => {
    const isTime = typeof input === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/.test(input)
    return isTime && !Number.isNaN(Date.parse(input))
      ? null
      : {
          what: '{value} is not a time',
          fix: 'write it with its zone, such as 2026-12-01T09:30:00Z',
          otherForm: typeof input === 'object',
        }
  },
  { kind: 'time', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d(:\\d\\d)?(Z|[+-]\\d\\d:\\d\\d)$' },
)

const delay = z
  .strictObject({
    time: setting(duration('refused').optional(), 'How long each request waits before it is sent on.'),
    from: setting(duration('none').optional(), 'In place of `time`: the shortest wait of a range.'),
    to: setting(duration('refused').optional(), 'With `from`: the longest.'),
    percent,
  })
  .superRefine(({ time: fixed, from, to }, context) => {
    if ((fixed !== undefined) === (to !== undefined) || (from === undefined) !== (to === undefined))
      context.addIssue({
        code: 'custom',
        params: {
          wrong: { what: 'this is no length of a delay', fix: 'write { time: 2s } or { from: 100ms, to: 2s }' },
        },
      })
  })

const abort = z
  .strictObject({
    status: setting(
      z.int().min(400).max(599).optional(),
      'The HTTP status of the answer; gRPC callers get what gRPC makes of it.',
    ),
    grpcStatus: setting(z.int().min(1).max(16).optional(), 'The gRPC status; other callers get `status`, or 503.'),
    percent,
  })
  .superRefine(({ status, grpcStatus }, context) => {
    if (status === undefined && grpcStatus === undefined)
      context.addIssue({
        code: 'custom',
        params: { wrong: { what: 'an abort needs a status', fix: 'write status: 503 or grpcStatus: 14' } },
      })
  })

const throttle = z.strictObject({
  rate: setting(
    size(64, 1024 ** 3, 'from 64B to 1GiB'),
    'So many bytes of the body of an answer go to the caller in a second.',
  ),
  percent,
})

export const fault = z
  .strictObject({
    name: setting(
      text(
        /^[A-Za-z0-9][A-Za-z0-9_./-]{0,62}$/,
        'a name',
        'up to 63 letters, digits, - _ . or /, such as slow-search',
      ).optional(),
      'Its name in metrics and explanations. Without it: its number.',
    ),
    match: setting(match.optional(), 'Which requests, as the `match` of a route. Without it: all.'),
    delay: setting(delay.optional(), 'Requests wait before they are sent on.'),
    abort: setting(
      abort.optional(),
      'Requests are answered by the sidecar and not sent on; after the delay, where they have one.',
    ),
    throttle: setting(throttle.optional(), 'Answers come slowly.'),
    from: setting(time.optional(), 'Not before this time. Without it: from now on.'),
    until: setting(time.optional(), 'No longer than to this time. Without it: until the rule is removed.'),
    byHeaders: setting(
      z.boolean().default(false),
      "Callers may ask for faults of their own requests by Envoy's headers (`x-envoy-fault-delay-request`, `x-envoy-fault-abort-request`, `x-envoy-fault-abort-grpc-request`, `x-envoy-fault-throughput-response`, and their `-percentage`), which count over the rule; `percent` is the most they get.",
      'whoever can send a header could disturb the service',
    ),
    active: setting(
      z.int().min(1).max(1_000_000).default(1000),
      'Requests under this rule at a time, for each data thread; further ones go on without a fault.',
      'a delay holds requests and their connections',
    ),
  })
  .superRefine(({ delay: hasDelay, abort: hasAbort, throttle: hasThrottle, byHeaders, from, until }, context) => {
    if (hasDelay === undefined && hasAbort === undefined && hasThrottle === undefined && !byHeaders)
      context.addIssue({
        code: 'custom',
        params: { wrong: { what: 'this rule does nothing', fix: 'write delay, abort, throttle or byHeaders: true' } },
      })
    if (from !== undefined && until !== undefined && Date.parse(from) >= Date.parse(until))
      context.addIssue({
        code: 'custom',
        path: ['until'],
        params: { wrong: { what: '{value} is not after from', fix: 'write a later time' } },
      })
  })

export const faults = setting(
  z.array(fault).max(16).optional(),
  'Fault injection: delays, aborts and slow answers, made on purpose. The first rule that matches a request counts. Those of a route take the place of those of its service; `[]`: none. See docs/faults-and-mirroring.md.',
)

export type FaultPolicy = z.output<typeof fault>
