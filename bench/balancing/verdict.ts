import type { Figures } from './figures.ts'

/** How a balancer did beside the best one in the same scenario. */
export type Verdict = 'best' | 'good' | 'poor' | 'bad'

/** More requests than this fail: what is quick because it fails is not quick. */
const FAILING = 0.001

/** The lowest p99 of those that hardly fail, or, where all fail, of all. */
export function bestP99(all: readonly Figures[]): number {
  const sound = all.filter(({ errors }) => errors < FAILING)
  return Math.min(...(sound.length === 0 ? all : sound).map(({ p99Ms }) => p99Ms))
}

/** Within 15 % of the best is what another seed would give; three times as long is what users feel. */
export function verdict({ p99Ms, errors }: Figures, best: number): Verdict {
  const ratio = p99Ms / best
  if (ratio > 3 || errors >= 0.01) return 'bad'
  if (ratio > 1.5 || errors >= FAILING) return 'poor'
  return ratio > 1.15 ? 'good' : 'best'
}
