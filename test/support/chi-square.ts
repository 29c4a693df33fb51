/**
 * Pearson's statistic of observed counts against expected shares, as a z-score (Wilson and Hilferty): a fair draw stays
 * below 4 but for one time in thirty thousand, and with a seed it is always the same draw.
 */
export function chiSquareScore(observed: readonly number[], shares: readonly number[]): number {
  const total = observed.reduce((sum, count) => sum + count, 0)
  const whole = shares.reduce((sum, share) => sum + share, 0)
  let statistic = 0
  observed.forEach((count, i) => {
    const expected = (total * shares[i]!) / whole
    statistic += (count - expected) ** 2 / expected
  })
  const freedom = observed.length - 1
  const ratio = Math.cbrt(statistic / freedom)
  return (ratio - (1 - 2 / (9 * freedom))) / Math.sqrt(2 / (9 * freedom))
}
