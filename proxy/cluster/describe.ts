import type { Balance } from './balance.ts'
import { isPanic } from './panic.ts'

/** What balancing does beyond its policy, as plain data. Percents. */
export interface BalanceView {
  readonly panic: boolean
  readonly priorities: readonly PriorityView[]
  /** How much stays in the own zone; null with the reason where zones are not used. */
  readonly localPercent: number | null
  readonly zonesOff: string
}

export interface PriorityView {
  readonly priority: number
  /** Numbers of endpoints: all, those that pass and are not ejected, and those that get requests. */
  readonly endpoints: number
  readonly healthy: number
  readonly inRotation: number
  readonly availability: number
  readonly load: number
  readonly panic: '' | 'health' | 'ejected' | 'health and ejected'
}

export function describeBalance({ panic, levels, zones }: Balance): BalanceView {
  return {
    panic,
    priorities: levels.map(({ level, rotation, availability, load, panic: own }) => ({
      priority: level.priority,
      endpoints: level.members.length,
      healthy: level.healthy.length,
      inRotation: rotation.length,
      availability,
      load,
      panic:
        !isPanic(own) || rotation.length === 0
          ? ''
          : own.health
            ? own.ejected
              ? 'health and ejected'
              : 'health'
            : 'ejected',
    })),
    localPercent: typeof zones === 'string' ? null : zones.local * 100,
    zonesOff: typeof zones === 'string' ? zones : '',
  }
}
