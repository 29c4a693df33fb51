import type { Clock, Timer } from '../core/clock.ts'

export interface NameAnswer {
  /** Empty: there is no such name. */
  readonly addresses: readonly string[]
  /** Infinity: not known. */
  readonly ttlMs: number
}

/** The result for a name: at least one address, or why there is none. */
export type NameAnswered = (addresses: readonly string[], trouble: string) => void

/**
 * Addresses of names that connections are made to. A connection uses the last answer and does not wait; only the first
 * connection to a name waits for its first answer. Each name is resolved by itself, once at a time, and again when its
 * TTL is over for as long as it is used; a name without an answer does not delay the others.
 */
export interface NameCache {
  /** `answered` is called once: immediately when an answer is there. */
  find(name: string, answered: NameAnswered): void
}

export interface NameCacheDeps {
  readonly clock: Clock
  /**
   * Rejects with an Error with a message for people when it is not certain whether the name exists. May take any time.
   */
  readonly resolve: (name: string) => Promise<NameAnswer>
}

/** The longest a connection waits for an answer. The query goes on. */
const WAIT_MS = 5_000
const LEAST_TTL_MS = 1_000
const LONGEST_TTL_MS = 30_000
/** "No such name", after an earlier answer, counts when it is confirmed. */
const CONFIRM_MS = 2_000
const FIRST_RETRY_MS = 1_000
/** Without an address, connections fail until the next answer. */
const RETRY_MS = 5_000
/** A name without a connection for this time is forgotten. */
const IDLE_MS = 600_000
const MOST = 10_000
const LOOK_MS = 1_000

interface Entry {
  readonly name: string
  addresses: readonly string[]
  trouble: string
  /** The last answer was "no such name". */
  isMissing: boolean
  isAsking: boolean
  failures: number
  dueAt: number
  usedAt: number
  readonly waiting: NameAnswered[]
  readonly limit: Timer
}

export function nameCache({ clock, resolve }: NameCacheDeps): NameCache {
  const entries = new Map<string, Entry>()
  const look = clock.timer(refresh)

  function entryOf(name: string): Entry {
    const known = entries.get(name)
    if (known !== undefined) return known
    if (entries.size >= MOST) entries.delete(entries.keys().next().value!)
    if (entries.size === 0) look.arm(LOOK_MS)
    const limit = clock.timer(() => settle(entry, `the name ${name} had no answer within ${WAIT_MS / 1000} s`))
    const entry: Entry = {
      name,
      addresses: [],
      trouble: '',
      isMissing: false,
      isAsking: false,
      failures: 0,
      dueAt: 0,
      usedAt: 0,
      waiting: [],
      limit,
    }
    entries.set(name, entry)
    return entry
  }

  async function ask(entry: Entry): Promise<void> {
    entry.isAsking = true
    entry.limit.arm(WAIT_MS)
    try {
      take(entry, await resolve(entry.name))
    } catch (error) {
      entry.failures++
      settle(entry, (error as Error).message)
      entry.dueAt =
        clock.now() +
        Math.min(
          FIRST_RETRY_MS * 2 ** Math.min(entry.failures - 1, 10),
          entry.addresses.length > 0 ? LONGEST_TTL_MS : RETRY_MS,
        )
    }
    entry.isAsking = false
    entry.limit.cancel()
  }

  function take(entry: Entry, { addresses, ttlMs }: NameAnswer): void {
    const isFirstDenial = addresses.length === 0 && entry.addresses.length > 0 && !entry.isMissing
    entry.failures = 0
    entry.isMissing = addresses.length === 0
    if (!isFirstDenial) entry.addresses = addresses
    entry.dueAt = clock.now() + (entry.isMissing ? CONFIRM_MS : Math.min(LONGEST_TTL_MS, Math.max(LEAST_TTL_MS, ttlMs)))
    settle(entry, entry.isMissing ? `there is no name ${entry.name}` : '')
  }

  function settle(entry: Entry, trouble: string): void {
    entry.trouble = trouble
    for (const answered of entry.waiting.splice(0)) answered(entry.addresses, trouble)
  }

  function refresh(): void {
    const now = clock.now()
    for (const entry of entries.values()) {
      if (entry.isAsking) continue
      if (now - entry.usedAt >= IDLE_MS) entries.delete(entry.name)
      else if (now >= entry.dueAt) void ask(entry)
    }
    if (entries.size > 0) look.arm(LOOK_MS)
  }

  return {
    find(name, answered) {
      const entry = entryOf(name)
      entry.usedAt = clock.now()
      if (entry.addresses.length > 0) return answered(entry.addresses, '')
      // A query is under way or just finished, and the wait is over.
      if (entry.trouble !== '' && (entry.isAsking || clock.now() < entry.dueAt)) return answered([], entry.trouble)
      entry.waiting.push(answered)
      if (!entry.isAsking) void ask(entry)
    },
  }
}
