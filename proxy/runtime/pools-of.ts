import type { ServiceSpec } from '../../mesh-config/snapshot.ts'
import { http1 } from '../codec/h1/codec.ts'
import { raw } from '../codec/raw.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Codec } from '../core/codec.ts'
import type { SharedCounts } from '../core/shared-counts.ts'
import type { Turns } from '../core/turn.ts'
import type { Dial } from '../core/wire.ts'
import { namedOnly } from '../pool/named-only.ts'
import { notItself, type OwnListener } from '../pool/not-itself.ts'
import type { PoolPolicy } from '../pool/policy.ts'
import { ServicePools } from '../pool/service-pools.ts'
import type { Transport } from '../pool/transport.ts'

export interface PoolsOfDeps {
  readonly clock: Clock
  readonly random: Random
  readonly turns: Turns
  readonly dial: Dial
  /** The ports that are open now. */
  readonly ownListeners: () => Iterable<OwnListener>
  /** To endpoints. */
  readonly http2: Codec
  /** HTTP/2 that carries HTTP/1.1 to the next sidecar. */
  readonly hop: Codec
}

/** What the pools of a service's endpoints share. It lives as long as the service is configured. */
export function poolsOf(spec: ServiceSpec, deps: PoolsOfDeps, counts: SharedCounts): ServicePools {
  const { clock, random, http2, hop } = deps
  const codecs = { http1, http2, hop, raw }
  return new ServicePools(policyOf(spec), transportOf(spec, deps), { clock, random, codecs }, counts)
}

/** How connections to the endpoints of a service are made. */
function transportOf({ name, kind }: ServiceSpec, { dial, ownListeners, turns }: PoolsOfDeps): Transport {
  if (kind === 'connect') return { key: 'plain', dial: namedOnly(dial) }
  // What comes in for an application may go through an outbound listener: that one finds its service by the host.
  const listeners = kind === 'local' ? () => [...ownListeners()].filter(own => own.service !== null) : ownListeners
  return { key: 'plain', dial: notItself(dial, name, listeners, turns) }
}

export function spokenBy({ protocol }: ServiceSpec): PoolPolicy['protocol'] {
  return protocol === 'http2' || protocol === 'grpc' ? 'http2' : protocol === 'tcp' ? 'tcp' : 'http1'
}

export function policyOf(spec: ServiceSpec): PoolPolicy {
  return Object.freeze({
    protocol: spokenBy(spec),
    multiplex: spec.multiplex,
    connectTimeoutMs: spec.timeouts.connectMs,
    idleTimeoutMs: spec.timeouts.idleMs,
    connectionAgeMs: spec.connections.ageMs,
    maxConnections: spec.limits.connections,
    maxPending: spec.limits.pending,
    queue: spec.queue ?? null,
    upstream: Object.freeze({
      maxHeaders: spec.limits.responseHeaders,
      maxHeadBytes: spec.limits.responseHeadBytes,
      bufferBytes: spec.limits.bufferBytes,
      keepAliveMs: spec.connections.keepAliveMs,
    }),
  })
}
