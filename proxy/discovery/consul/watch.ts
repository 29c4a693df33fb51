import type { Clock, Random } from '../../core/clock.ts'
import { CONFIRM_MS } from '../../core/source.ts'
import { backOffMs, pause } from '../pause.ts'
import { messageOf } from '../words.ts'
import { type Answer, type Asked, isDenied, jsonOf } from './answer.ts'

export interface Watched {
  /** Rejects with the reason when there is no answer, also when the signal aborts. */
  readonly ask: (asked: Asked, signal: AbortSignal) => Promise<Answer>
  /**
   * Called with an answer that differs from the last one. An Error thrown here is trouble: the query is sent again, and
   * the answer counts as not given.
   */
  readonly onAnswer: (json: unknown, answer: Answer) => void
  /**
   * Whether the answer differs from what is known. A streamed answer with changes is not believed: it does not say what
   * the token may not see, and may be older than what is known. It only causes a new query, without waiting.
   */
  readonly isNews: (json: unknown) => boolean
  /** The answer equals the last one. */
  readonly onSame: (answer: Answer) => void
  /** The last answer is doubted, and one more decides. */
  readonly needsConfirming?: () => boolean
  /** One line for people; it holds until the next answer. */
  readonly onTrouble: (reason: string) => void
}

export interface WatchDeps {
  readonly clock: Clock
  readonly random: Random
  readonly waitMs: number
  /** How old the data of a server other than the leader may be; 0: only the leader is asked. */
  readonly maxStaleMs: number
}

/** The shortest time between two queries: data that changes all the time is read five times a second. */
const PERIOD_MS = 200
/** An answer that comes at once without changes, again and again, is asked for less and less often, down to this. */
const SPINNING_MS = 800
/**
 * Handling answers takes at most one part in this many of the time: large sets that change all the time are read less
 * often.
 */
const SHARE_OF_TIME = 20
const SLOWEST_MS = 800
/**
 * A server that has just started may lead before it has read all its data: a smaller index is believed when it is still
 * so after this time.
 */
const DOUBT_MS = 1000
/**
 * After this time the next query asks for everything, without an index: that repairs what was missed, and finds out how
 * old a stream is.
 */
const RELIST_MS = 120_000
const MAX_BACK_OFF_MS = 30_000
/** For a token that is replaced by hand: shorter, because people wait for it. */
const MAX_DENIED_MS = 10_000

/**
 * Repeats the same blocking query until the signal aborts. The rules are those of
 * https://developer.hashicorp.com/consul/api-docs/features/blocking, and lessons from other clients: an index that goes
 * back starts anew and asks the leader, one below 1 counts as 1, there is a least period, and failures back off with
 * jitter.
 */
export async function watchConsul(
  { ask, onAnswer, isNews, onSame, onTrouble, needsConfirming = () => false }: Watched,
  deps: WatchDeps,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, waitMs, maxStaleMs } = deps
  /** The index of the last answer; 0: ask without one, which is answered at once. */
  let index = 0
  /**
   * The index of the last answer from a server: a smaller one is older, unless the leader gives it. A server that has
   * just started knows little at first.
   */
  let known = 0
  let last = ''
  let failures = 0
  let listedAt = clock.now()
  let periodMs = PERIOD_MS
  let leader = false
  /** The leader gave an index below the known one: once is not enough. */
  let isDoubted = false
  /** From a server that was without its leader for too long: used while there is nothing else. */
  let tooOld: Answer | null = null

  /** False: the answer is not believed. */
  function take(answer: Answer, early: boolean): boolean {
    const now = `${answer.filtered}${answer.deniesByDefault}${process.getBuiltinModule('node:crypto').hash('sha1', answer.body, 'base64')}`
    if (now === last) {
      onSame(answer)
      periodMs = early ? Math.min(periodMs * 2, SPINNING_MS) : PERIOD_MS
      return true
    }
    const from = clock.now()
    const json = jsonOf(answer)
    if (!answer.streamed) onAnswer(json, answer)
    else if (isNews(json)) return false
    else onSame(answer)
    last = now
    periodMs = Math.min(SLOWEST_MS, Math.max(PERIOD_MS, (clock.now() - from) * SHARE_OF_TIME))
    return true
  }

  /** An empty answer is not believed. */
  function takeOld(answer: Answer): void {
    try {
      if (answer.body.toString('utf8', 0, 4).trim() !== '[]') take(answer, false)
    } catch {
      // The answer is malformed as well.
    }
  }

  async function fail(error: unknown): Promise<void> {
    failures++
    const silent = failures === 1 && last !== '' && !isDenied(error)
    if (last === '' && tooOld !== null) takeOld(tooOld)
    // One broken connection is not reported: it is tried again at once.
    if (!silent) onTrouble(messageOf(error))
    // With the old index a registry that lost its data would wait for a long time.
    index = 0
    leader = false
    isDoubted = false
    tooOld = null
    await pause(clock, backOffMs(failures, isDenied(error) ? MAX_DENIED_MS : MAX_BACK_OFF_MS, random), signal)
  }

  while (!signal.aborted) {
    const begunAt = clock.now()
    const confirms = needsConfirming()
    const whole = index === 0 || begunAt - listedAt >= (confirms ? CONFIRM_MS : RELIST_MS)
    if (whole) listedAt = begunAt
    const atMostMs = waitMs * (1 - 0.1 * random())
    const asked = {
      index: whole ? 0 : index,
      waitMs: confirms ? Math.min(atMostMs, CONFIRM_MS) : atMostMs,
      stale: maxStaleMs > 0 && !leader,
    }
    try {
      const answer = await ask(asked, signal)
      if (signal.aborted) return
      if (asked.stale && (!answer.knownLeader || answer.lastContactMs > maxStaleMs)) {
        tooOld = answer
        leader = true
        continue
      }
      const next = Math.max(1, answer.index)
      if ((next < index && asked.index > 0) || (next < known && asked.stale && !answer.streamed)) {
        index = 0
        leader = true
        continue
      }
      if (next < known && !answer.streamed && !isDoubted) {
        isDoubted = true
        index = 0
        leader = true
        await pause(clock, DOUBT_MS, signal)
        continue
      }
      if (!take(answer, clock.now() - begunAt < waitMs / 2)) {
        index = 0
        continue
      }
      index = next
      if (!answer.streamed) known = next
      failures = 0
      leader = false
      isDoubted = false
      tooOld = null
    } catch (error) {
      if (signal.aborted) return
      await fail(error)
      continue
    }
    await pause(clock, periodMs - (clock.now() - begunAt), signal)
  }
}
