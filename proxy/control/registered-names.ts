import type { DiscoverySpec, KubernetesServiceSpec, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import { isSame } from '../core/same.ts'
import type { OpenKubernetes } from './kubernetes-link.ts'

/** What Kubernetes calls the services of a snapshot, and what it says is spoken there. */
export interface RegisteredNames {
  add(snapshot: Snapshot, spec: DiscoverySpec): Snapshot
  /** They are others now than they were when they were added last. */
  areOld(spec: DiscoverySpec): boolean
}

type Said = Pick<ServiceSpec, 'registered' | 'protocol'>

/** `found`: those found there on demand. */
export function registeredNames(open: () => OpenKubernetes | null, found: () => readonly string[]): RegisteredNames {
  let last: readonly (readonly [string, Said])[] = []
  let services: readonly string[] = []

  function said(spec: DiscoverySpec): readonly (readonly [string, Said])[] {
    const cluster = open()
    if (cluster === null || spec.kubernetes === null) return []
    const listed = new Map(spec.kubernetes.services.map(each => [each.service, each]))
    const onDemand = new Set(found())
    return services.flatMap(name => {
      const service = listed.get(name) ?? (onDemand.has(name) ? cluster.service(name) : undefined)
      return service === undefined ? [] : [[name, saidOf(cluster, service)] as const]
    })
  }

  return {
    add(snapshot, spec) {
      services = Object.keys(snapshot.services)
      last = said(spec)
      if (last.length === 0) return snapshot
      const named = last.map(([name, { registered, protocol }]): [string, ServiceSpec] => {
        const own = snapshot.services[name]!
        return [
          name,
          { ...own, protocol: own.protocol ?? protocol, ...(registered === undefined ? {} : { registered }) },
        ]
      })
      return { ...snapshot, services: { ...snapshot.services, ...Object.fromEntries(named) } }
    },
    areOld: spec => !isSame(last, said(spec)),
  }
}

function saidOf(cluster: OpenKubernetes, service: KubernetesServiceSpec): Said {
  const known = cluster.registered(service)
  if (known === null) return { protocol: null }
  const { protocol, ...registered } = known
  return { protocol, registered }
}
