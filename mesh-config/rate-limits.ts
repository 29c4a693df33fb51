import * as z from 'zod'
import { match } from './match.ts'
import { checked, exactlyOne, headerName, setting, text } from './values.ts'

/** `rateLimits` of a listener, a service or a route. */

const RATE = '^[1-9]\\d{0,5}/[smhd]$'

const rate = checked(
  input =>
    typeof input === 'string' && new RegExp(RATE).test(input)
      ? null
      : {
          what: '{value} is not a rate',
          fix: 'write a number of requests and a time: 1000/s, 100/m, 10/h or 5/d',
          otherForm: typeof input === 'object',
        },
  { kind: 'rate', pattern: RATE },
)

const address = z.strictObject({
  ipv4: setting(
    z.int().min(0).max(32).default(32),
    'So many leading bits of an IPv4 address count: 24 puts a /24 network into one bucket.',
    'each address by itself',
  ),
  ipv6: setting(
    z.int().min(0).max(128).default(64),
    'The same of an IPv6 address.',
    'a machine has a /64 of its own, and could use another address of it for each request',
  ),
})

const key = z
  .strictObject({
    header: setting(headerName.optional(), 'The value of this header; only its first 256 bytes count.'),
    identity: setting(
      z.literal(true).optional(),
      'The calling service, as its sidecar says; callers without a sidecar are one.',
    ),
    address: setting(
      z.union([z.literal(true).transform(() => address.parse({})), address]).optional(),
      'The address of the caller, or its network.',
    ),
  })
  .superRefine((forms, context) => exactlyOne(forms, context, '{ header: x-api-key } or { address: true }'))

export const rateLimit = z.strictObject({
  name: setting(
    text(
      /^[A-Za-z0-9][A-Za-z0-9_./-]{0,62}$/,
      'a name',
      'up to 63 letters, digits, - _ . or /, such as by-key',
    ).optional(),
    'Its name in metrics, answers and explanations. Without it: its `rate`.',
  ),
  rate: setting(
    rate,
    'So many requests for each second (s), minute (m), hour (h) or day (d), spread evenly: `1000/s` is one each millisecond.',
  ),
  burst: setting(
    z.int().min(1).max(1_000_000).optional(),
    'So many requests at once, after a pause. Without it: as many as come in one second, and 1 at least.',
  ),
  by: setting(
    z.array(key).max(4).default([]),
    'What has a bucket of its own: each value of a header, each calling service, each address; several are combined. Requests without the value share one. Without it: all requests have one bucket.',
    'a limit of what the application can do is for all callers together',
  ),
  match: setting(match.optional(), 'Which requests it applies to, as the `match` of a route. Without it: all.'),
  mode: setting(
    z.enum(['enforce', 'shadow']).default('enforce'),
    '`shadow`: nothing is refused; metrics and /flights say what would have been.',
    'a limit that is written is meant',
  ),
  keys: setting(
    z.int().min(1).max(1_000_000).default(100_000),
    'With `by`: so many buckets are kept. Beyond that, those that are full make room, then those that lack the least.',
    'more callers than most services have while a bucket fills; 1.5 MiB where all are used',
  ),
  tell: setting(
    z.enum(['refused', 'always', 'never']).default('refused'),
    'Which answers have the fields `RateLimit` and `RateLimit-Policy`: those of refused requests, all, or none. With `refused` and `always`, refusals also say when to come again (`Retry-After`, over gRPC `grpc-retry-pushback-ms`).',
    'a caller that is not limited has no use for them, and they cost time with each answer',
  ),
})

/** In addition to those of what it is in: a request needs a token of each that applies. */
export const rateLimits = setting(
  z.array(rateLimit).max(16).optional(),
  'Token buckets: a request that finds its bucket empty is answered with 429 RL (gRPC: RESOURCE_EXHAUSTED). One for all data threads. A request needs a token of each rule that applies to it: of the listener, of the service, of the route. See docs/rate-limits.md.',
)

export type RateLimitPolicy = z.output<typeof rateLimit>
