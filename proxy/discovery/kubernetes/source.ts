import type { EndpointSpec, KubernetesServiceSpec, KubernetesSpec } from '../../../mesh-config/snapshot.ts'
import type { Clock, Random } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { isSame } from '../../core/same.ts'
import { CONFIRM_MS, type EndpointWatcher } from '../../core/source.ts'
import { messageOf } from '../words.ts'
import { type EndpointOptions, endpointsOf } from './endpoints.ts'
import type { NamespaceWatch } from './namespace.ts'

export interface SourceDeps {
  readonly speaks: EndpointOptions['speaks']
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/**
 * Delivers the endpoints of one Service until the signal aborts, whenever they may have changed; the same array as before
 * where nothing did.
 */
export function watchService(
  { service, name, port }: KubernetesServiceSpec,
  namespace: NamespaceWatch,
  { family, services }: Pick<KubernetesSpec, 'family' | 'services'>,
  watcher: EndpointWatcher,
  { speaks, clock, random, log }: SourceDeps,
  signal: AbortSignal,
): void {
  let last: readonly EndpointSpec[] | null = null
  /** Nobody expects others to be there. */
  const isListed = services.some(each => each.service === service)
  let hasSaidAbsent = false
  /** Half of the time at least, so that the second answer is younger than the first. */
  const confirm = clock.timer(() => {
    if (watcher.isDoubted()) namespace.confirm()
  })

  const unfollow = namespace.follow(name, {
    changed(isDeleted) {
      try {
        deliver(isDeleted)
      } catch (error) {
        watcher.onTrouble(messageOf(error))
      }
    },
    troubled: reason => watcher.onTrouble(reason),
  })

  function deliver(isDeleted: boolean): void {
    const known = { service: namespace.services().get(name), slices: namespace.slicesOf(name) }
    if (isListed) sayAbsent(known.service === undefined && known.slices.length === 0)
    // That it was deleted is the will of its owner, and not an answer to be doubted.
    const now = isDeleted ? withdrawn(last ?? []) : endpointsOf(known, { port, family, speaks })
    if (last === null || !isSame(last, now)) last = now
    watcher.onSet(last)
    const trouble = namespace.trouble()
    if (trouble !== '') watcher.onTrouble(trouble)
    if (watcher.isDoubted()) confirm.arm(CONFIRM_MS * (0.6 + 0.4 * random()))
  }

  function sayAbsent(isAbsent: boolean): void {
    if (isAbsent && !hasSaidAbsent)
      log.warn(
        `${service}: there is no Service ${name} in the namespace ${namespace.name}, or there is no such namespace`,
        { service },
      )
    hasSaidAbsent = isAbsent
  }

  function stop(): void {
    confirm.cancel()
    unfollow()
  }
  if (signal.aborted) return stop()
  signal.addEventListener('abort', stop)
  // Others may have followed it before.
  if (namespace.isKnown(name)) deliver(false)
  else if (namespace.trouble() !== '') watcher.onTrouble(namespace.trouble())
}

function withdrawn(endpoints: readonly EndpointSpec[]): EndpointSpec[] {
  return endpoints.map(endpoint => ({ ...endpoint, health: 'draining', healthReason: 'its Service was deleted' }))
}
