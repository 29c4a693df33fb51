import { serviceMeant } from '../../mesh-config/kubernetes-name.ts'
import type { KubernetesServiceSpec, KubernetesSpec } from '../../mesh-config/snapshot.ts'
import type { Unknown } from '../core/channel.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { EndpointSource } from '../core/source.ts'
import type { KubernetesRegistry, Registered } from '../discovery/kubernetes/registry.ts'
import { speaks } from '../system/families.ts'
import { lookupName } from '../system/names.ts'

/** The way to the API server: one registry as long as the configuration names the same way. */
export interface KubernetesLink {
  /** As a configuration says; null: it has no Kubernetes. */
  follow(spec: KubernetesSpec | null): void
  /** Null: there is no way to it. */
  now(): OpenKubernetes | null
  close(): void
}

export interface OpenKubernetes {
  /** The same for the same way. */
  readonly key: string
  source(service: KubernetesServiceSpec): EndpointSource
  /** By the name that a service has here: `orders.shop:9090`. */
  service(name: string): KubernetesServiceSpec
  find(name: string): Promise<{ readonly service: string } | Unknown>
  /** Null: nothing is known yet. */
  registered(service: KubernetesServiceSpec): Registered | null
  has(service: string): boolean
}

export interface KubernetesLinkDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** What `registered` says may have changed. */
  readonly changed: () => void
}

export function kubernetesLink(deps: KubernetesLinkDeps): KubernetesLink {
  let open: (OpenKubernetes & { close(): void }) | null = null

  function close(): void {
    open?.close()
    open = null
  }

  return {
    follow(spec) {
      if (spec === null) return close()
      const { services: _services, idleMs: _idle, onDemand, ...way } = spec
      const key = JSON.stringify({ ...way, onDemand: onDemand !== null })
      if (open?.key === key) return
      close()
      open = openKubernetes(key, spec, deps)
    },
    now: () => open,
    close,
  }
}

function openKubernetes(key: string, spec: KubernetesSpec, deps: KubernetesLinkDeps) {
  let registry: KubernetesRegistry | null = null
  let isClosed = false
  const loading = load()

  /** On first use: a sidecar elsewhere does not need it. */
  async function load(): Promise<KubernetesRegistry> {
    const { kubernetesRegistry } = await import('../discovery/kubernetes/registry.ts')
    const made = kubernetesRegistry(spec, { ...deps, env: process.env, lookup: lookupName, speaks })
    registry = made
    if (isClosed) made.close()
    return made
  }

  return {
    key,
    source(service: KubernetesServiceSpec): EndpointSource {
      const isAlias = serviceMeant(service.service, spec.clusterDomain).name !== service.name
      return {
        name: isAlias ? `kubernetes ${service.name}` : 'kubernetes',
        watch(watcher, signal) {
          if (registry !== null) return registry.watch(service, watcher, signal)
          void loading.then(made => {
            if (!signal.aborted) made.watch(service, watcher, signal)
          })
        },
      }
    },
    service: (name: string) => serviceMeant(name, spec.clusterDomain),
    find: async (name: string) => (await loading).find(name),
    registered: (service: KubernetesServiceSpec) => registry?.registered(service) ?? null,
    has: (service: string) => registry?.has(service) ?? false,
    close() {
      isClosed = true
      registry?.close()
    },
  }
}
