import type { ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { ByHandAnswer, ByHandQuestion } from './channel.ts'
import type { Classification } from './cluster.ts'
import type { AttemptRecord } from './decision.ts'
import type { Failure } from './failure.ts'

/** Outlier detection of one service. */
export interface OutlierDetector {
  configure(spec: ServiceSpec['outliers']): void
  /**
   * Called after the sets changed, or another data thread ejected or readmitted endpoints. True: some changed, so all
   * pickers must be rebuilt.
   */
  review(): boolean
  report(record: AttemptRecord, outcome: Classification, failure: Failure | null, requestId: string): void
  byHand(question: ByHandQuestion): ByHandAnswer
  /** The states of endpoints are those that an earlier process had given them. */
  resume(): void
  stop(): void
}
