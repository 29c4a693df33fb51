import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import type { LoadBalancer } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'
import type { Level } from './level.ts'

/** So few are healthy that this is not believed. */
export interface Panic {
  readonly health: boolean
  readonly ejected: boolean
}

export const CALM: Panic = { health: false, ejected: false }

/**
 * Health is judged by what passes against what fails; what the registry calls critical, in maintenance or draining has
 * no part in it. Ejections are judged among those that health lets through.
 */
export function panicOf(level: Level, thresholds: BalancerSpec['panic']): Panic {
  const health = percent(level.passing, level.passing + level.failing) < thresholds.health
  const allowed = health ? level.passing + level.failing : level.passing
  const ejected = health ? level.ejectedPassing + level.ejectedFailing : level.ejectedPassing
  return { health, ejected: percent(allowed - ejected, allowed) < thresholds.ejected }
}

export function isPanic({ health, ejected }: Panic): boolean {
  return health || ejected
}

/** The endpoints of a level that get requests. */
export function rotationOf(level: Level, panic: Panic): readonly Endpoint[] {
  if (!isPanic(panic)) return level.healthy
  return level.members.filter(({ spec, state }) => {
    const isAllowed = spec.health === 'passing' || (panic.health && spec.health === 'failing')
    return isAllowed && (panic.ejected || state !== 'ejected')
  })
}

/** Says in the record that it was in panic. */
export function panicPicker(next: LoadBalancer): LoadBalancer {
  return {
    pick(context) {
      context.record.panic = true
      return next.pick(context)
    },
  }
}

/** Of nothing, nothing is healthy. */
function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : (100 * part) / whole
}
