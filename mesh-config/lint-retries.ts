import { formatDuration } from './duration.ts'
import { change, suggested } from './fix.ts'
import type { Path, Warn } from './located.ts'
import type { RetrySpec, RouteRetries, RouteTimeouts } from './snapshot.ts'

/** Methods that always may run twice. */
const IDEMPOTENT: readonly string[] = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']

/** Checks what a service or a route says of retries against its timeouts. */
export function lintRetries(timeouts: RouteTimeouts, retries: RouteRetries, path: Path, warn: Warn): void {
  const { on, attempts, statuses, headers } = retries
  const at = [...path, 'retries']
  const isOnAnswers = statuses !== undefined || headers !== undefined
  if (attempts > 1 && on.length === 0 && !isOnAnswers)
    warn(
      [...at, 'on'],
      `attempts ${attempts} without a condition to retry on: write attempts: 1, or on: [connect-failure]`,
      suggested(change([...at, 'attempts'], 1)),
    )
  if (attempts > 1 && on.includes('per-try-timeout') && timeouts.perTryMs === 0) {
    warn(
      [...at, 'on'],
      'per-try-timeout never happens while timeouts.perTry is off: give perTry a length, shorter than request',
      suggested(change([...path, 'timeouts', 'perTry'], shareOf(timeouts.requestMs, attempts))),
    )
  }
  if (on.includes('retriable-status-codes') && statuses === undefined)
    warn([...at, 'on'], 'retriable-status-codes says nothing by itself: list the statuses in retries.statuses')
  if (on.includes('retriable-headers') && headers === undefined)
    warn([...at, 'on'], 'retriable-headers says nothing by itself: name the headers in retries.headers')
  const known = (retries.methods ?? []).filter(method => IDEMPOTENT.includes(method))
  if (known.length > 0)
    warn(
      [...at, 'methods'],
      `${known.join(', ')} may run twice anyway: leave it out`,
      change(
        [...at, 'methods'],
        (retries.methods ?? []).filter(method => !known.includes(method)),
      ),
    )
  lintBackoff(timeouts, retries, at, warn)
  lintHedge(timeouts, retries, at, warn)
}

/** A time for each of the attempts. */
function shareOf(requestMs: number, attempts: number): string {
  return formatDuration(requestMs === 0 ? 1000 : Math.max(1, Math.floor(requestMs / attempts)))
}

function lintBackoff({ requestMs }: RouteTimeouts, { attempts, backoff }: RouteRetries, path: Path, warn: Warn): void {
  if (backoff === undefined) return
  const { baseMs, maxMs } = backoff
  if (baseMs > maxMs)
    warn(
      [...path, 'backoff', 'base'],
      `base ${formatDuration(baseMs)} is longer than max ${formatDuration(maxMs)}, which no wait is: make base the shorter one`,
      change([...path, 'backoff', 'base'], formatDuration(maxMs)),
    )
  if (requestMs === 0 || attempts === 1) return
  const wait = longestWaits(backoff, attempts)
  if (wait >= requestMs)
    warn(
      [...path, 'backoff'],
      `the ${attempts - 1} waits before ${attempts} tries take up to ${formatDuration(wait)}, not shorter than request ${formatDuration(requestMs)}: write max: ${formatDuration(Math.max(1, Math.floor(requestMs / (2 * attempts))))}`,
      suggested(
        change([...path, 'backoff', 'max'], formatDuration(Math.max(1, Math.floor(requestMs / (2 * attempts))))),
      ),
    )
}

/** Of all tries together, where each goes to an endpoint that failed before. */
export function longestWaits({ baseMs, maxMs }: NonNullable<RetrySpec['backoff']>, attempts: number): number {
  let sum = 0
  for (let retry = 1; retry < attempts; retry++) sum += Math.min(baseMs * 2 ** (retry - 1), maxMs)
  return sum
}

function lintHedge(
  { requestMs, perTryMs }: RouteTimeouts,
  { attempts, hedge }: RouteRetries,
  path: Path,
  warn: Warn,
): void {
  if (hedge === undefined) return
  const at = [...path, 'hedge']
  if (attempts === 1)
    warn(
      at,
      'a second try needs attempts: 2 or more, and there is one: write attempts: 2, or hedge: off',
      suggested(change([...path, 'attempts'], 2)),
    )
  const { afterMs } = hedge
  const limits: readonly (readonly [string, number])[] = [
    ['perTry', perTryMs],
    ['request', requestMs],
  ]
  const limit = limits.find(([, ms]) => ms > 0 && afterMs >= ms)
  if (limit === undefined) return
  const [name, ms] = limit
  warn(
    [...at, 'after'],
    `after ${formatDuration(afterMs)} is not shorter than ${name} ${formatDuration(ms)}, so there is never a second try beside the first: write after: ${formatDuration(Math.max(1, Math.floor(ms / 3)))}, or p95`,
    suggested(change([...at, 'after'], formatDuration(Math.max(1, Math.floor(ms / 3))))),
  )
}
