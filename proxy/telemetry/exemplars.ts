import type { ToControl } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { OCTAVES, octaveOf } from '../core/slots.ts'
import type { HistogramSeries } from './stats.ts'

/** An exemplar of a bucket is told again after this time, so that what a scrape shows is recent. */
const EVERY_MS = 5_000
/** What a data thread tells at most in a second, over all histograms. */
const MOST_PER_SECOND = 50

/** Takes the traced requests that latency histograms count, and tells the control thread of a few. */
export interface ExemplarSink {
  offer(histogram: HistogramSeries, exchange: Exchange, durationMs: number): void
}

export interface ExemplarDeps {
  readonly clock: Clock
  readonly send: (message: ToControl) => void
}

/** A request that is not traced costs one look. Trace ids cross to the control thread as rarely as scrapes need them. */
export function exemplars({ clock, send }: ExemplarDeps): ExemplarSink {
  /** By histogram: when each exposed bucket was told of last. */
  const toldAt = new WeakMap<HistogramSeries, Float64Array>()
  let second = 0
  let told = 0
  return {
    offer(histogram, exchange, durationMs) {
      const { trace } = exchange
      if (!trace.hasTrace || (trace.recordedBy === '' && !trace.isSampled)) return
      const now = exchange.completedAt
      let last = toldAt.get(histogram)
      if (last === undefined) {
        last = new Float64Array(OCTAVES + 1).fill(Number.NEGATIVE_INFINITY)
        toldAt.set(histogram, last)
      }
      const value = durationMs / 1000
      const octave = octaveOf(value)
      if (now - last[octave]! < EVERY_MS) return
      if (now - second >= 1_000) {
        second = now
        told = 0
      }
      if (told >= MOST_PER_SECOND) return
      told++
      last[octave] = now
      const at = (clock.wallTime() - (clock.now() - now)) / 1000
      send({ kind: 'exemplar', id: histogram.id, traceId: trace.traceId, value, at })
    },
  }
}
