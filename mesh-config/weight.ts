/** The bound of endpoint weights, whatever the source: a file that has more is refused, and a registry's instance that has more counts as this. */
export const MAX_WEIGHT = 1_000_000

/** A weight that somebody else wrote; what is no weight counts as none given, which is 1. */
export function boundedWeight(weight: unknown): number {
  return Number.isInteger(weight) && (weight as number) >= 1 ? Math.min(weight as number, MAX_WEIGHT) : 1
}
