import type { Clock, Random } from '../../core/clock.ts'
import { CONFIRM_MS } from '../../core/source.ts'
import { type Answer, type Asked, isDenied, jsonOf, messageOf } from './answer.ts'
import { backOffMs, pause } from './pause.ts'

export interface Watched {
  /** Rejects with why there was no answer, also when the signal aborts. */
  readonly ask: (asked: Asked, signal: AbortSignal) => Promise<Answer>
  /**
   * Says something else than the last one. An Error that this throws is trouble: the question is asked again, and the
   * answer counts as not given.
   */
  readonly onAnswer: (json: unknown, answer: Answer) => void
  /**
   * Whether this is something else than what is known. A streamed answer that is news is not believed: it does not say
   * what the token may not see, and may be older than what is known. So it only gives cause to ask anew, without
   * waiting.
   */
  readonly isNews: (json: unknown) => boolean
  /** Says what the last one said. */
  readonly onSame: (answer: Answer) => void
  /** The last answer is doubted, and one more decides. */
  readonly needsConfirming?: () => boolean
  /** One line for people; until the next answer. */
  readonly onTrouble: (reason: string) => void
}

export interface WatchDeps {
  readonly clock: Clock
  readonly random: Random
  readonly waitMs: number
  /** How old the data of a server may be that is not the leader; 0: only the leader is asked. */
  readonly maxStaleMs: number
}

/** No question sooner after the one before it: what changes all the time is looked at five times a second. */
const PERIOD_MS = 200
/** What answers at once and says nothing new, again and again, is asked less and less often, down to this. */
const SPINNING_MS = 800
/**
 * An answer costs no more than one part in so many of the time: large sets that change all the time are looked at less
 * often.
 */
const SHARE_OF_TIME = 20
const SLOWEST_MS = 800
/**
 * A server that has just been started may lead before it has read all that it wrote down: an index that went back is
 * believed when it is still so after this.
 */
const DOUBT_MS = 1000
/**
 * After so long the next question is for everything, without an index: that heals whatever was missed, and finds out
 * how old a stream is.
 */
const RELIST_MS = 120_000
const MAX_BACK_OFF_MS = 30_000
/** A token is replaced by hand, or just now: shorter, for those who wait for it. */
const MAX_DENIED_MS = 10_000

/**
 * Asks the same blocking query again and again until the signal aborts; the rules are those of
 * https://developer.hashicorp.com/consul/api-docs/features/blocking and of what went wrong in others: an index that
 * goes back starts anew and asks the leader, one below 1 counts as 1, there is a least period, and failures are met
 * with jittered back-off.
 */
export async function watchConsul(
  { ask, onAnswer, isNews, onSame, onTrouble, needsConfirming = () => false }: Watched,
  deps: WatchDeps,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, waitMs, maxStaleMs } = deps
  /** Of the last answer; 0: ask without one, which is answered at once. */
  let index = 0
  /**
   * Of the last answer that came from a server: less is older, unless the leader says so. A server that has just been
   * started knows little, at first.
   */
  let known = 0
  let last = ''
  let failures = 0
  let listedAt = clock.now()
  let periodMs = PERIOD_MS
  let leader = false
  /** The leader said an index that is less than the one that is known: once is not enough. */
  let isDoubted = false
  /** From a server too long without its leader: better than nothing, while there is nothing else. */
  let tooOld: Answer | null = null

  /** False: it is not believed. */
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

  /** That there is nothing is not believed. */
  function takeOld(answer: Answer): void {
    try {
      if (answer.body.toString('utf8', 0, 4).trim() !== '[]') take(answer, false)
    } catch {
      // It makes no sense either.
    }
  }

  async function fail(error: unknown): Promise<void> {
    failures++
    const silent = failures === 1 && last !== '' && !isDenied(error)
    if (last === '' && tooOld !== null) takeOld(tooOld)
    // A single broken connection is not worth a word: it is tried again at once.
    if (!silent) onTrouble(messageOf(error))
    // A registry that lost its data would let the old index wait for a long time.
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
