import type { Random } from '../core/clock.ts'

/** Draws an index with probability proportional to its weight, in O(1): the alias method (Vose 1991). */
export interface WeightedDraw {
  draw(random: Random): number
}

export function aliasTable(weights: readonly number[]): WeightedDraw {
  const n = weights.length
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const share = new Float64Array(n)
  const alias = new Int32Array(n)
  const scaled = weights.map(weight => (weight * n) / total)
  const small: number[] = []
  const large: number[] = []
  for (let i = 0; i < n; i++) (scaled[i]! < 1 ? small : large).push(i)
  while (small.length !== 0 && large.length !== 0) {
    const less = small.pop()!
    const more = large.pop()!
    share[less] = scaled[less]!
    alias[less] = more
    scaled[more] = scaled[more]! + scaled[less]! - 1
    ;(scaled[more]! < 1 ? small : large).push(more)
  }
  for (const i of small) share[i] = 1
  for (const i of large) share[i] = 1
  return {
    draw(random) {
      const at = random() * n
      const i = Math.floor(at)
      return at - i < share[i]! ? i : alias[i]!
    },
  }
}
