import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import type { LoadBalancer } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'
import type { Level } from './level.ts'

/** So few endpoints are healthy that health is ignored. */
export interface Panic {
  readonly health: boolean
  readonly ejected: boolean
}

export const CALM: Panic = { health: false, ejected: false }

/**
 * Health compares endpoints that pass with those that fail; what the registry calls critical, in maintenance or
 * draining does not count. Ejections are counted among the endpoints that health lets through.
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

/** The endpoints of a level that get requests; `withHeld`: also those that an operator has ejected without force. */
export function rotationOf(level: Level, panic: Panic, withHeld = false): readonly Endpoint[] {
  if (!isPanic(panic)) return level.healthy
  return level.members.filter(({ spec, state, byHand }) => {
    const isAllowed = spec.health === 'passing' || (panic.health && spec.health === 'failing')
    if (!isAllowed) return false
    if (byHand !== 'no') return withHeld && byHand === 'yes'
    return state === 'admitting' || (state === 'probing' ? level.usesProbing || panic.ejected : panic.ejected)
  })
}

/** Notes in the record that the priority was in panic. */
export function panicPicker(next: LoadBalancer): LoadBalancer {
  return {
    pick(context) {
      context.record.panic = true
      return next.pick(context)
    },
  }
}

/** An empty priority counts as 0 % healthy. */
function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : (100 * part) / whole
}
