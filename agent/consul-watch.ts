import { setTimeout as sleep } from 'node:timers/promises'
import { type ConsulAnswer, type ConsulApi, ConsulError } from './consul.ts'

export interface ConsulWatch {
  /** Below /v1/. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  /** A new answer, 404 too. An error thrown here is trouble, and the query is sent again. */
  onAnswer(answer: ConsulAnswer, facts: AnswerFacts): void | Promise<void>
  /** One line for people; it holds until the next answer. */
  onTrouble(reason: string): void
}

export interface AnswerFacts {
  /** The index is smaller than before: Consul has lost data, or was restored. */
  readonly wentBack: boolean
}

/** The default of Consul. */
const WAIT_MS = 5 * 60_000
/** The shortest time between two queries: data that changes all the time is read ten times a second. */
const PERIOD_MS = 100
/** A server that has just started may lead before it has read its data: a smaller index must hold for so long. */
const DOUBT_MS = 1_000
const FIRST_BACK_OFF_MS = 250
const MAX_BACK_OFF_MS = 2_000

/**
 * Repeats a blocking query until the signal aborts, by the rules of
 * https://developer.hashicorp.com/consul/api-docs/features/blocking: an index that goes back starts anew, errors back
 * off with jitter.
 */
export async function watchConsul(consul: ConsulApi, watch: ConsulWatch, signal: AbortSignal): Promise<void> {
  const { path, query = {}, onAnswer, onTrouble } = watch
  let index = 0
  let known = 0
  let failures = 0
  let isDoubted = false
  while (!signal.aborted) {
    const from = performance.now()
    try {
      const blocking = index === 0 ? {} : { query: { ...query, index: String(index) }, waitMs: WAIT_MS }
      const answer = await consul.call('GET', path, { query, signal, ...blocking })
      if (signal.aborted) return
      if (answer.index < known && !isDoubted) {
        isDoubted = true
        index = 0
        await pause(DOUBT_MS, signal)
        continue
      }
      if (answer.index !== index || failures > 0) await onAnswer(answer, { wentBack: answer.index < known })
      index = answer.index
      known = answer.index
      isDoubted = false
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      failures++
      // A connection that Consul closed while it restarts is tried again before anybody is told.
      if (failures > 1 || known === 0 || (error instanceof ConsulError && error.status > 0))
        onTrouble((error as Error).message)
      index = 0
      const most = Math.min(MAX_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** (failures - 1))
      await pause(most / 2 + (Math.random() * most) / 2, signal)
      continue
    }
    await pause(PERIOD_MS - (performance.now() - from), signal)
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => {})
}
