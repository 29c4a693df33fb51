import * as z from 'zod'
import { balancer } from './balancer.ts'
import { limits, retries, timeouts, upgrades } from './call.ts'
import { pathForms, route } from './route.ts'
import { anyText, duration, label, setting, text } from './values.ts'

/**
 * A service policy: how everyone calls that service. The one source of its types, its validation, its JSON Schema and
 * its reference page.
 */

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
