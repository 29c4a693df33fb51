import * as z from 'zod'
import { balancer } from './balancer.ts'
import {
  anyText,
  duration,
  exactlyOne,
  headerName,
  label,
  overrides,
  serviceName,
  setting,
  size,
  text,
} from './values.ts'

/**
 * A service policy: how everyone calls that service. The one source of its types, its validation, its JSON Schema and
 * its reference page.
 */

const timeouts = {
  connect: setting(
    duration('refused').default('1s'),
    'To get a connection to an endpoint: to open one, or to wait for one where `limits.connections` is reached.',
    'inside one network it takes milliseconds; a longer wait only delays the try on another endpoint',
  ),
  request: setting(
    duration().default('15s'),
    'From the last byte of the request to the head of its response, over all tries: 504 after that. A long upload or download is not cut: `timeouts.body` of the listener watches the sender, `idle` the rest. `off`: no limit.',
    'the route timeout of Envoy and Consul, so moving here changes nothing; shown here because nobody should have to guess it',
  ),
  perTry: setting(
    duration().default('off'),
    'The same for one try: the wait for its answer. Must be shorter than `request`, or it never matters. `off`: a try may use all of `request`.',
    'how slow is too slow for one try is known only to those who run the service',
  ),
  idle: setting(
    duration().default('5m'),
    'A stream without bytes in either direction, and a pooled connection without a request. `off`: no limit.',
    'as in Envoy: long enough for long polling, short enough to let go of what was forgotten',
  ),
  grpcTimeout: setting(
    z.enum(['enforce', 'pass']).default('enforce'),
    "What becomes of a gRPC caller's deadline (`grpc-timeout`). `enforce`: the whole call ends with it, streams too, and endpoints are told what is left of it. `pass`: it goes on as it came.",
    'nobody waits for the answer after that, and what is queued or retried must not make the endpoint work longer than the caller waits',
  ),
  grpcTimeoutMax: setting(
    duration().default('off'),
    'A longer deadline of a caller counts as this. `off`: as long as it says.',
    'a caller that says how long it waits has thought about it, and `request` limits the time to the first answer anyway',
  ),
  grpcTimeoutOffset: setting(
    duration('none').default('0s'),
    "Taken off a caller's deadline, so that the proxy's answer is there before the caller gives up by itself.",
    'as in Envoy; a call that its caller cancels just at its deadline is recorded as one that ran into it, so the record needs no offset',
  ),
  tunnel: setting(
    duration().default('1h'),
    'A WebSocket, another upgrade, a CONNECT tunnel or a TCP connection without bytes in either direction; pings count as bytes. `off`: no limit.',
    'what HAProxy advises for tunnels and Envoy has for TCP; the 5 minutes of `idle` cut WebSockets that are only quiet, and idle connections in the pools of Redis and database clients',
  ),
}

const upgrades = setting(
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
  'WebSockets should simply work; what is in another protocol nobody has looked at',
)

const budget = {
  percent: setting(
    z.number().min(0).max(100).default(20),
    'Retries may be this share of the requests of the last seconds.',
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

const retries = {
  on: setting(
    z.array(z.enum(retryConditions)).default(['connect-failure', 'refused-stream', 'reset-before-response']),
    'What is tried again. `connect-failure` and `refused-stream` did not reach the application; the others are retried only for idempotent methods. `gateway-error` is 502, 503 and 504. `cancelled`, `deadline-exceeded`, `internal`, `resource-exhausted` and `unavailable` are gRPC statuses of answers without a message: such calls are tried again whatever they do, so name only what your methods bear.',
    'failures of the way there, not answers of the application',
  ),
  attempts: setting(
    z.int().min(1).max(10).default(2),
    'Tries in all, the first included; each goes to another endpoint where there is one. 1: no retries.',
    'one more try hides a lost endpoint; more of them multiply the load just when there is too much',
  ),
  replayBytes: setting(
    size(0, 64 * 1024 ** 2, 'from 0 to 64MiB').default('64KiB'),
    'The longest request body kept for another try; a request with a longer one is sent once.',
    'as in Linkerd: holds almost every API call, and bounds the memory of a request',
  ),
  budget: setting(
    z.strictObject(budget).prefault({}),
    'How many retries there may be, beside the requests, so that retries cannot bring a service down.',
  ),
}

const limitReason =
  'a guard of memory, not a policy: the 1024 of Envoy and Consul cut busy services for no reason they could see'

const limits = {
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
  responseHeaders: setting(
    z.int().min(1).max(10_000).default(200),
    'Header fields in one response head: 502 UPE above that.',
    'twice what a request may have: applications are trusted more than callers',
  ),
  responseHeadBytes: setting(
    size(1024, 1024 ** 2, 'from 1KiB to 1MiB').default('80KiB'),
    'Bytes of one response head: 502 UPE above that.',
    'as in Envoy; one that cannot be raised is a wall for its users (istio/istio#53812)',
  ),
  buffer: setting(
    size(256 * 1024, 1024 ** 3, 'from 256KiB to 1GiB').default('1MiB'),
    'What is held of one connection to an endpoint in one direction before its sender has to wait.',
    'as for listeners',
  ),
}

const connections = {
  age: setting(
    duration().default('off'),
    'An older connection, give or take a tenth, gets no more requests and is closed when those it has are done. `off`: never.',
    'endpoints that discovery lists are balanced request by request; an address with several servers behind it (a virtual IP, a DNS name) wants some minutes',
  ),
  keepAlive: setting(
    duration().default('off'),
    'HTTP/2: an endpoint from which nothing has come for so long is asked with a PING, and given up when it does not answer within 20 s. `off`: never.',
    'servers of gRPC close connections that are pinged more often than every five minutes, and the idle timeouts find most dead peers',
  ),
}

const outliers = {
  consecutiveGatewayFailures: setting(
    z.int().min(0).default(5),
    'So many failures in a row (502, 503, 504, no connection, a reset) and the endpoint is ejected. 0: never.',
    'as in Envoy: one bad answer is chance, five in a row are not',
  ),
  interval: setting(
    duration('refused').optional(),
    'The time between two looks at the endpoints. Accepted for the sake of files that carry it.',
  ),
  baseEjection: setting(
    duration('refused').default('10s'),
    'How long the first ejection lasts; each further one in a row lasts longer.',
    'an instance that restarts is back after about ten seconds; the 30 s of Envoy leave it idle',
  ),
  maxEjection: setting(
    duration('refused').default('5m'),
    'No ejection lasts longer.',
    'as in Envoy: an endpoint that comes back is in use again within minutes',
  ),
  maxEjectedPercent: setting(
    z.number().min(0).max(100).default(50),
    'No more than this share of the endpoints of the service, and of each subset, is ejected at a time; one of at least two may always be, the last never. 0: none is.',
    'the 10 % of Envoy never eject anything with fewer than ten endpoints; with 50 % one of two can go, and half the service always stays',
  ),
}

const pathForms = {
  exact: setting(text(/^\/[^?#\s]*$/, 'a path', 'a path that begins with / and has no query'), 'The whole path.'),
  prefix: setting(
    text(/^\/[^?#\s]*$/, 'a path', 'a path that begins with / and has no query'),
    'What the path begins with.',
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
    })
    .superRefine((forms, context) => exactlyOne(forms, context)),
])

const valueForms = z
  .strictObject({
    exact: setting(anyText('a value').optional(), 'The whole value.'),
    prefix: setting(anyText('a value').optional(), 'What the value begins with.'),
    suffix: setting(anyText('a value').optional(), 'What the value ends with.'),
    contains: setting(anyText('a value').optional(), 'What is somewhere in the value.'),
    regex: setting(anyText('a regular expression').optional(), 'An RE2 expression that the whole value must match.'),
    present: setting(z.boolean().optional(), 'true: it is there, with any value. false: it is not there.'),
  })
  .superRefine((forms, context) => exactlyOne(forms, context))

const valueMatch = z.union([anyText('a value').transform(exact => ({ exact })), valueForms])

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
    z.record(headerName, valueMatch).optional(),
    'Headers that must match, all of them; a text means the exact value.',
  ),
  query: setting(
    z.record(z.string(), valueMatch).optional(),
    'Query parameters that must match, all of them; a text means the exact value.',
  ),
}

const destination = {
  service: setting(serviceName().optional(), 'Another service. Without it: this one.'),
  subset: setting(label('a subset name').optional(), 'Only the endpoints of this subset. Without it: all.'),
  weight: setting(
    z.int().min(0).max(1_000_000).default(1),
    'The share of the requests, relative to the other weights. 0: none.',
    'equal shares',
  ),
}

const route = z.strictObject({
  name: setting(
    text(/^[^\s"\\]{1,100}$/, 'a route name', 'up to 100 characters without spaces').optional(),
    'What metrics and logs call it. Without it: the path as written.',
  ),
  match: setting(z.strictObject(match).prefault({}), 'Which requests. Without it: all.'),
  to: setting(
    z.array(z.strictObject(destination)).min(1).prefault([{}]),
    'Where they go; several share them by weight. Without it: to the service itself.',
  ),
  timeouts: setting(z.strictObject(overrides(timeouts)).optional(), 'What differs from the timeouts of the service.'),
  retries: setting(
    z
      .strictObject(overrides({ on: retries.on, attempts: retries.attempts, replayBytes: retries.replayBytes }))
      .optional(),
    'What differs from the retries of the service. The budget is always that of the service.',
  ),
})

const health = {
  http: setting(
    z.strictObject({
      path: setting(pathForms.exact, 'The path that is asked for.'),
      expect: setting(z.array(z.int().min(100).max(599)).optional(), 'The statuses of a healthy endpoint.'),
    }),
    'A request that asks an endpoint how it is.',
  ),
  interval: setting(duration('refused').optional(), 'The time between two questions.'),
  timeout: setting(duration('refused').optional(), 'How long to wait for the answer.'),
}

export const serviceSchema = z.strictObject({
  protocol: setting(
    z.enum(['detect', 'http', 'http2', 'grpc', 'tcp']).default('detect'),
    'What the endpoints speak: `http` is HTTP/1.1, `http2` is HTTP/2 with prior knowledge, `grpc` is gRPC over that, `tcp` is anything else, passed on byte for byte. Without one: HTTP/1.1, whatever callers speak.',
    'nearly every service speaks HTTP/1.1',
  ),
  multiplex: setting(
    z.boolean().default(true),
    'HTTP/1.1 requests go multiplexed over HTTP/2 to endpoints that have said to be sidecars (`inbound.multiplex`), and come out as HTTP/1.1. `false`: over HTTP/1.1.',
    'fewer connections and less work for both sidecars; endpoints that are no sidecars are never asked and see no difference',
  ),
  hosts: setting(
    z
      .array(
        text(
          /^(\*\.)?[a-z0-9]([a-z0-9_.-]*[a-z0-9])?$/,
          'a host name',
          'a name without port, such as orders.example.com or "*.example.com"',
          host => host.toLowerCase().replace(/\.?(:\d+)?$/, ''),
        ),
      )
      .default([]),
    'Further Host values that mean this service. Its name is always understood, alone, with a port, and as `<name>.service.consul`.',
  ),
  balancer: setting(z.strictObject(balancer).prefault({}), 'How the requests are shared among the endpoints.'),
  timeouts: setting(z.strictObject(timeouts).prefault({}), 'How long things may take.'),
  retries: setting(z.strictObject(retries).prefault({}), 'What is tried again, and how often.'),
  limits: setting(
    z.strictObject(limits).prefault({}),
    'Circuit breaking: how much may be under way at once, for each data thread.',
  ),
  connections: setting(z.strictObject(connections).prefault({}), 'How long connections to the endpoints live.'),
  outliers: setting(
    z.strictObject(outliers).prefault({}),
    'Outlier detection: endpoints that fail are left alone for a while.',
  ),
  upgrades,
  health: setting(z.strictObject(health).optional(), 'Active health checks.'),
  subsets: setting(
    z.record(label('a subset name'), z.record(z.string(), anyText('a value'))).default({}),
    'Named groups of endpoints, by their `meta`: an endpoint belongs to a subset when all of these match. In Consul a tag `v2` is `tag.v2: "true"`.',
  ),
  subsetFallback: setting(
    z
      .union([
        z.enum(['none', 'any']),
        z.strictObject({ subset: setting(label('a subset name'), 'The other subset.') }),
      ])
      .default('none'),
    'Where a request goes whose subset has no usable endpoint: `none` (503 UH), `any` endpoint of the service, or `{ subset: name }`.',
    'as in Envoy: what asks for v2 and gets v1 would hide that v2 is gone',
  ),
  routes: setting(
    z.array(route).prefault([]),
    'Which requests go where; the first that matches counts. Without routes every request goes to the service.',
  ),
})

export type ServicePolicy = z.output<typeof serviceSchema>
export type RoutePolicy = ServicePolicy['routes'][number]
export type ValuePolicy = NonNullable<RoutePolicy['match']['headers']>[string]

/** The fields that an inbound application shares with any service: what a listener in front of it may set. */
export const applicationFields = { timeouts, limits, upgrades }
