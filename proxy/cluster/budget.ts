import { type Cells, ownCells } from '../core/cells.ts'
import type { RetryBudget } from '../core/cluster.ts'

const SECONDS = 10
/** A bucket is a second: its number, and how many requests and retries there were in it. */
const SECOND = 0
const REQUESTS = 1
const RETRIES = 2
const BUCKET_WORDS = 3
/** Of one data thread, in whole lines of the processor's cache. */
const THREAD_WORDS = 32

/** Of the budget, for one of several routes. Each data thread gives it its part of that, so all of them keep to it. */
const ROUTE_SHARE = 0.75

export interface ServiceBudget extends RetryBudget {
  configure(percent: number, minPerSecond: number): void
  close(): void
}

/**
 * Retries may be `percent` of the requests of the last ten seconds, and `minPerSecond` besides, so that a quiet service
 * can retry at all (Finagle's RetryBudget). One for all data threads: each counts in buckets of its own, so a request
 * costs one plain increment, and a retry looks at the buckets of all. A retry is counted before it is looked whether
 * it may be: two threads that take the last one at the same time both go without, and there is never one too many.
 */
export function retryBudget(
  percent: number,
  minPerSecond: number,
  { service, cells }: { readonly service: string; readonly cells: Cells } = { service: '', cells: ownCells },
): ServiceBudget {
  const cell = cells.open(`retries ${service}`, THREAD_WORDS * cells.threads)
  const { words } = cell
  const own = THREAD_WORDS * cells.thread
  let current = -1
  /** The bucket of that second. */
  let at = own

  /** A bucket is emptied before it gets its new number: another thread never sees what was in it as of now. */
  function turnTo(second: number): void {
    current = second
    at = own + (second % SECONDS) * BUCKET_WORDS
    if (words[at + SECOND] === second) return
    Atomics.store(words, at + REQUESTS, 0)
    Atomics.store(words, at + RETRIES, 0)
    Atomics.store(words, at + SECOND, second)
  }

  /** Over all data threads, in the last ten seconds. */
  function sum(kind: number): number {
    let total = 0
    for (let thread = 0; thread < words.length; thread += THREAD_WORDS)
      for (let i = 0; i < SECONDS; i++) {
        const bucket = thread + i * BUCKET_WORDS
        if (Atomics.load(words, bucket + SECOND) > current - SECONDS) total += Atomics.load(words, bucket + kind)
      }
    return total
  }

  const allowed = (): number => (sum(REQUESTS) * percent) / 100 + minPerSecond * SECONDS

  return {
    deposit(now) {
      const second = Math.floor(now / 1000)
      if (second !== current) turnTo(second)
      words[at + REQUESTS]!++
    },
    tryWithdraw(now, share = 1, route = null) {
      const second = Math.floor(now / 1000)
      if (second !== current) turnTo(second)
      const most = allowed() * share
      if (route !== null && route.sum(now) >= (most * ROUTE_SHARE) / cells.threads) return false
      Atomics.add(words, at + RETRIES, 1)
      if (sum(RETRIES) < most + 1) {
        route?.add(now, 1)
        return true
      }
      Atomics.sub(words, at + RETRIES, 1)
      return false
    },
    state(now) {
      const second = Math.floor(now / 1000)
      if (second !== current) turnTo(second)
      return { spent: sum(RETRIES), allowed: allowed() }
    },
    configure(nextPercent, nextMinPerSecond) {
      percent = nextPercent
      minPerSecond = nextMinPerSecond
    },
    close: cell.close,
  }
}
