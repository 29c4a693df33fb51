import type { Case } from './case.ts'

export interface Timing {
  readonly nsPerOp: number
  /** A quarter of the batches were faster than the first, a quarter slower than the second. */
  readonly quartiles: readonly [number, number]
  /** Garbage made on the heap (the bytes of Buffers are elsewhere); null where the collector ran in every batch. */
  readonly bytesPerOp: number | null
}

const WARM_UP_MS = 300
const BATCH_MS = 20
const BATCHES = 25
// Well below the young generation, so that most batches see no collection.
const HEAP_PROBE_BYTES = 1_000_000
const HEAP_PROBES = 9

let sink: unknown

/**
 * Warm-up until the compilers are done, then batches; the median of them, because what disturbs a batch only ever makes
 * it slower.
 */
export function time(one: Case): Timing {
  const run = typeof one === 'function' ? one : one.setup()
  const operations = typeof one === 'function' ? 1 : (one.operations ?? 1)
  const calls = Math.max(1, Math.ceil(warmUp(run) * BATCH_MS))
  const batches: number[] = []
  for (let i = 0; i < BATCHES; i++) batches.push((batch(run, calls) * 1e6) / calls / operations)
  batches.sort((a, b) => a - b)
  const at = (share: number) => batches[Math.floor((batches.length - 1) * share)] ?? Number.NaN
  return { nsPerOp: at(0.5), quartiles: [at(0.25), at(0.75)], bytesPerOp: bytesPerOp(run, operations) }
}

/** Resolves to the calls a millisecond can hold. */
function warmUp(run: () => unknown): number {
  let calls = 1
  const endAt = performance.now() + WARM_UP_MS
  let took = 0
  while (performance.now() < endAt) {
    took = batch(run, calls)
    if (took < 5) calls *= 2
  }
  return calls / Math.max(took, 0.001)
}

function batch(run: () => unknown, calls: number): number {
  const startedAt = performance.now()
  for (let i = 0; i < calls; i++) sink = run()
  return performance.now() - startedAt
}

function bytesPerOp(run: () => unknown, operations: number): number | null {
  // A first guess at how many calls make about HEAP_PROBE_BYTES, then the probes.
  const guess = grown(run, 200)
  // Where the collector ran meanwhile, a call takes so much that a few will do.
  const calls =
    guess === null ? 200 : Math.max(200, Math.min(200_000, Math.floor((HEAP_PROBE_BYTES * 200) / Math.max(guess, 1))))
  const probes = Array.from({ length: HEAP_PROBES }, () => grown(run, calls)).filter(bytes => bytes !== null)
  const bytes = probes.sort((a, b) => a - b)[probes.length >> 1]
  // below a tenth of a byte a call it is the probe's own
  return bytes === undefined ? null : Math.round((bytes / calls / operations) * 10) / 10
}

/** By how much the heap grew; null if the collector ran meanwhile. */
function grown(run: () => unknown, calls: number): number | null {
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < calls; i++) sink = run()
  const growth = process.memoryUsage().heapUsed - before
  return growth < 0 ? null : growth
}

/** Keeps `sink` observable. */
export function lastResult(): unknown {
  return sink
}
