import { anotherTry } from '../core/another-try.ts'
import type { DecisionRecord } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { Headers } from '../core/message.ts'
import { OVERLOADED } from '../core/retry-fields.ts'
import type { AllRetryMarks } from '../core/retry-marks.ts'

/**
 * A failed answer goes down: where its request was tried as often as it may be, or is over the limits of its service,
 * those before us are told, so that they do not begin all of that again. The application hears it with the answer; its
 * sidecar tells its own callers (`inbound`) when the application fails in turn. Rare, so it may cost a little.
 */
export function tellSpent(
  exchange: Exchange,
  failure: Failure | null,
  headers: Headers,
  { spent }: AllRetryMarks,
  now: number,
): void {
  if (exchange.direction === 'inbound') {
    if (spent.has(exchange, now)) headers.set(OVERLOADED, 'true')
    return
  }
  const isTold = headers.get(OVERLOADED) !== undefined
  if (!isTold && failure !== failures.poolOverflow && !isSpent(exchange.decision)) return
  spent.mark(exchange, now)
  if (!isTold) headers.set(OVERLOADED, 'true')
}

function isSpent({ attempts, tries }: DecisionRecord): boolean {
  for (let i = 0; i < attempts; i++) {
    const { another } = tries[i]!
    // The only try there may be says nothing of how it goes behind it.
    if (another.isSpent && (another !== anotherTry.attemptsMade || attempts > 1)) return true
  }
  return false
}
