import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { Clock, Random } from '../core/clock.ts'
import { hash32, mix32 } from '../core/hash.ts'
import type { Log } from '../core/log.ts'
import type { ServiceStatus } from '../core/source.ts'
import type { LastKnown } from './last-known.ts'
import { type Probe, probesInTurn } from './probe.ts'
import { type DiscoveredService, type ServiceEndpoints, serviceEndpoints } from './service-endpoints.ts'
import { staleNews } from './stale-news.ts'

/**
 * The endpoints of all services, from all sources: merged, guarded against mass removal, saved, and limited to a random
 * subset.
 */
export interface Discovery {
  /**
   * Takes all services: starts and stops sources that are new and gone; the others keep running. Does not call
   * `changed`: read `endpointsOf` afterwards.
   */
  configure(services: readonly DiscoveredService[]): void
  /** Adds one service, or gives it other sources; the others stay as they are. */
  add(service: DiscoveredService): void
  remove(service: string): void
  knows(service: string): boolean
  /** None for a service that is not configured. */
  endpointsOf(service: string): readonly EndpointSpec[]
  /**
   * Resolves when every source of these services (null: of all) has answered or failed once, at the latest after
   * `limitMs`: then with the endpoints known last.
   */
  firstAnswers(services: readonly string[] | null, limitMs: number): Promise<void>
  /** Undefined for a service that is not configured. */
  status(service: string): ServiceStatus | undefined
  statuses(): readonly ServiceStatus[]
  /** Resolves when everything known is on the disk. */
  stop(): Promise<void>
}

export interface DiscoveryDeps {
  readonly clock: Clock
  readonly log: Log
  readonly probe: Probe
  readonly lastKnown: LastKnown
  readonly random: Random
  /** May change with a reload. */
  readonly massRemovalPercent: () => number
  /**
   * The endpoints of a service changed; unchanged ones are the same objects. Called later than `configure`, from the
   * event loop.
   */
  readonly changed: (service: string, endpoints: readonly EndpointSpec[]) => void
}

export function discovery({ changed, ...deps }: DiscoveryDeps): Discovery {
  const { clock, log, lastKnown, random } = deps
  const news = staleNews(log, clock)
  const feedDeps = { ...deps, news, probe: probesInTurn(deps.probe) }
  /** The seed of random subsets, the same for the life of the process. */
  const seed = Math.floor(random() * 2 ** 32)
  const all = new Map<string, ServiceEndpoints>()
  const waiting = new Set<() => void>()

  function open(service: DiscoveredService): ServiceEndpoints {
    const { name } = service
    const opened: ServiceEndpoints = serviceEndpoints(
      service,
      mix32(seed, hash32(name)),
      () => changed(name, opened.endpoints()),
      recheck,
      feedDeps,
    )
    return opened
  }

  function recheck(): void {
    for (const check of waiting) check()
  }

  function firstAnswers(services: readonly string[] | null, limitMs: number): Promise<void> {
    const wanted = () => (services === null ? [...all.values()] : services.flatMap(name => all.get(name) ?? []))
    const unsettled = () => wanted().filter(service => !service.isSettled())
    if (unsettled().length === 0) return Promise.resolve()
    return new Promise(resolve => {
      const check = () => {
        if (unsettled().length > 0) return
        waiting.delete(check)
        timer.cancel()
        resolve()
      }
      const timer = clock.timer(() => {
        for (const service of unsettled()) service.settle()
        check()
      })
      waiting.add(check)
      timer.arm(limitMs)
    })
  }

  function put(service: DiscoveredService): void {
    const running = all.get(service.name)
    if (running === undefined) all.set(service.name, open(service))
    else running.configure(service)
  }

  function stop(name: string): void {
    all.get(name)?.stop()
    all.delete(name)
  }

  return {
    configure(services) {
      const names = new Set(services.map(({ name }) => name))
      for (const name of [...all.keys()]) if (!names.has(name)) stop(name)
      for (const service of services) put(service)
      recheck()
    },
    add(service) {
      put(service)
      recheck()
    },
    remove(name) {
      stop(name)
      recheck()
    },
    knows: name => all.has(name),
    endpointsOf: name => all.get(name)?.endpoints() ?? [],
    firstAnswers,
    status: name => all.get(name)?.status(),
    statuses: () => [...all.values()].map(service => service.status()),
    async stop() {
      for (const service of all.values()) service.stop()
      all.clear()
      recheck()
      news.stop()
      await lastKnown.flush()
    },
  }
}
