import type { ServiceSpec } from './service-spec.ts'

/** Where endpoints come from, besides the fixed ones, which are in the snapshot. */
export interface DiscoverySpec {
  readonly files: readonly FileSourceSpec[]
  readonly dns: readonly DnsSourceSpec[]
  readonly consul: ConsulSpec | null
  /** One update that removes more than this percentage of at least three endpoints is doubted; 100: none is. */
  readonly massRemovalPercent: number
  /** How long a start waits for the first answers before it goes on with what was last known. */
  readonly startTimeoutMs: number
}

export interface FileSourceSpec {
  readonly service: string
  readonly path: string
}

/** Which addresses of a name count; `auto`: those this machine speaks. */
export type AddressFamily = 'auto' | 'ipv4' | 'ipv6' | 'all'

export interface DnsSourceSpec {
  readonly service: string
  readonly name: string
  /** Null: SRV records, which bring the ports. */
  readonly port: number | null
  /** At the latest; a shorter TTL counts. */
  readonly refreshMs: number
  /** Name servers as `address:port`; empty: those of the system. */
  readonly servers: readonly string[]
  readonly family: AddressFamily
}

export interface ConsulSpec {
  /** `http://127.0.0.1:8500`, without a path. */
  readonly address: string
  readonly token: string | null
  /** Read again when it changes; wins over `token`. */
  readonly tokenFile: string | null
  /** Null: that of the agent. */
  readonly datacenter: string | null
  readonly tls: {
    readonly ca: string | null
    readonly cert: string | null
    readonly key: string | null
    readonly serverName: string | null
  }
  /** Any server may answer, unless its data is older than this; 0: only the leader may. */
  readonly maxStaleMs: number
  /** The longest time of a blocking query. */
  readonly waitMs: number
  /** Those watched from the start. */
  readonly services: readonly ConsulServiceSpec[]
  /**
   * What a service is like that no file names (its own name is empty): looked up when a request first asks for it.
   * Null: it is not.
   */
  readonly onDemand: ServiceSpec | null
  /** A service asked for on demand is let go after so long without a request. */
  readonly idleMs: number
  readonly addressKind: ConsulAddressKind
}

export type ConsulAddressKind = 'service' | 'lan' | 'wan' | 'virtual'

export interface ConsulServiceSpec {
  /** As callers know it. */
  readonly service: string
  /** As Consul knows it. */
  readonly name: string
  readonly datacenter: string | null
  /** Only instances with all of these. */
  readonly tags: readonly string[]
  readonly addressKind: ConsulAddressKind
  /** Datacenters whose instances are priority 1, 2, ... */
  readonly failover: readonly string[]
}

/** A service that this sidecar registers with the Consul agent. */
export interface RegisterSpec {
  readonly name: string
  /** Null: made of name, address and port. */
  readonly id: string | null
  /** Null: the address of the node. */
  readonly address: string | null
  /** 0: the port that the system chose for the first inbound listener. */
  readonly port: number
  readonly tags: readonly string[]
  readonly meta: Readonly<Record<string, string>>
  readonly weights: { readonly passing: number; readonly warning: number }
  readonly check: RegisterCheckSpec
}

export type RegisterCheckSpec =
  | {
      readonly kind: 'ttl'
      readonly ttlMs: number
      /** Critical while the application takes no connections. */
      readonly application: boolean
      readonly deregisterAfterMs: number
    }
  | {
      readonly kind: 'http' | 'tcp' | 'grpc'
      /** A URL, `host:port`, or `host:port/service`. */
      readonly target: string
      readonly intervalMs: number
      readonly timeoutMs: number
      readonly deregisterAfterMs: number
    }
