import type { DiscoverySpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Unknown } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'
import type { ServiceStatus } from '../core/source.ts'
import type { DiscoveredService } from '../discovery/service-endpoints.ts'
import { namesInConsul, whyNot } from './look-up.ts'
import type { LookUp, Names } from './on-demand.ts'
import type { OpenRegistries, ServiceSources } from './service-sources.ts'

/** The registry in which services are looked up that no file names. */
export interface OnDemandRegistry {
  /** Its name, for people. */
  readonly name: string
  /** The policy of such services. */
  readonly template: ServiceSpec
  readonly idleMs: number
  service(name: string): DiscoveredService
  /** The one name that a service has here, of all that callers may call it; null: they call it nothing else. */
  readonly find: ((name: string) => Promise<{ readonly service: string } | Unknown>) | null
  /** Those that it has; rejects where it does not say so within `limitMs`. */
  names(limitMs: number): Promise<Names>
  /** What its answer means. */
  lookedUp(service: string, endpoints: number, status: ServiceStatus | undefined): LookUp
}

/** The policy of services that no file names; null: they are not looked up. */
export function templateOf({ consul, kubernetes }: DiscoverySpec): ServiceSpec | null {
  return kubernetes?.onDemand ?? consul?.onDemand ?? null
}

/** Null: no registry is asked. */
export function onDemandRegistry(
  { consul, kubernetes }: DiscoverySpec,
  open: OpenRegistries,
  sources: ServiceSources,
  clock: Clock,
): OnDemandRegistry | null {
  const { consul: link, kubernetes: cluster } = open
  if (kubernetes?.onDemand != null && cluster !== null)
    return {
      name: 'Kubernetes',
      template: kubernetes.onDemand,
      idleMs: kubernetes.idleMs,
      service: name => sources.inKubernetes(name, cluster),
      find: cluster.find,
      names: async () => ({ has: cluster.has, whole: true }),
      // It is there, or it would not have been found; it may have no endpoints.
      lookedUp: (service, _endpoints, status) => {
        const isKnown = status?.sources.every(({ state }) => state === 'fresh') ?? false
        return isKnown ? 'found' : whyNot(service, status, 'Kubernetes')
      },
    }
  if (consul?.onDemand != null && link !== null)
    return {
      name: 'Consul',
      template: consul.onDemand,
      idleMs: consul.idleMs,
      service: name => sources.inConsul(name, consul, link),
      find: null,
      names: limitMs => namesInConsul(link, limitMs, clock),
      lookedUp: (service, endpoints, status) => (endpoints > 0 ? 'found' : whyNot(service, status, 'Consul')),
    }
  return null
}
