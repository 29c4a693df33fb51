import { Worker } from 'node:worker_threads'
import type { WorkerData } from '../core/channel.ts'

/** The program of a data thread: in dist/ all files are in one folder. */
const ENTRY = new URL(import.meta.url.endsWith('.ts') ? '../worker.ts' : './worker.js', import.meta.url)
let early: Worker | null = null

/** `workerData`: null: it comes as the first message. */
export function bootDataThread(index: number, workerData: WorkerData | null, entry = ENTRY): Worker {
  return new Worker(entry, {
    name: `data-${index}`,
    workerData,
    // Short-lived garbage only: a small young generation keeps the process small and a scavenge short.
    resourceLimits: { maxYoungGenerationSizeMb: 6 },
  })
}

/** The first data thread boots while this one loads its own modules and reads the configuration. */
export function bootEarly(): Worker {
  const worker = bootDataThread(0, null)
  const lost = () => {
    if (early === worker) early = null
  }
  // One that has its work already says why to whoever gave it that.
  worker.on('error', lost)
  worker.on('exit', lost)
  early = worker
  return worker
}

/** Once; null: there is none, or it has ended. */
export function takeEarly(): Worker | null {
  const taken = early
  early = null
  return taken
}
