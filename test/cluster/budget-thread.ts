import { parentPort, workerData } from 'node:worker_threads'
import { retryBudget } from '../../proxy/cluster/budget.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'

/** One of several threads that take all they get of one budget; answers with how much that was. */
const { memory, thread, threads } = workerData as { memory: SharedArrayBuffer; thread: number; threads: number }
const budget = retryBudget(0, 2000, { service: 'orders', cells: sharedCells(memory, thread, threads) })
let granted = 0
for (let i = 0; i < 30_000; i++) if (budget.tryWithdraw(1000)) granted++
parentPort!.postMessage(granted)
