/**
 * How many of `count` endpoints may be ejected at a time. The last one is never ejected. Of two or more, one may always
 * be, because 10 % of three would otherwise be none. 0 % is none.
 */
export function mostEjected(count: number, maxEjectedPercent: number): number {
  if (maxEjectedPercent === 0) return 0
  return Math.min(count - 1, Math.max(1, Math.floor((count * maxEjectedPercent) / 100)))
}
