import type { Clock } from '../core/clock.ts'
import { helpOf } from '../core/metrics-table.ts'
import { add, type ProxyEvent } from '../core/telemetry.ts'
import type { Peer } from '../core/wire.ts'
import type { StatsWriter } from './stats.ts'

/**
 * The shortest time between two log lines for each guard and side: an attacker returns again and again, and the counter
 * counts every trip.
 */
const LOG_EVERY_MS = 1000

export type GuardTripped = (guard: string, detail: string, peer: Peer) => void

/** Counts the peers that a guard of HTTP/2 stopped, and logs the address of some. */
export function guardTrips(
  side: 'downstream' | 'upstream',
  guards: readonly string[],
  stats: StatsWriter,
  clock: Clock,
  event: (event: ProxyEvent) => void,
): GuardTripped {
  const help = helpOf('outrigger_http2_guard_trips_total')
  const series = new Map(
    guards.map(guard => [
      guard,
      {
        counter: stats.counter('outrigger_http2_guard_trips_total', help, { side, guard }),
        loggedAt: Number.NEGATIVE_INFINITY,
        unlogged: 0,
      },
    ]),
  )
  return (guard, detail, peer) => {
    const own = series.get(guard)!
    add(own.counter, 1)
    const now = clock.now()
    if (now - own.loggedAt < LOG_EVERY_MS) {
      own.unlogged++
      return
    }
    event({ kind: 'http2-guard', side, guard, detail, peer: `${peer.address}:${peer.port}`, unlogged: own.unlogged })
    own.loggedAt = now
    own.unlogged = 0
  }
}
