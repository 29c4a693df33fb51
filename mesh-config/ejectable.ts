/** How many of so many endpoints may be ejected at a time: never the last, and one of at least two, because 10 % of three must not mean never. 0 % means none. */
export function mostEjected(count: number, maxEjectedPercent: number): number {
  if (maxEjectedPercent === 0) return 0
  return Math.min(count - 1, Math.max(1, Math.floor((count * maxEjectedPercent) / 100)))
}
