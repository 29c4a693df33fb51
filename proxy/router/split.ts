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
      record.destination = only.name
      return only.cluster()
    }
  }
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0)
  return (random, record) => {
    record.draw = random()
    let left = record.draw * total
    let chosen = destinations[destinations.length - 1]!
    for (const destination of destinations) {
      left -= destination.weight
      if (left < 0) {
        chosen = destination
        break
      }
    }
    record.destination = chosen.name
    return chosen.cluster()
  }
}
