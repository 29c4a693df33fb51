import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { type Level, levelsOf } from './level.ts'
import { CALM, isPanic, type Panic, panicOf, rotationOf } from './panic.ts'

/** A priority and its share of the requests. */
export interface LoadedLevel {
  readonly level: Level
  /** Those that get requests. */
  readonly rotation: readonly Endpoint[]
  /** The percentage of all requests that it could carry, and the percentage it gets. */
  readonly availability: number
  readonly load: number
  readonly panic: Panic
}

/** The tolerance for rounding when shares are added up. */
const NEARLY = 1e-9

/**
 * Envoy's algorithm, without its rounding to whole percents. A priority carries everything while its healthy share x
 * overprovisioning is 100 %; the missing part goes to the next one. If all together do not make 100 %, each gets its
 * share of what there is, and each may panic. If no endpoint is healthy, or all priorities panic, endpoints count
 * alike.
 *
 * Where ejections leave no endpoint at all, as in a subset of one, what is probing is used for all requests; then what is
 * ejected, whatever `panic.ejected` says; then what an operator has ejected without force: a request to one of them may
 * succeed, and a 503 UH cannot.
 */
export function loadLevels(endpoints: readonly Endpoint[], spec: BalancerSpec): LoadedLevel[] {
  const levels = levelsOf(endpoints)
  if (levels.every(({ healthy }) => healthy.length === 0)) levels.forEach(useProbing)
  const availabilities = levels.map(level => availabilityOf(level, spec.overprovisioning))
  const total = sum(availabilities)
  let panics = levels.map(level => (total < 100 - NEARLY ? panicOf(level, spec.panic) : CALM))
  let rotations = levels.map((level, i) => rotationOf(level, panics[i]!))
  for (const withHeld of [false, true]) {
    if (!rotations.every(({ length }) => length === 0)) break
    panics = levels.map(level => panicOf(level, { ...spec.panic, ejected: 100 }))
    rotations = levels.map((level, i) => rotationOf(level, panics[i]!, withHeld))
  }
  const loads = total === 0 || panics.every(isPanic) ? bySize(rotations) : byAvailability(availabilities)
  return levels.map((level, i) => ({
    level,
    rotation: rotations[i]!,
    availability: availabilities[i]!,
    load: loads[i]!,
    panic: panics[i]!,
  }))
}

function useProbing(level: Level): void {
  level.usesProbing = level.probing.length !== 0
  level.healthy.push(...level.probing)
}

/**
 * Critical endpoints count as missing here. Draining endpoints and those in maintenance do not count: an operator
 * wanted that.
 */
function availabilityOf({ healthy, passing, failing, critical }: Level, overprovisioning: number): number {
  const whole = passing + failing + critical
  return whole === 0 ? 0 : Math.min(100, (100 * overprovisioning * healthy.length) / whole)
}

/** Percent of the requests for each; 100 in all. */
function byAvailability(availabilities: readonly number[]): number[] {
  const normalized = Math.min(100, sum(availabilities))
  let left = 100
  return availabilities.map(availability => {
    const load = Math.min(left, (availability * 100) / normalized)
    left -= load
    return load
  })
}

function bySize(rotations: readonly (readonly Endpoint[])[]): number[] {
  const total = sum(rotations.map(({ length }) => length))
  return rotations.map(({ length }) => (total === 0 ? 0 : (100 * length) / total))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
