import { parentPort, workerData } from 'node:worker_threads'
import { retryBudget } from '../../proxy/cluster/budget.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'

/**
 * One of several threads that take all they get of one budget, round by round, ten seconds and more apart: answers with
 * how much that was in each. A round begins when all threads have come to it.
 */
const { memory, barrier, thread, threads, rounds } = workerData as {
  memory: SharedArrayBuffer
  barrier: SharedArrayBuffer
  thread: number
  threads: number
  rounds: number
}
const arrived = new Int32Array(barrier)
const budget = retryBudget(0, 50, { service: 'orders', cells: sharedCells(memory, thread, threads) })
const granted: number[] = []
for (let round = 1; round <= rounds; round++) {
  Atomics.add(arrived, 0, 1)
  Atomics.notify(arrived, 0)
  // Awake, so that both begin at the same moment; asleep where the other one is not on a processor.
  for (let turns = 0, now = 0; now < round * threads; turns++) {
    now = Atomics.load(arrived, 0)
    if (turns > 100_000) Atomics.wait(arrived, 0, now, 1)
  }
  let count = 0
  for (let i = 0; i < 600; i++) if (budget.tryWithdraw(round * 20_000)) count++
  granted.push(count)
}
parentPort!.postMessage(granted)
