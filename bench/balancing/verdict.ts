import type { Figures } from './figures.ts'

/** A balancer compared with the best one in the same scenario. */
export type Verdict = 'best' | 'good' | 'poor' | 'bad'

/** Above this share of failures a low latency does not count: it may come from fast failures. */
const FAILING = 0.001

/** The lowest p99 of balancers that hardly fail, or of all where all fail. */
export function bestP99(all: readonly Figures[]): number {
  const sound = all.filter(({ errors }) => errors < FAILING)
  return Math.min(...(sound.length === 0 ? all : sound).map(({ p99Ms }) => p99Ms))
}

/** Within 15 % of the best is the spread of seeds; three times as long is noticeable. */
export function verdict({ p99Ms, errors }: Figures, best: number): Verdict {
  const ratio = p99Ms / best
  if (ratio > 3 || errors >= 0.01) return 'bad'
  if (ratio > 1.5 || errors >= FAILING) return 'poor'
  return ratio > 1.15 ? 'good' : 'best'
}
