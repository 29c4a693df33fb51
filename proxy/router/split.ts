import type { Random } from '../core/clock.ts'
import type { Cluster } from '../core/cluster.ts'
import type { DecisionRecord } from '../core/decision.ts'

export interface Destination {
  readonly name: string
  readonly weight: number
  /** Looked up when drawn: the service may be configured later. */
  cluster(): Cluster | null
}

/** Draws one destination by weight and notes the draw; a single destination needs no random number. */
export function split(
  destinations: readonly Destination[],
): (random: Random, record: DecisionRecord) => Cluster | null {
  if (destinations.length === 1) {
    const only = destinations[0]!
    return (_random, record) => {
      record.chosen = 0
      record.destination = only.name
      return only.cluster()
    }
  }
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0)
  return (random, record) => {
    record.draw = random()
    let left = record.draw * total
    let at = 0
    while (at < destinations.length - 1) {
      left -= destinations[at]!.weight
      if (left < 0) break
      at++
    }
    const chosen = destinations[at]!
    record.chosen = at
    record.destination = chosen.name
    return chosen.cluster()
  }
}
