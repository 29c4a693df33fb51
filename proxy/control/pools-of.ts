import type { EndpointSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import { http1 } from '../codec/h1/codec.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Codec } from '../core/codec.ts'
import type { Endpoint } from '../core/endpoint.ts'
import type { EndpointStats } from '../core/telemetry.ts'
import type { Dial } from '../core/wire.ts'
import { HopPool, type HopSettings } from '../pool/hop.ts'
import type { Http1Pool } from '../pool/http1.ts'
import { Http2Pool } from '../pool/http2.ts'
import { namedOnly } from '../pool/named-only.ts'
import { notItself, type OwnListener } from '../pool/not-itself.ts'
import { TcpPlaces, TcpPool } from '../pool/tcp.ts'

export interface PoolsOfDeps {
  readonly clock: Clock
  readonly random: Random
  readonly dial: Dial
  /** The ports that are open now. */
  readonly ownListeners: () => Iterable<OwnListener>
  /** To endpoints. */
  readonly http2: Codec
  /** HTTP/2 that carries HTTP/1.1 to the next sidecar. */
  readonly hop: Codec
}

export type OwnSettings = Omit<HopSettings, 'pools' | 'hops'>

type Pools = Pick<Endpoint, 'pool' | 'connector'>

/** How the pools of a service are made. `settings` itself is what they share: a reload writes into it. */
export function poolsOf(
  spec: ServiceSpec,
  settings: OwnSettings,
  deps: PoolsOfDeps,
): (endpoint: EndpointSpec, own: EndpointStats) => Pools {
  const { clock, random } = deps
  const dialing = { clock, random, dial: dialOf(spec.name, deps) }
  const spoken = spokenBy(spec)
  if (spoken === 'http2') {
    const poolDeps = { ...dialing, codec: deps.http2 }
    const shared = Object.assign(settings, { pools: new Set<Http2Pool>() })
    const places = new TcpPlaces(shared, dialing, shared.pools)
    return ({ address, port }, own) => ({
      pool: new Http2Pool(address, port, shared, own, poolDeps),
      connector: new TcpPool(address, port, places, own),
    })
  }
  if (spoken === 'http1') {
    const poolDeps = { ...dialing, codec: http1, hop: deps.hop }
    const shared: HopSettings = Object.assign(settings, { pools: new Set<Http1Pool>(), hops: new Set<HopPool>() })
    const places = new TcpPlaces(shared, dialing, shared.hops)
    return ({ address, port }, own) => ({
      pool: new HopPool(address, port, shared, own, poolDeps),
      connector: new TcpPool(address, port, places, own),
    })
  }
  const places = new TcpPlaces(Object.assign(settings, { pools: new Set<never>() }), dialing, [])
  return ({ address, port }, own) => {
    const connector = new TcpPool(address, port, places, own)
    return { pool: connector, connector }
  }
}

function dialOf(service: string, { dial, ownListeners }: PoolsOfDeps): Dial {
  if (service.startsWith('connect:')) return namedOnly(dial)
  // What comes in for an application may go through an outbound listener: that one finds its service by the host.
  const listeners = service.startsWith('local_app:')
    ? () => [...ownListeners()].filter(own => own.service !== null)
    : ownListeners
  return notItself(dial, service, listeners)
}

export type Spoken = 'http1' | 'http2' | 'tcp'

export function spokenBy({ protocol }: ServiceSpec): Spoken {
  return protocol === 'http2' || protocol === 'grpc' ? 'http2' : protocol === 'tcp' ? 'tcp' : 'http1'
}

export function settingsOf(spec: ServiceSpec): Omit<OwnSettings, 'connections' | 'pending'> {
  return {
    multiplex: spec.multiplex,
    connectTimeoutMs: spec.timeouts.connectMs,
    idleTimeoutMs: spec.timeouts.idleMs,
    connectionAgeMs: spec.connections.ageMs,
    maxConnections: spec.limits.connections,
    maxPending: spec.limits.pending,
    upstream: {
      maxHeaders: spec.limits.responseHeaders,
      maxHeadBytes: spec.limits.responseHeadBytes,
      bufferBytes: spec.limits.bufferBytes,
      keepAliveMs: spec.connections.keepAliveMs,
    },
  }
}
