import type { Clock, Random } from '../../core/clock.ts'
import type { KubernetesApi } from './api.ts'
import { type Collection, collection } from './collection.ts'
import { type ServiceRecord, type SliceRecord, serviceOf, sliceOf } from './objects.ts'

/**
 * What is watched of one namespace, by two watches: one has all of its Services, which are small and seldom change, and
 * one the EndpointSlices of the Services that are used here.
 */
export interface NamespaceWatch {
  readonly name: string
  /** The slices of this Service are watched from now on. Returns what ends it. */
  follow(service: string, follower: Follower): () => void
  isFollowed(): boolean
  services(): ReadonlyMap<string, ServiceRecord>
  /** The Services have been listed. */
  areServicesKnown(): boolean
  slicesOf(service: string): readonly SliceRecord[]
  /** Both have been listed since it was followed. */
  isKnown(service: string): boolean
  /** Why what is known may be old; empty: it is not. */
  trouble(): string
  /** One more answer is wanted. */
  confirm(): void
  stop(): void
}

export interface Follower {
  /** What is known of it may have changed, or is confirmed. `isDeleted`: the API server said that it was deleted. */
  changed(isDeleted: boolean): void
  troubled(reason: string): void
}

export interface NamespaceOptions {
  readonly name: string
  /** The Services have changed. */
  readonly onServices: () => void
  /** The Services are known, or cannot be. */
  readonly onSettled: () => void
}

export interface NamespaceDeps {
  readonly api: Pick<KubernetesApi, 'get' | 'stream'>
  readonly clock: Clock
  readonly random: Random
}

const MOST_SERVICES = 20_000
const MOST_SLICES = 50_000
/** Mostly several services are followed at once. */
const SETTLE_MS = 20
/** A selector of more names would not fit into every proxy's idea of a URL: then all slices are watched. */
const MOST_SELECTOR = 6_000
const LABEL = 'kubernetes.io/service-name'

export function namespaceWatch({ name, onServices, onSettled }: NamespaceOptions, deps: NamespaceDeps): NamespaceWatch {
  const { clock } = deps
  const followers = new Map<string, Set<Follower>>()
  /** Names of slices, by Service. */
  let byService = new Map<string, Set<string>>()
  const serviceOfSlice = new Map<string, string>()
  /** Those that the last list and its watch are about, and those of the list that is under way. */
  let covered = new Set<string>()
  let asked = new Set<string>()
  let slices: Collection<SliceRecord> | null = null
  const settle = clock.timer(() => {
    if ([...followers.keys()].some(service => !asked.has(service))) slices?.relist()
  })

  const services = collection<ServiceRecord>(
    {
      path: `/api/v1/namespaces/${name}/services`,
      selector: () => '',
      read: serviceOf,
      rights: `list and watch on services in the namespace ${name}`,
      most: MOST_SERVICES,
      onChange(changed, deleted) {
        for (const service of changed ?? followers.keys()) tell(service, deleted.has(service))
        onServices()
        onSettled()
      },
      onConfirmed: tellAll,
      onTrouble(reason) {
        troubleAll(reason)
        onSettled()
      },
    },
    deps,
  )

  function sliceWatch(): Collection<SliceRecord> {
    return collection<SliceRecord>(
      {
        path: `/apis/discovery.k8s.io/v1/namespaces/${name}/endpointslices`,
        selector: () => {
          asked = new Set(followers.keys())
          const selector = `${LABEL} in (${[...asked].sort().join(',')})`
          return selector.length > MOST_SELECTOR ? LABEL : selector
        },
        read: sliceOf,
        rights: `list and watch on endpointslices.discovery.k8s.io in the namespace ${name}`,
        most: MOST_SLICES,
        onChange(changed) {
          if (changed === null) covered = asked
          for (const service of index(changed)) tell(service, false)
        },
        onConfirmed: tellAll,
        onTrouble: troubleAll,
      },
      deps,
    )
  }

  /** Keeps `byService` true; the Services whose slices have changed. */
  function index(changed: ReadonlySet<string> | null): Iterable<string> {
    const { items } = slices!
    if (changed === null) {
      byService = new Map()
      serviceOfSlice.clear()
      for (const slice of items.keys()) put(slice)
      return followers.keys()
    }
    const touched = new Set<string>()
    for (const slice of changed) {
      const before = serviceOfSlice.get(slice)
      if (before !== undefined) {
        byService.get(before)?.delete(slice)
        touched.add(before)
      }
      serviceOfSlice.delete(slice)
      put(slice)
      const now = serviceOfSlice.get(slice)
      if (now !== undefined) touched.add(now)
    }
    return touched
  }

  function put(slice: string): void {
    const service = slices!.items.get(slice)?.service
    if (service === undefined || service === '') return
    serviceOfSlice.set(slice, service)
    byService.set(service, (byService.get(service) ?? new Set()).add(slice))
  }

  const isKnown = (service: string) => services.isListed() && covered.has(service)

  function tell(service: string, isDeleted: boolean): void {
    for (const follower of [...(followers.get(service) ?? [])]) if (isKnown(service)) follower.changed(isDeleted)
  }

  function tellAll(): void {
    if (trouble() === '') for (const service of [...followers.keys()]) tell(service, false)
  }

  function troubleAll(reason: string): void {
    for (const all of [...followers.values()]) for (const follower of [...all]) follower.troubled(reason)
  }

  const trouble = () => services.trouble() || (slices?.trouble() ?? '')

  return {
    name,
    follow(service, follower) {
      followers.set(service, (followers.get(service) ?? new Set()).add(follower))
      slices ??= sliceWatch()
      if (!covered.has(service)) settle.arm(SETTLE_MS)
      return () => {
        const all = followers.get(service)
        if (all === undefined || !all.delete(follower) || all.size > 0) return
        followers.delete(service)
        if (followers.size > 0) return
        slices?.stop()
        slices = null
        covered = new Set()
        asked = new Set()
      }
    },
    isFollowed: () => followers.size > 0,
    services: () => services.items,
    areServicesKnown: services.isListed,
    slicesOf(service) {
      return [...(byService.get(service) ?? [])].flatMap(slice => slices?.items.get(slice) ?? [])
    },
    isKnown,
    trouble,
    confirm() {
      slices?.relist()
    },
    stop() {
      settle.cancel()
      services.stop()
      slices?.stop()
    },
  }
}
