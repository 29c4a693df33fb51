import { BUCKETS } from './histogram.ts'
import type { EdgeCounts } from './summary.ts'

/** Who calls whom by which route. */
export interface EdgeName {
  readonly inbound: boolean
  readonly source: string
  readonly destination: string
  readonly route: string
  readonly protocol: string
  /** All of that as one text. */
  readonly key: string
}

/** What several seconds, or proxies, counted for one edge. */
export interface EdgeSum {
  readonly name: EdgeName
  requests: number
  failed: number
  retries: number
  totalMs: number
  /** By `statusKey`. */
  readonly counts: Map<number, number>
  /** By bucket. */
  readonly buckets: Float64Array
}

export type EdgeSums = Map<string, EdgeSum>

export function edgeNameOf(edge: Omit<EdgeName, 'key'>): EdgeName {
  const { inbound, source, destination, route, protocol } = edge
  return { inbound, source, destination, route, protocol, key: edgeKey(edge) }
}

export function edgeKey({ inbound, source, destination, route, protocol }: Omit<EdgeName, 'key'>): string {
  return `${inbound ? 'in' : 'out'} ${source} ${destination} ${protocol} ${route}`
}

export function sumFor(sums: EdgeSums, name: EdgeName): EdgeSum {
  let sum = sums.get(name.key)
  if (sum === undefined) {
    const zero = { requests: 0, failed: 0, retries: 0, totalMs: 0 }
    sum = { name, ...zero, counts: new Map(), buckets: new Float64Array(BUCKETS) }
    sums.set(name.key, sum)
  }
  return sum
}

/** Response flags by number, as they come up; the proxy has forty. */
const FLAGS = ['-']
const MOST_FLAGS = 512

function statusKey(status: number, grpc: number, flag: string): number {
  let index = FLAGS.indexOf(flag)
  if (index < 0) index = FLAGS.length >= MOST_FLAGS ? 0 : FLAGS.push(flag) - 1
  return (index << 16) | (Math.min(grpc, 63) << 10) | Math.min(status, 1023)
}

export function addCounts(sums: EdgeSums, name: EdgeName, edge: Omit<EdgeCounts, keyof EdgeName>): void {
  const sum = sumFor(sums, name)
  sum.requests += edge.requests
  sum.failed += edge.failed
  sum.retries += edge.retries
  sum.totalMs += edge.totalMs
  for (const { status, grpc, flag, count } of edge.counts) {
    const key = statusKey(status, grpc, flag)
    sum.counts.set(key, (sum.counts.get(key) ?? 0) + count)
  }
  for (let i = 0; i < edge.buckets.length; i++) sum.buckets[edge.buckets[i]!]! += edge.bucketCounts[i]!
}

/** The counts of a sum, as they go over the wire. */
export function countsOf({ counts }: EdgeSum): EdgeCounts['counts'] {
  return [...counts].map(([key, count]) => ({
    status: key & 1023,
    grpc: (key >> 10) & 63,
    flag: FLAGS[key >> 16] ?? '-',
    count,
  }))
}

/**
 * Sums as plain numbers: an hour of them is kept, and an object for each would take five times the memory. `idOf`: the
 * number of a name.
 */
export function packed(sums: Iterable<EdgeSum>, idOf: (name: EdgeName) => number): Uint32Array {
  const numbers: number[] = []
  for (const sum of sums) {
    numbers.push(idOf(sum.name), sum.requests, sum.failed, sum.retries, Math.round(sum.totalMs), sum.counts.size)
    for (const [key, count] of sum.counts) numbers.push(key, count)
    const at = numbers.push(0) - 1
    for (let bucket = 0; bucket < BUCKETS; bucket++)
      if (sum.buckets[bucket]! > 0) {
        numbers.push(bucket, sum.buckets[bucket]!)
        numbers[at]!++
      }
  }
  return Uint32Array.from(numbers)
}

/** The same of what one summary says, which is most of the work: each proxy has one a second. */
export function packedCounts(edges: readonly EdgeCounts[], idOf: (edge: EdgeCounts) => number): Uint32Array {
  const numbers: number[] = []
  for (const edge of edges) {
    const { requests, failed, retries, totalMs, counts, buckets, bucketCounts } = edge
    numbers.push(idOf(edge), requests, failed, retries, Math.round(totalMs), counts.length)
    for (const { status, grpc, flag, count } of counts) numbers.push(statusKey(status, grpc, flag), count)
    numbers.push(buckets.length)
    for (let i = 0; i < buckets.length; i++) numbers.push(buckets[i]!, bucketCounts[i]!)
  }
  return Uint32Array.from(numbers)
}

/** Adds what `packed` wrote. `wanted`: null passes an edge over. */
export function addPacked(sums: EdgeSums, data: Uint32Array, wanted: (id: number) => EdgeName | null): void {
  for (let at = 0; at < data.length; ) {
    const name = wanted(data[at]!)
    const counts = data[at + 5]!
    const buckets = at + 6 + counts * 2
    const end = buckets + 1 + data[buckets]! * 2
    if (name !== null) {
      const sum = sumFor(sums, name)
      sum.requests += data[at + 1]!
      sum.failed += data[at + 2]!
      sum.retries += data[at + 3]!
      sum.totalMs += data[at + 4]!
      for (let i = at + 6; i < buckets; i += 2) sum.counts.set(data[i]!, (sum.counts.get(data[i]!) ?? 0) + data[i + 1]!)
      for (let i = buckets + 1; i < end; i += 2) sum.buckets[data[i]!]! += data[i + 1]!
    }
    at = end
  }
}
