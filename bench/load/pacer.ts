import { workerData } from 'node:worker_threads'

/** Shared with the thread that sends: how many requests are due by now, and whether to go on. */
export interface PacerData {
  readonly due: SharedArrayBuffer
  readonly total: number
  readonly intervalNs: number
  readonly startAt: bigint
}

export const DUE = 0
export const STOP = 1

// The event loop's timers tick in milliseconds, five requests at 5,000 a second. A futex sleeps to some 50 us, and
// Atomics.wait is one; it may block here, where there is nothing else to do.
function pace({ due, total, intervalNs, startAt }: PacerData): void {
  const cell = new Int32Array(due)
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  const elapsedNs = () => Number(process.hrtime.bigint() - startAt)
  let overshootNs = 60_000 // how late the kernel wakes us; learnt, and slept the less
  for (let next = 0; next < total && Atomics.load(cell, STOP) === 0; next++) {
    const target = next * intervalNs - overshootNs
    const waitNs = target - elapsedNs()
    if (waitNs > 10_000) {
      Atomics.wait(sleeper, 0, 0, waitNs / 1e6)
      // outliers are other processes, not the timer
      overshootNs += (Math.min(elapsedNs() - target, 200_000) - overshootNs) / 50
    }
    Atomics.store(cell, DUE, next + 1)
    Atomics.notify(cell, DUE)
  }
}

if (workerData !== null) pace(workerData as PacerData)
