import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'

/**
 * Logs which sources are in trouble and which answer again: one line for all services that a lost registry affects, not
 * one each.
 */
export interface StaleNews {
  stale(service: string, source: string, reason: string): void
  /** `afterMs`: time since the previous answer; null: there was none. */
  fresh(service: string, source: string, afterMs: number | null): void
  /** The service or its source was removed. */
  forget(service: string, source: string): void
  stop(): void
}

/** Trouble that ends within this time is not logged, and trouble of several services within it is logged once. */
const GATHER_MS = 1_000
const MAX_NAMED = 5

type Word = { readonly service: string; readonly source: string } & (
  | { readonly kind: 'stale'; readonly reason: string }
  | { readonly kind: 'fresh'; readonly afterMs: number | null }
)

export function staleNews(log: Log, clock: Clock): StaleNews {
  const pending = new Map<string, Word>()
  const timer = clock.timer(say)

  /** If trouble and recovery follow each other within the time, neither is logged. */
  function note(word: Word): void {
    const key = `${word.source}\n${word.service}`
    const earlier = pending.get(key)
    if (earlier !== undefined && earlier.kind !== word.kind) {
      pending.delete(key)
      return
    }
    if (pending.size === 0) timer.arm(GATHER_MS)
    pending.set(key, word)
  }

  function say(): void {
    const words = [...pending.values()]
    pending.clear()
    const same = Map.groupBy(words, word =>
      word.kind === 'stale' ? `${word.source}\nstale\n${word.reason}` : `${word.source}\nfresh`,
    )
    for (const group of same.values()) {
      const { source } = group[0]!
      const names = group.map(({ service }) => service).sort()
      const services =
        names.length <= MAX_NAMED
          ? names.join(', ')
          : `${names.slice(0, MAX_NAMED).join(', ')} and ${names.length - MAX_NAMED} more services`
      const facts = { source, services: names.length }
      const reasons = group.flatMap(word => (word.kind === 'stale' ? word.reason : []))
      if (reasons.length > 0)
        log.warn(`${services}: no answer from ${source}, what is known stays in force: ${reasons[0]}`, facts)
      else log.info(`${services}: ${source} answers again${longest(group)}`, facts)
    }
  }

  return {
    stale: (service, source, reason) => note({ kind: 'stale', service, source, reason }),
    fresh: (service, source, afterMs) => note({ kind: 'fresh', service, source, afterMs }),
    forget: (service, source) => void pending.delete(`${source}\n${service}`),
    stop: () => timer.cancel(),
  }
}

function longest(words: readonly Word[]): string {
  const seconds = Math.round(
    Math.max(0, ...words.map(word => (word.kind === 'fresh' ? (word.afterMs ?? 0) : 0))) / 1000,
  )
  return seconds === 0 ? '' : ` after ${seconds} s`
}
