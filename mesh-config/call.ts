import * as z from 'zod'
import { duration, setting, size, text } from './values.ts'

/**
 * How one service is called: what a service policy (service.ts), its routes (route.ts) and the application behind an
 * inbound listener (listeners.ts) have in common.
 */

export const timeouts = {
  connect: setting(
    duration('refused').default('1s'),
    'The time to get a connection to an endpoint: to open one, or to wait for one where `limits.connections` is reached.',
    'inside one network it takes milliseconds; a longer wait only delays the try on another endpoint',
  ),
  request: setting(
    duration().default('15s'),
    'From the last byte of the request to the head of its response, over all tries: 504 after that. A long upload or download is not cut: `timeouts.body` of the listener watches the sender, `idle` the rest. `off`: no limit.',
    'the route timeout of Envoy and Consul, so moving from there changes nothing',
  ),
  perTry: setting(
    duration().default('off'),
    'The same for one try: the wait for its answer. Must be shorter than `request` to have an effect. `off`: a try may use all of `request`.',
    'only the operator knows how slow is too slow for one try',
  ),
  idle: setting(
    duration().default('5m'),
    'A stream without bytes in either direction, and a pooled connection without a request. `off`: no limit.',
    'as in Envoy: long enough for long polling, short enough to close forgotten connections',
  ),
  grpcTimeout: setting(
    z.enum(['enforce', 'pass']).default('enforce'),
    "The use of a gRPC caller's deadline (`grpc-timeout`). `enforce`: the whole call ends at it, streams too, and endpoints get the time that is left. `pass`: the header is passed on unchanged and has no other effect.",
    'no caller waits for the answer after that, and queueing or retries must not make an endpoint work longer than the caller waits',
  ),
  grpcTimeoutMax: setting(
    duration().default('off'),
    'A longer deadline of a caller counts as this. `off`: no limit.',
    'a caller sets its deadline on purpose, and `request` limits the time to the first answer anyway',
  ),
  grpcTimeoutOffset: setting(
    duration('none').default('0s'),
    "Subtracted from a caller's deadline, so that the proxy's answer reaches the caller before it gives up by itself.",
    'as in Envoy; a call that its caller cancels just at its deadline is recorded as one that ran into it, so the record needs no offset',
  ),
  tunnel: setting(
    duration().default('1h'),
    'A WebSocket, another upgrade, a CONNECT tunnel or a TCP connection without bytes in either direction; pings count as bytes. `off`: no limit.',
    'as HAProxy advises for tunnels and Envoy has for TCP; the 5 minutes of `idle` would cut quiet WebSockets, and idle connections in the pools of Redis and database clients',
  ),
}

export const upgrades = setting(
  z
    .array(
      text(
        /^[a-z0-9!#$%&'*+.^_`|~-]+(\/[a-z0-9!#$%&'*+.^_`|~-]+)?$/,
        'a protocol',
        'its name in small letters, such as websocket or spdy/3.1',
        input => input.toLowerCase(),
      ),
    )
    .default(['websocket']),
  'Protocols that a request may ask for with Upgrade, or over HTTP/2 with an extended CONNECT. An offer of any other is ignored; the handshake of a WebSocket, or an extended CONNECT, is answered with 403. `[]`: none.',
  'WebSockets should work without configuration; the proxy does not know what other protocols carry',
)

const budget = {
  percent: setting(
    z.number().min(0).max(100).default(20),
    'Retries may be up to this share of the requests of the last seconds.',
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

const retryConditions = [
  'connect-failure',
  'refused-stream',
  'reset-before-response',
  'per-try-timeout',
  'gateway-error',
  '5xx',
  ...grpcRetryConditions,
] as const

export const retries = {
  on: setting(
    z.array(z.enum(retryConditions)).default(['connect-failure', 'refused-stream', 'reset-before-response']),
    'Which failures are tried again. With `connect-failure` and `refused-stream` the request did not reach the application; the others are retried only for idempotent methods. `gateway-error` is 502, 503 and 504. `cancelled`, `deadline-exceeded`, `internal`, `resource-exhausted` and `unavailable` are gRPC statuses of answers without a message: such calls are tried again whatever the method does, so name them only where all your methods may run twice.',
    'failures on the way to the application, not its answers',
  ),
  statuses: setting(
    z.array(z.int().min(400).max(599)).max(64).default([]),
    'Further statuses of answers that are tried again, such as 409 or 503: of idempotent methods only.',
    'only the operator knows which answers of the application are worth another try',
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
  budget: setting(
    z.strictObject(budget).prefault({}),
    'How many retries there may be in proportion to the requests, so that retries cannot bring a service down.',
  ),
}

const limitReason =
  'a guard of memory, not a policy: the 1024 of Envoy and Consul refuse requests of busy services without need'

const perEndpoint = {
  connections: setting(z.int().min(1).optional(), 'Connections to one endpoint. Without it: no such limit.'),
  pending: setting(
    z.int().min(0).optional(),
    'Requests that wait for a connection to one endpoint; one more is refused with 503 UO. Without it: no such limit.',
  ),
  requests: setting(
    z.int().min(1).optional(),
    'Requests under way at one endpoint. When all endpoints have so many, one more is refused with 503 UO. Without it: no such limit.',
  ),
}

export const limits = {
  connections: setting(
    z.int().min(1).default(10_000),
    'Connections to the endpoints of this service, together. More requests wait (`pending`).',
    limitReason,
  ),
  pending: setting(
    z.int().min(0).default(10_000),
    'Requests that wait for a connection; one more is refused with 503 UO.',
    limitReason,
  ),
  requests: setting(
    z.int().min(1).default(10_000),
    'Requests under way; one more is refused with 503 UO.',
    limitReason,
  ),
  retries: setting(
    z.int().min(0).optional(),
    'Requests that are at a retry; for one more there is none. Without it: no such limit, `retries.budget` bounds retries.',
  ),
  perEndpoint: setting(
    z.strictObject(perEndpoint).optional(),
    'Limits for each endpoint by itself, over all data threads. An endpoint at one of them is passed over while another has room.',
  ),
  responseHeaders: setting(
    z.int().min(1).max(10_000).default(200),
    'Header fields in one response head: 502 UPE above that.',
    'twice what a request may have: applications are trusted more than callers',
  ),
  responseHeadBytes: setting(
    size(1024, 1024 ** 2, 'from 1KiB to 1MiB').default('80KiB'),
    'Bytes of one response head: 502 UPE above that.',
    'as in Envoy; users of large heads need to raise it (istio/istio#53812)',
  ),
  buffer: setting(
    size(256 * 1024, 1024 ** 3, 'from 256KiB to 1GiB').default('1MiB'),
    'How many bytes of one connection to an endpoint are held in one direction before the sender has to wait.',
    'as for listeners',
  ),
}
