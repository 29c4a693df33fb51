import type { ServiceSpec } from './service-spec.ts'

/** The sources of endpoints, except for the fixed ones, which are in the snapshot. */
export interface DiscoverySpec {
  readonly files: readonly FileSourceSpec[]
  readonly dns: readonly DnsSourceSpec[]
  readonly consul: ConsulSpec | null
  readonly kubernetes: KubernetesSpec | null
  /** One update that removes more than this percentage of at least three endpoints is doubted; 100: none is. */
  readonly massRemovalPercent: number
  /** How long a start waits for the first answers before it uses the endpoints known last. */
  readonly startTimeoutMs: number
}

export interface FileSourceSpec {
  readonly service: string
  readonly path: string
}

/** Which addresses of a name count; `auto`: families that this machine has addresses of. */
export type AddressFamily = 'auto' | 'ipv4' | 'ipv6' | 'all'

export interface DnsSourceSpec {
  readonly service: string
  readonly name: string
  /** Null: SRV records, which bring the ports. */
  readonly port: number | null
  /** The longest time between two look-ups; a shorter TTL counts. */
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
  /** Services watched from the start. */
  readonly services: readonly ConsulServiceSpec[]
  /**
   * The policy of a service that no file names (its own name is empty), looked up at its first request. Null: such
   * services are not looked up.
   */
  readonly onDemand: ServiceSpec | null
  /** A service found on demand is forgotten after this time without a request. */
  readonly idleMs: number
  readonly addressKind: ConsulAddressKind
}

export type ConsulAddressKind = 'service' | 'lan' | 'wan' | 'virtual'

export interface ConsulServiceSpec {
  /** Its name for callers. */
  readonly service: string
  /** Its name in Consul. */
  readonly name: string
  readonly datacenter: string | null
  /** Only instances with all of these. */
  readonly tags: readonly string[]
  readonly addressKind: ConsulAddressKind
  /** Datacenters whose instances are priority 1, 2, ... */
  readonly failover: readonly string[]
  /** Other instances that stand in for them; absent: none. */
  readonly standIns?: readonly ConsulStandInSpec[]
  /** Endpoints get what filters look at besides meta and tags (filter-expression.ts); absent: they do not. */
  readonly facts?: boolean
}

export interface ConsulStandInSpec {
  /** Of its endpoints (`EndpointSpec.from`). */
  readonly from: string
  readonly name: string
  readonly datacenter: string | null
  readonly priority: number
}

export interface KubernetesSpec {
  /** `https://10.96.0.1:443`, without a path; null: the API server of the cluster that this pod is in. */
  readonly address: string | null
  readonly token: string | null
  /** Read again when it changes; wins over `token`. Both null: that of the service account of this pod. */
  readonly tokenFile: string | null
  readonly tls: ConsulSpec['tls']
  /** Null: that of this pod. */
  readonly namespace: string | null
  readonly clusterDomain: string
  readonly family: 'auto' | 'ipv4' | 'ipv6'
  /** Services watched from the start. */
  readonly services: readonly KubernetesServiceSpec[]
  /** As in `ConsulSpec`. */
  readonly onDemand: ServiceSpec | null
  readonly idleMs: number
}

export interface KubernetesServiceSpec {
  /** Its name for callers. */
  readonly service: string
  /** Of the Service. */
  readonly name: string
  /** Null: that of `KubernetesSpec`. */
  readonly namespace: string | null
  /** Of the Service, by number or name; null: the usual one. */
  readonly port: number | string | null
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
