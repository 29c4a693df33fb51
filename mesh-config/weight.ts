/**
 * The greatest endpoint weight, from any source. A greater one in a file is refused; in a registry it counts as this
 * one.
 */
export const MAX_WEIGHT = 1_000_000

/** The weight of an instance in a registry. A value that is no weight counts as 1, as a missing one does. */
export function boundedWeight(weight: unknown): number {
  return Number.isInteger(weight) && (weight as number) >= 1 ? Math.min(weight as number, MAX_WEIGHT) : 1
}
