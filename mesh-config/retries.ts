import * as z from 'zod'
import { durationMs, parseDuration } from './duration.ts'
import { valueMatches } from './route-values.ts'
import { checked, duration, headerName, overrides, setting, size, text } from './values.ts'

/** Which failures of a service are tried again, and how: of a service policy (service.ts) and of its routes (route.ts). */

const budget = {
  percent: setting(
    z.number().min(0).max(100).default(20),
    'Retries may be up to this share of the requests of the last ten seconds.',
    'as in Finagle and Linkerd: enough for one lost endpoint in five, too little to double the load of a service in trouble',
  ),
  minPerSecond: setting(
    z.number().min(0).max(1_000_000).default(10),
    'Retries always allowed, however few the requests.',
    'as in Finagle and Linkerd: without it a quiet service would never be retried',
  ),
}

/** Statuses of gRPC, under Envoy's names. */
export const grpcRetryConditions = [
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
] as const

export const retryConditions = [
  'connect-failure',
  'refused-stream',
  'reset-before-response',
  'per-try-timeout',
  'gateway-error',
  '5xx',
  'retriable-4xx',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'reset',
  'reset-before-request',
  ...grpcRetryConditions,
] as const

const backoff = {
  base: setting(
    duration('refused').default('25ms'),
    'The wait before the second try is up to this, before the third up to twice as long, and so on.',
    'as in Envoy; where another endpoint is there the next try goes to that one, at once',
  ),
  max: setting(
    duration('refused').default('250ms'),
    'No wait is longer.',
    'as in Envoy: ten times the first, so that a short outage does not become a long one',
  ),
}

const PERCENTILE = /^p([5-9]\d)$/

/** `p95` -> 95; null: it is no percentile. */
export function percentileOf(after: string | 0): number | null {
  const [, digits] = PERCENTILE.exec(String(after)) ?? []
  return digits === undefined ? null : Number(digits)
}

const hedge = z.strictObject({
  after: setting(
    checked<string>(
      input => {
        const isLength = typeof input === 'string' && input !== 'off' && parseDuration(input) !== null
        return (isLength && durationMs(input as string) > 0) || (typeof input === 'string' && PERCENTILE.test(input))
          ? null
          : {
              what: '{value} is neither a duration nor a percentile',
              fix: 'write p95 (from p50 to p99), or a duration such as 50ms',
            }
      },
      { kind: 'duration or percentile', examples: ['p95', '50ms'] },
    ).default('p95'),
    'How long the first try is waited for before a second one begins at another endpoint: a percentile of the answers of the service in the last minute, or a duration.',
    'one request in twenty is sent twice, which cuts off the slowest ones and adds 5 % load',
  ),
  minSamples: setting(
    z.int().min(10).max(100_000).default(100),
    'With a percentile: so many answers must have come in the last minute, else there is no second try.',
    'of fewer answers the slowest one in twenty is chance',
  ),
})

export const retries = {
  on: setting(
    z.array(z.enum(retryConditions)).default(['connect-failure', 'refused-stream', 'reset-before-response']),
    'Which failures are tried again. With `connect-failure` and `refused-stream` the request did not reach the application; the others are retried only for idempotent methods. `gateway-error` is 502, 503 and 504, `retriable-4xx` is 409, `envoy-ratelimited` any answer with `x-envoy-ratelimited`. `cancelled`, `deadline-exceeded`, `internal`, `resource-exhausted` and `unavailable` are gRPC statuses of answers without a message: such calls are tried again whatever the method does, so name them only where all your methods may run twice. Words of Envoy: `reset` is `reset-before-response`, `connect-failure`, `refused-stream` and `per-try-timeout`; `reset-before-request` is `connect-failure`; `retriable-status-codes` and `retriable-headers` say what `statuses` and `headers` do without them.',
    'failures on the way to the application, not its answers',
  ),
  statuses: setting(
    z.array(z.int().min(400).max(599)).max(64).default([]),
    'Further statuses of answers that are tried again, such as 409 or 503: of idempotent methods only.',
    'only the operator knows which answers of the application are worth another try',
  ),
  headers: setting(
    z.record(headerName, valueMatches).default({}),
    'Answers with one of these headers are tried again, whatever their status: of idempotent methods only. Forms as in `routes[].match.headers`.',
    'only the operator knows which answers of the application are worth another try',
  ),
  methods: setting(
    z
      .array(text(/^[A-Z][A-Z0-9_-]*$/, 'a method', 'it in capitals, such as POST', input => input.toUpperCase()))
      .max(16)
      .default([]),
    'Further methods that may run twice, such as POST where the application sees to that. GET, HEAD, OPTIONS, TRACE, PUT and DELETE always may.',
    'a POST that is sent twice may order twice',
  ),
  idempotencyKey: setting(
    z.boolean().default(false),
    'A request with the header `Idempotency-Key` may run twice, whatever its method.',
    'only the operator knows whether the application heeds that header',
  ),
  attempts: setting(
    z.int().min(1).max(10).default(2),
    'Tries in all, the first included; each goes to another endpoint where there is one. 1: no retries.',
    'one more try hides a lost endpoint; further ones multiply the load of a service in trouble',
  ),
  replayBytes: setting(
    size(0, 64 * 1024 ** 2, 'from 0 to 64MiB').default('64KiB'),
    'The longest request body kept for another try; a request with a longer one is sent once.',
    'as in Linkerd: holds almost every API call, and bounds the memory of a request',
  ),
  backoff: setting(
    z.strictObject(backoff).prefault({}),
    'How long the next try waits where it goes to an endpoint that failed this request before: a random time, so that callers do not come back all at once.',
  ),
  hedge: setting(
    z.union([z.literal('off'), hedge]).default('off'),
    'A second try while the first still runs, where that one is slow: the answer that comes first counts, the other try is cancelled. Of idempotent methods only, within `attempts` and `budget`.',
    'it sends some requests twice, which only the operator can say is worth it',
  ),
  budget: setting(
    z.strictObject(budget).prefault({}),
    'How many retries there may be in proportion to the requests, so that retries cannot bring a service down. One for all data threads of a sidecar.',
  ),
}

const { budget: _ofTheService, backoff: _merged, ...simple } = retries

/** What may differ from the service: in a route, or for the calls of one service. */
export const retryOverrides = {
  ...overrides(simple),
  backoff: setting(z.strictObject(overrides(backoff)).optional(), 'As `retries.backoff` of the service.'),
}

const policy = z.strictObject(retries)
const policyOverrides = z.strictObject(retryOverrides)
export type RetriesPolicy = z.output<typeof policy>
export type RetriesOverrides = z.output<typeof policyOverrides>
