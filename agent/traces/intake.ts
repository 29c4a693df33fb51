import type { Counters } from './counters.ts'
import type { DiskQueue } from './disk-queue.ts'
import { type TakeOptions, takeRequest } from './pieces.ts'
import { Malformed } from './wire.ts'

/** What becomes of one ExportTraceServiceRequest, whatever way it came. */
export type Intake = (request: Buffer, from: keyof Counters['received']) => Promise<Received>

export type Received =
  /** Kept: the sender may forget them. `message`: for its log; empty where all are taken. */
  | { readonly outcome: 'taken'; readonly rejected: number; readonly message: string }
  /** Nothing is kept, and the same bytes will never be. */
  | { readonly outcome: 'malformed'; readonly message: string }
  /** Nothing is kept: the sender asks again. */
  | { readonly outcome: 'busy' }

export interface IntakeOptions extends TakeOptions {
  readonly counters: Counters
  /** Null: spans go nowhere. */
  readonly queue: DiskQueue | null
}

const NOWHERE =
  'the agent of this host exports no traces: write traces.export in its file, or set OTEL_EXPORTER_OTLP_ENDPOINT'

export function intake({ counters, queue, enrich, keep }: IntakeOptions): Intake {
  return async (request, from) => {
    try {
      const { pieces, received, kept, invalid, wrong } = takeRequest(request, { enrich, keep })
      if (queue === null) {
        counters.received[from] += received
        counters.dropped.no_export += received
        return { outcome: 'taken', rejected: received, message: received === 0 ? '' : NOWHERE }
      }
      if (kept > 0 && !(await queue.add(pieces))) {
        counters.refusedRequests.busy++
        return { outcome: 'busy' }
      }
      counters.received[from] += received
      counters.dropped.invalid += invalid
      const message = wrong === null ? '' : `${invalid} of ${received} spans are not taken, the first because ${wrong}`
      return { outcome: 'taken', rejected: invalid, message }
    } catch (error) {
      if (!(error instanceof Malformed)) throw error
      counters.refusedRequests.malformed++
      return { outcome: 'malformed', message: `this is no ExportTraceServiceRequest: ${error.message}` }
    }
  }
}
