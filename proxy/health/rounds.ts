import type { OutlierSpec } from '../../mesh-config/snapshot.ts'
import type { Cell, Cells } from '../core/cells.ts'
import type { Clock } from '../core/clock.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { HISTOGRAM_BUCKETS, quantile } from '../core/slots.ts'
import { type Finding, findOutliers, type Measured } from './statistics.ts'

/** Words of an endpoint's cell: what all data threads have added since the last comparison. */
const REQUESTS = 0
const FAILURES = 1
const BUCKETS = 2
const NO_BUCKETS = 0

export interface RoundsDeps {
  readonly clock: Clock
  readonly cells: Cells
  /** The endpoints of the service. */
  readonly endpoints: () => readonly Endpoint[]
  /** When they were compared last: a word that all data threads see. */
  readonly comparedAt: { readonly words: Int32Array; readonly index: number }
  readonly found: (findings: readonly Finding<Endpoint>[]) => void
}

/** Compares the endpoints once an interval (`successRate`, `failurePercentage`, `latency`). */
export interface Rounds {
  configure(spec: OutlierSpec): void
  /** One of its requests failed. */
  failed(endpoint: Endpoint): void
  stop(): void
}

/** An endpoint, as this data thread counts it. */
interface Counted {
  readonly cell: Cell
  failures: number
  /** At the end of the last round: so many requests had ended, and the latencies of the answers. */
  ended: number
  readonly buckets: Float64Array
}

/**
 * Requests and latencies are read from what is counted anyway: a good answer costs nothing more. At the end of a round
 * each data thread adds its part to the cells of the endpoints; the first whose interval is over compares, so what it
 * sees of another thread is older by an interval at most.
 */
export function rounds(service: string, { clock, cells, endpoints, comparedAt, found }: RoundsDeps): Rounds {
  const counted = new Map<Endpoint, Counted>()
  const timer = clock.timer(ended)
  let spec: OutlierSpec | null = null
  let buckets = NO_BUCKETS

  /** One that joined in this round has counted from 0. */
  function countedOf(endpoint: Endpoint): Counted {
    const known = counted.get(endpoint)
    if (known !== undefined) return known
    const cell = cells.open(`round of ${buckets} ${service} ${endpoint.name}`, BUCKETS + buckets)
    const own = { cell, failures: 0, ended: 0, buckets: new Float64Array(buckets) }
    counted.set(endpoint, own)
    return own
  }

  /** What came before does not count. */
  function begin(endpoint: Endpoint): void {
    const own = countedOf(endpoint)
    own.ended = endedOf(endpoint)
    for (let i = 0; i < buckets; i++) own.buckets[i] = bucketOf(endpoint, i)
  }

  function add(endpoint: Endpoint): void {
    const own = countedOf(endpoint)
    const { words } = own.cell
    const requests = endedOf(endpoint)
    // Series that were idle begin again with 0.
    Atomics.add(words, REQUESTS, Math.max(0, requests - own.ended))
    Atomics.add(words, FAILURES, own.failures)
    own.ended = requests
    own.failures = 0
    for (let i = 0; i < buckets; i++) {
      const count = bucketOf(endpoint, i)
      if (count > own.buckets[i]!) Atomics.add(words, BUCKETS + i, count - own.buckets[i]!)
      own.buckets[i] = count
    }
  }

  /** What all have added, which begins anew. */
  function take(endpoint: Endpoint): Measured<Endpoint> {
    const { words } = counted.get(endpoint)!.cell
    const p95Ms = buckets === NO_BUCKETS ? 0 : quantile(words, BUCKETS, 0.95)
    const requests = Atomics.exchange(words, REQUESTS, 0)
    const failures = Atomics.exchange(words, FAILURES, 0)
    for (let i = 0; i < buckets; i++) Atomics.store(words, BUCKETS + i, 0)
    return { endpoint, requests, failures, p95Ms }
  }

  function ended(): void {
    const { intervalMs = 0 } = spec!
    timer.arm(intervalMs)
    const all = endpoints()
    for (const [endpoint, { cell }] of counted) {
      if (!endpoint.isRetired) continue
      cell.close()
      counted.delete(endpoint)
    }
    for (const endpoint of all) add(endpoint)
    if (!isOurTurn(intervalMs)) return
    const measured = all.map(take)
    found(
      findOutliers(
        measured.filter(({ endpoint }) => isCompared(endpoint)),
        spec!,
      ),
    )
  }

  function isOurTurn(intervalMs: number): boolean {
    const { words, index } = comparedAt
    const now = clock.now() | 0
    const last = Atomics.load(words, index)
    // Timers of two threads may be off by a tick.
    if (((now - last) | 0) < intervalMs * 0.9) return false
    return Atomics.compareExchange(words, index, last, now) === last
  }

  function forget(): void {
    for (const { cell } of counted.values()) cell.close()
    counted.clear()
  }

  return {
    configure(next) {
      const wanted = next.latency === undefined ? NO_BUCKETS : HISTOGRAM_BUCKETS
      const compares = comparesEndpoints(next)
      const isOther =
        wanted !== buckets || next.intervalMs !== spec?.intervalMs || spec === null || !comparesEndpoints(spec)
      spec = next
      if (!compares) timer.cancel()
      if (!compares || isOther) forget()
      buckets = wanted
      if (!compares || !isOther) return
      for (const endpoint of endpoints()) begin(endpoint)
      timer.arm(next.intervalMs!)
    },
    failed(endpoint) {
      if (spec !== null && comparesEndpoints(spec)) countedOf(endpoint).failures++
    },
    stop() {
      timer.cancel()
      forget()
      spec = null
    },
  }
}

export function comparesEndpoints({ intervalMs, successRate, failurePercentage, latency }: OutlierSpec): boolean {
  return (
    intervalMs !== undefined && (successRate !== undefined || failurePercentage !== undefined || latency !== undefined)
  )
}

/** One that is ejected has no requests, and one that is probing has one. */
function isCompared({ spec: { health }, state }: Endpoint): boolean {
  return (health === 'passing' || health === 'failing') && state === 'admitting'
}

function endedOf({ stats: { requests }, active }: Endpoint): number {
  return (requests.values[requests.index] ?? 0) - active
}

function bucketOf({ stats: { latency } }: Endpoint, bucket: number): number {
  return latency.values[latency.index + bucket] ?? 0
}
