import { durationMs } from './duration.ts'
import type { ServicePolicy } from './service.ts'
import type { ConcurrencySpec } from './snapshot.ts'

export function compileConcurrency(concurrency: ServicePolicy['concurrency']): { concurrency?: ConcurrencySpec } {
  if (concurrency === undefined) return {}
  const { mode, minLimit, maxLimit, buffer, percentile, update, minRtt } = concurrency
  return {
    concurrency: {
      enforce: mode === 'enforce',
      minLimit,
      maxLimit,
      bufferPercent: buffer,
      percentile,
      updateMs: durationMs(update),
      minRttIntervalMs: durationMs(minRtt.interval),
      minRttRequests: minRtt.requests,
      minRttJitterPercent: minRtt.jitter,
    },
  }
}
