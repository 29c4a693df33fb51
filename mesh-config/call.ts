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
  maxStream: setting(
    duration().default('off'),
    'From the head of the request to the end of its answer, however much moves: a stream, a download or a long upload ends at it, flag UMSDR. Tunnels do not. `off`: no limit.',
    'only the operator knows how long is too long for a stream that is alive',
  ),
  deadline: setting(
    z.enum(['enforce', 'pass', 'begin']).default('enforce'),
    "The use of a caller's `x-envoy-expected-rq-timeout-ms`. `enforce`: it shortens `request`, never lengthens it, and endpoints get the time that is left. `begin`: requests without one get one from `request`, too, so that endpoints and what they call know how long they are waited for. `pass`: the header is passed on unchanged and has no other effect.",
    'no caller waits for the answer after that, and queueing or retries must not make an endpoint work longer than the caller waits',
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
