import { createHash } from 'node:crypto'
import type { ServiceSpec, TlsSpec } from '../../mesh-config/snapshot.ts'
import { http1 } from '../codec/h1/codec.ts'
import { raw } from '../codec/raw.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Codec } from '../core/codec.ts'
import type { SharedCounts } from '../core/shared-counts.ts'
import type { Turns } from '../core/turn.ts'
import type { Dial, MakeTlsDial, MakeTlsServer, TlsOptions } from '../core/wire.ts'
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
  readonly tls: Tls
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

/** TLS, which is loaded for the first snapshot that needs it. */
export interface Tls {
  /** Before a snapshot that needs it is prepared. */
  load(): Promise<void>
  readonly dial: MakeTlsDial
  readonly server: MakeTlsServer
}

/** How connections to the endpoints of a service are made. Throws where its certificates are not usable. */
export function transportOf(spec: ServiceSpec, deps: PoolsOfDeps): Transport {
  if (spec.tls === undefined) return { key: 'plain', isTls: false, dial: guarded(spec, deps.dial, deps) }
  const options = tlsOptions(spec, spec.tls)
  const key = createHash('sha256').update(JSON.stringify(options)).digest('base64')
  return { key, isTls: true, dial: guarded(spec, deps.tls.dial(options), deps) }
}

function tlsOptions(spec: ServiceSpec, { serverName, minVersion, pem }: TlsSpec): TlsOptions {
  const { ca = null, cert = null, key = null } = pem ?? {}
  return { ca, cert, key, serverName, minVersion, alpn: ALPN[spec.protocol ?? 'any'] }
}

/** What is offered in the handshake, by the protocol that the policy names. */
const ALPN = {
  any: ['h2', 'http/1.1'],
  http: ['http/1.1'],
  http2: ['h2'],
  grpc: ['h2'],
  tcp: [],
} as const

/** Does not lead back to this sidecar, nor to where only the user himself may send. */
function guarded({ name, kind }: ServiceSpec, dial: Dial, { ownListeners, turns }: PoolsOfDeps): Dial {
  if (kind === 'connect') return namedOnly(dial)
  // What comes in for an application may go through an outbound listener: that one finds its service by the host.
  const listeners = kind === 'local' ? () => [...ownListeners()].filter(own => own.service !== null) : ownListeners
  return notItself(dial, name, listeners, turns)
}

export function spokenBy({ protocol }: ServiceSpec): PoolPolicy['protocol'] {
  return protocol === 'http2' || protocol === 'grpc' ? 'http2' : protocol === 'tcp' ? 'tcp' : 'http1'
}

export function policyOf(spec: ServiceSpec): PoolPolicy {
  return Object.freeze({
    protocol: spokenBy(spec),
    // A connection by TLS speaks what its handshake agreed on.
    multiplex: spec.multiplex && spec.tls === undefined,
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
