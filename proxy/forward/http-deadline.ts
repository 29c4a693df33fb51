import type { Exchange } from '../core/exchange.ts'
import { EXPECTED } from '../core/retry-fields.ts'
import { HAS_EXPECTED } from '../core/trace-fields.ts'

/** A longer one is none. */
const LONGEST_MS = 86_400_000
/** A wait that is never too long: nothing limits it. */
export const MOST_MS = 300_000

/** Takes up how long the caller waits for the answer, where it says so in a number that makes sense. */
export function beginAnswerDue(exchange: Exchange): void {
  const { trace, request } = exchange
  if ((trace.came & HAS_EXPECTED) === 0) return
  const value = request.headers.get(EXPECTED)
  if (value === undefined || !/^\d{1,8}$/.test(value)) return
  const milliseconds = Number(value)
  // To Envoy 0 is no limit.
  if (milliseconds > 0 && milliseconds <= LONGEST_MS) exchange.answerDueAt = exchange.startedAt + milliseconds
}

/**
 * What an endpoint is told of the time for its answer, in whole milliseconds, at least one. Empty: nothing, or what the
 * head says holds.
 */
export function answerLeft({ answerDueAt, startedAt, route, grpc }: Exchange, now: number, leftMs: number): string {
  const { deadline, perTryTimeoutMs } = route!
  const mostMs = perTryTimeoutMs === 0 ? leftMs : Math.min(leftMs, perTryTimeoutMs)
  if (answerDueAt === 0) {
    // A gRPC call has a deadline of its own kind.
    if (deadline !== 'begin' || grpc !== '' || mostMs >= MOST_MS) return ''
  } else if (now - startedAt < 1 && mostMs >= answerDueAt - now) return ''
  return String(Math.max(1, Math.floor(mostMs)))
}
