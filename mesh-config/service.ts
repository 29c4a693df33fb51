import * as z from 'zod'
import { balancer } from './balancer.ts'
import { breaker } from './breaker.ts'
import { limits, timeouts, upgrades } from './call.ts'
import { concurrency } from './concurrency.ts'
import { fallback } from './fallback.ts'
import { health } from './health.ts'
import { outliers } from './outliers.ts'
import { priority, queue } from './queue.ts'
import { resolve } from './resolve.ts'
import { retries } from './retries.ts'
import { route } from './route.ts'
import { upstreamTls } from './tls.ts'
import { anyText, duration, label, setting, text } from './values.ts'

/**
 * A service policy: how everyone calls that service. The one source of its types, its validation, its JSON Schema and
 * its reference page.
 */

const connections = {
  age: setting(
    duration().default('off'),
    'A connection older than this, give or take a tenth, gets no more requests and closes after its last answer. `off`: never.',
    'endpoints from discovery are balanced request by request; an address with several servers behind it (a virtual IP, a DNS name) needs some minutes',
  ),
  keepAlive: setting(
    duration().default('off'),
    'HTTP/2: an endpoint that was silent for so long gets a PING, and its connection is closed when no answer comes within 20 s. `off`: never.',
    'servers of gRPC close connections that are pinged more often than every five minutes, and the idle timeouts find most dead peers',
  ),
}

export const serviceSchema = z.strictObject({
  protocol: setting(
    z.enum(['detect', 'http', 'http2', 'grpc', 'tcp']).default('detect'),
    'The protocol of the endpoints: `http` is HTTP/1.1, `http2` is HTTP/2 with prior knowledge, `grpc` is gRPC over that, `tcp` is anything else, passed on byte for byte. Without one: HTTP/1.1, whatever version callers use.',
    'nearly every service speaks HTTP/1.1',
  ),
  tls: upstreamTls,
  multiplex: setting(
    z.boolean().default(true),
    'HTTP/1.1 requests go multiplexed over HTTP/2 to endpoints whose sidecar offers it (`inbound.multiplex`), and come out as HTTP/1.1. `false`: over HTTP/1.1.',
    'fewer connections and less work for both sidecars; endpoints without a sidecar see no difference',
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
    'Further Host values that mean this service. The name of the service always works, alone, with a port, and as `<name>.service.consul`; so do the names that Kubernetes has for it.',
  ),
  balancer: setting(z.strictObject(balancer).prefault({}), 'How requests are balanced over the endpoints.'),
  timeouts: setting(z.strictObject(timeouts).prefault({}), 'How long things may take.'),
  retries: setting(z.strictObject(retries).prefault({}), 'Which failures are tried again, and how often.'),
  limits: setting(
    z.strictObject(limits).prefault({}),
    'Circuit breaking: how much may be under way at once, over all data threads.',
  ),
  breaker: setting(
    breaker.optional(),
    'Nothing is sent to the service for a while after too many failures or slow answers: 503 UO at once. Without it: no breaker.',
  ),
  fallback: setting(
    fallback.optional(),
    'What takes the place of a refusal by the sidecar of the caller. Without it: 503.',
  ),
  concurrency: setting(
    concurrency.optional(),
    'Adaptive concurrency: finds out how many requests the service takes well. Without it: it is not computed.',
  ),
  queue: setting(
    queue.optional(),
    'Requests over `limits.requests`, or over an enforced `concurrency`, wait for a moment, and those that wait for a connection no longer than that. Without it: the former are refused at once.',
  ),
  priority: setting(
    priority.optional(),
    'Which requests come first in the queue, and which are refused first. Without it: all are alike.',
  ),
  connections: setting(z.strictObject(connections).prefault({}), 'How long connections to endpoints live.'),
  outliers: setting(
    z.strictObject(outliers).prefault({}),
    'Outlier detection: endpoints that fail get no requests for a while.',
  ),
  upgrades,
  health: setting(
    health.optional(),
    'Active health checks: the sidecar asks each endpoint by itself, and one that is unhealthy gets no requests. Without it: discovery and outlier detection decide.',
  ),
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
    'Where a request goes when its subset has no usable endpoint: `none` (503 UH), `any` endpoint of the service, or `{ subset: name }`.',
    'as in Envoy: requests for v2 that get v1 would hide that v2 has no endpoints',
  ),
  resolve: setting(
    resolve.optional(),
    'Where the endpoints of the service are, and which of them are in which subset: what the service-resolver of Consul says.',
  ),
  routes: setting(
    z.array(route).prefault([]),
    'Which requests go where; the first that matches counts. Without routes every request goes to the service.',
  ),
})

export type ServicePolicy = z.output<typeof serviceSchema>
export type RoutePolicy = ServicePolicy['routes'][number]
export type ValuePolicy = NonNullable<RoutePolicy['match']['headers']>[string]
