import { parentPort, workerData } from 'node:worker_threads'
import { limited, SharedCounts } from '../../proxy/core/shared-counts.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'

/** A data thread that takes and gives permits of one limit as fast as it can, and looks how many there are. */
const { memory, thread, threads, limit, rounds, running } = workerData as {
  readonly memory: SharedArrayBuffer
  readonly thread: number
  readonly threads: number
  readonly limit: number
  readonly rounds: number
  readonly running: Int32Array
}

const counts = new SharedCounts('limits orders', sharedCells(memory, thread, threads))
let taken = 0
let most = 0
for (let i = 0; i < rounds; i++) {
  if (!counts.take(limited.requests, limit)) continue
  taken++
  most = Math.max(most, Atomics.add(running, 0, 1) + 1)
  Atomics.sub(running, 0, 1)
  counts.give(limited.requests)
}
parentPort!.postMessage({ taken, most, left: counts.own(limited.requests) })
