import * as z from 'zod'
import { durationMs } from './duration.ts'
import { FIELD_VALUE, isEditable } from './edited-heads.ts'
import { statuses } from './status-range.ts'
import { anyText, duration, exactlyOne, headerName, setting, text } from './values.ts'

/** The active health checks of a service policy (service.ts). */

const SHORTEST_MS = 100

const headers = (what: string) =>
  setting(
    z
      .record(
        headerName.refine(name => isEditable(String(name)), {
          params: { wrong: { what: '{value} belongs to the connection or the message itself', fix: 'remove it here' } },
        }),
        text(FIELD_VALUE, 'a header value', 'a text without line breaks'),
      )
      .default({}),
    what,
    'a check needs none',
  )

const host = (what: string, why: string) =>
  setting(text(/^[\x21-\x7e]{1,255}$/, 'a host', 'a name such as orders.example').optional(), what, why)

const http = z.strictObject({
  path: setting(text(/^\/[\x21-\x7e]*$/, 'a path', 'a path such as /healthz'), 'The path that is asked for.'),
  method: setting(
    z.enum(['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']).default('GET'),
    'The method. There is no request body.',
    'a check changes nothing',
  ),
  host: host(
    'The Host of the request.',
    'the name of the service: what its requests have, and what virtual hosts go by; as in Envoy',
  ),
  protocol: setting(
    z.enum(['http', 'http2']).optional(),
    '`http` is HTTP/1.1, `http2` is HTTP/2 with prior knowledge. Without it: what the endpoints of the service speak.',
  ),
  headers: headers('Further headers of the request.'),
  expect: setting(
    statuses().default(['200-299']),
    'The statuses of a healthy endpoint.',
    'as in Consul; a redirect says nothing of the application',
  ),
  retriable: setting(
    statuses(0).default([429, 500, 502, 504]),
    'Other statuses that count towards `unhealthyAfter`. Any further one makes the endpoint unhealthy at once: it says so itself.',
    'they say that this one answer went wrong. 503 is how an application says that it is not to be used, so it counts at once, as in Envoy',
  ),
  body: setting(
    z
      .strictObject({
        contains: setting(anyText('a text').optional(), 'A text that is somewhere in the body.'),
        regex: setting(
          anyText('a regular expression').optional(),
          'An RE2 expression that matches somewhere in the body.',
        ),
      })
      .superRefine((forms, context) => exactlyOne(forms, context, '{ contains: ok } or { regex: "^ok" }'))
      .optional(),
    'What its body has, in the first 64 KiB. Without it: the body is not looked at.',
  ),
  maxResponseTime: setting(
    duration().default('off'),
    'An answer that takes longer counts as a failure, though it is a good one. `off`: only `timeout` counts.',
    'only the operator knows how slow is too slow',
  ),
})

const bytes = () =>
  z.union([
    anyText('a text'),
    z.strictObject({
      hex: setting(
        text(/^([0-9a-fA-F]{2})+$/, 'bytes in hexadecimal', 'two digits for each byte, such as 50494e47'),
        'Bytes in hexadecimal.',
      ),
    }),
  ])

const tcp = z.strictObject({
  send: setting(
    bytes().optional(),
    'What is sent when the connection is there: a text (`"PING\\r\\n"` in double quotes), or `{ hex: 50494e47 }`. Without it: nothing.',
  ),
  receive: setting(
    z.array(bytes()).max(16).default([]),
    'What the answer must have in its first 16 KiB: all of them, one after the other. Empty: that the port takes connections is enough.',
    'a connection is what every protocol has',
  ),
})

const grpc = z.strictObject({
  service: setting(
    text(/^[\x21-\x7e]{0,100}$/, 'a gRPC service', 'a name such as shop.Orders, or "" for the whole server').default(
      '',
    ),
    'The service that the health service (grpc.health.v1) is asked for; `""`: the whole server.',
    'the state of the server is what every health service has',
  ),
  authority: host('The `:authority` of the call.', 'the name of the service, as in Envoy'),
  headers: headers('Further metadata of the call.'),
})

export const health = z
  .strictObject({
    http: setting(http.optional(), 'A request is answered as it should be.'),
    tcp: setting(tcp.optional(), 'The port takes connections, and answers what is sent. `{}`: it takes connections.'),
    grpc: setting(grpc.optional(), 'The gRPC health service says SERVING. `{}`: for the whole server.'),
    port: setting(
      z.int().min(1).max(65_535).optional(),
      'Another port of the same address, where the endpoint is asked. Without it: its own.',
    ),
    tls: setting(
      z.boolean().default(true),
      'Checks go by TLS where the service has `tls`. `false`: they are plain, such as at another port.',
      'endpoints are asked as they are called',
    ),
    interval: setting(
      duration('refused').default('5s'),
      'Between two checks of an endpoint.',
      'with the default thresholds a dead endpoint is known within 15 s, for a load of 0.2 requests a second from each caller',
    ),
    noTrafficInterval: setting(
      duration('refused').default('60s'),
      'The same for a service that has had no request for so long. Its endpoints are checked at the usual pace again within some seconds of the first request.',
      'as in Envoy: a service that this caller does not call is not to be bothered by it',
    ),
    jitter: setting(
      z.number().min(0).max(100).default(10),
      'Each interval is longer or shorter by up to so many percent.',
      'callers that started together do not check together',
    ),
    timeout: setting(
      duration('refused').default('1s'),
      'A check that takes longer, from the connection to the end of the answer, has failed.',
      'inside one network a check takes milliseconds',
    ),
    unhealthyAfter: setting(
      z.int().min(1).max(100).default(3),
      'So many failures in a row make an endpoint unhealthy. The first check of an endpoint, and an answer that says itself that it is not healthy, count at once.',
      'a single lost packet or a pause of the garbage collector says little',
    ),
    healthyAfter: setting(
      z.int().min(1).max(100).default(2),
      'So many successes in a row make it healthy again.',
      'an endpoint that comes and goes is not to get requests at each good moment',
    ),
    reuseConnection: setting(
      z.boolean().default(true),
      'The connection is kept for the next check (`http`, `grpc`); over all services at most 1,000 are.',
      'a check over a connection that is there costs this sidecar half (bench/health-checks.ts)',
    ),
  })
  .superRefine(({ http, tcp, grpc, interval }, context) => {
    const wrong = (what: string, fix: string) => context.addIssue({ code: 'custom', params: { wrong: { what, fix } } })
    const given = Object.entries({ http, tcp, grpc }).flatMap(([form, value]) => (value === undefined ? [] : [form]))
    if (given.length === 0) wrong('it does not say how', 'write one of http: { path: /healthz }, tcp: {} and grpc: {}')
    if (given.length > 1) wrong(`${given.join(' and ')} exclude each other`, 'write one of them')
    if (context.issues.length === 0 && durationMs(interval) < SHORTEST_MS)
      wrong('interval is too short', `write at least ${SHORTEST_MS}ms`)
  })

export type HealthPolicy = z.output<typeof health>
