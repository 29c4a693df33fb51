import { helpOf } from '../core/metrics-table.ts'
import type { Detector } from '../core/telemetry.ts'
import type { Series, StatsWriter } from './stats.ts'

export interface Detections {
  count(by: Detector, outcome: 'ejected' | 'shadow' | 'no_room'): void
  retire(): void
}

/** What outlier detection of a service found; most services never have a series of it. */
export function detectionsOf(stats: StatsWriter, service: string): Detections {
  const counters = new Map<string, Series>()
  let isOver = false
  return {
    count(reason, outcome) {
      if (isOver) return
      const key = `${reason} ${outcome}`
      let counter = counters.get(key)
      if (counter === undefined) {
        const name = 'outrigger_outlier_detections_total'
        counter = stats.counter(name, helpOf(name), { service, reason, outcome })
        counters.set(key, counter)
      }
      counter.values[counter.index]!++
    },
    retire() {
      isOver = true
      stats.retire([...counters.values()])
      counters.clear()
    },
  }
}
