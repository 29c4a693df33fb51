import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { EndpointSource, SourceStatus } from '../core/source.ts'
import { isInUse } from './endpoint-lists.ts'
import { guard } from './guard.ts'
import type { LastKnown } from './last-known.ts'
import type { Probe } from './probe.ts'
import type { StaleNews } from './stale-news.ts'

/** An empty answer counts more than older data, whose addresses may belong to other services by now. */
const RECENT_MS = 24 * 3_600_000

/** One source of one service: its endpoints, guarded and saved. */
export interface Feed {
  endpoints(): readonly EndpointSpec[]
  /** It has answered or failed. */
  isSettled(): boolean
  /** It took too long: uses the endpoints known last. */
  settle(): void
  status(): SourceStatus
  stop(): void
}

export interface FeedDeps {
  readonly clock: Clock
  readonly log: Log
  readonly probe: Probe
  readonly massRemovalPercent: () => number
  readonly lastKnown: LastKnown
  readonly news: StaleNews
}

/** `changed`: the endpoints may have changed, or it has settled. May be called before this returns. */
export function feed(service: string, source: EndpointSource, changed: () => void, deps: FeedDeps): Feed {
  const { clock, log, probe, massRemovalPercent, lastKnown, news } = deps
  const abort = new AbortController()
  let trouble = ''
  /** Monotonic time. */
  let answeredAt: number | null = null
  /** Wall time: when the endpoints read from the disk were last confirmed. */
  let savedAt: number | null = null
  let isSettled = false

  const guarded = guard({
    service,
    source: source.name,
    massRemovalPercent,
    probe,
    clock,
    log,
    changed() {
      remember()
      changed()
    },
  })

  function remember(): void {
    if (answeredAt !== null) lastKnown.put(service, source.name, guarded.trusted())
  }

  function recall(maxAgeMs: number): void {
    const saved = lastKnown.get(service, source.name)
    if (saved === null || saved.endpoints.length === 0 || clock.wallTime() - saved.savedAt > maxAgeMs) return
    guarded.assume(saved.endpoints)
    savedAt = saved.savedAt
  }

  function settle(): void {
    isSettled = true
    if (answeredAt === null && savedAt === null) recall(Number.POSITIVE_INFINITY)
  }

  function onSet(endpoints: readonly EndpointSpec[]): void {
    if (abort.signal.aborted) return
    // A first answer that would leave no endpoint is compared with what was known before; any other is taken as it is.
    if (answeredAt === null && savedAt === null && !endpoints.some(isInUse)) recall(RECENT_MS)
    guarded.take(endpoints)
    if (trouble !== '') news.fresh(service, source.name, ageMs())
    trouble = ''
    answeredAt = clock.now()
    savedAt = null
    isSettled = true
    remember()
    changed()
  }

  function onTrouble(reason: string): void {
    if (abort.signal.aborted) return
    if (trouble === '') news.stale(service, source.name, reason)
    trouble = reason
    if (isSettled) return
    settle()
    changed()
  }

  function ageMs(): number | null {
    if (answeredAt !== null) return clock.now() - answeredAt
    return savedAt === null ? null : Math.max(0, clock.wallTime() - savedAt)
  }

  source.watch({ onSet, onTrouble, isDoubted: guarded.isUndecided }, abort.signal)

  return {
    endpoints: guarded.endpoints,
    isSettled: () => isSettled,
    settle() {
      if (isSettled) return
      settle()
      changed()
    },
    status() {
      const isKnown = answeredAt !== null || savedAt !== null
      const endpoints = guarded.endpoints()
      return {
        name: source.name,
        state: !isKnown ? 'waiting' : trouble !== '' || answeredAt === null ? 'stale' : 'fresh',
        ageMs: ageMs(),
        trouble,
        endpoints: endpoints.length,
        suspects: guarded.suspects(),
        fromDisk: savedAt !== null,
      }
    },
    stop() {
      abort.abort()
      guarded.stop()
      news.forget(service, source.name)
    },
  }
}
