import { formatDuration } from './duration.ts'
import { change, suggested } from './fix.ts'
import { lintBalancer } from './lint-balancer.ts'
import { lintLimits } from './lint-limits.ts'
import { lintOutliers } from './lint-outliers.ts'
import { lintRetries, longestWaits } from './lint-retries.ts'
import type { Path, Warn } from './located.ts'
import { grpcRetryConditions } from './retries.ts'
import type { RetrySpec, ServiceSpec, ServiceTimeouts } from './snapshot.ts'

export interface ServiceSurroundings {
  /** Its endpoints come from a registry, DNS or a file, and are not known here. */
  readonly discovered: boolean
  /** The zone of the sidecar. */
  readonly zone: string
}

/** Checks the numbers of one service: timeouts, retries, outliers, endpoints. */
export function lintService(
  service: ServiceSpec,
  { discovered, zone }: ServiceSurroundings,
  path: Path,
  warn: Warn,
): void {
  lintTimeouts(service.timeouts, service.retries, path, warn)
  lintRetries(service.timeouts, service.retries, path, warn)
  lintGrpc(service, path, warn)
  lintBudget(service.retries, [...path, 'retries', 'budget'], warn)
  lintOutliers(service, discovered, [...path, 'outliers'], warn)
  lintBalancer(service, zone, [...path, 'balancer'], warn)
  lintLimits(service, path, warn)
  if (service.endpoints.length === 0 && !discovered) {
    warn(
      path,
      `${service.name} has no endpoints, so every request to it gets 503 UH: list them under discovery.endpoints.${service.name}`,
    )
  }
  for (const [name, wanted] of Object.entries(service.subsets)) {
    const some = service.endpoints.some(({ metadata }) =>
      Object.entries(wanted).every(([key, value]) => metadata[key] === value),
    )
    if (some || discovered || service.endpoints.length === 0) continue
    const pairs = Object.entries(wanted).map(([key, value]) => `${key}: ${value}`)
    warn(
      [...path, 'subsets', name],
      `no endpoint of ${service.name} has meta { ${pairs.join(', ')} }, so requests to this subset get 503 UH: add it to an endpoint`,
    )
  }
}

/** `home`: of the service, where they are a route's. */
export function lintTimeouts(
  { connectMs, requestMs, perTryMs, maxStreamMs = 0 }: ServiceTimeouts,
  { attempts, backoff }: RetrySpec,
  path: Path,
  warn: Warn,
  home: Path = path,
): void {
  if (maxStreamMs > 0 && maxStreamMs <= requestMs)
    warn(
      [...path, 'timeouts', 'maxStream'],
      `maxStream ${formatDuration(maxStreamMs)} is not longer than request ${formatDuration(requestMs)}, so request has no effect: write a longer one, or request: ${formatDuration(roundDown(maxStreamMs / 2))}`,
    )
  if (requestMs === 0) return
  const request = formatDuration(requestMs)
  if (connectMs >= requestMs) {
    const less = formatDuration(Math.min(1000, roundDown(requestMs / 2)))
    warn(
      [...path, 'timeouts', 'connect'],
      `connect ${formatDuration(connectMs)} is not shorter than request ${request}, so a lost endpoint uses up the whole request: write connect: ${less}`,
      change([...home, 'timeouts', 'connect'], less),
    )
  }
  if (perTryMs === 0) return
  const perTry = formatDuration(perTryMs)
  // Only a back-off that somebody chose: the usual one matters where there is no other endpoint, and then little.
  const waits = backoff === undefined ? 0 : longestWaits(backoff, attempts)
  if (perTryMs >= requestMs) {
    const share = roundDown(Math.max(1, requestMs - waits) / Math.max(2, attempts))
    warn(
      [...path, 'timeouts', 'perTry'],
      `perTry ${perTry} is not shorter than request ${request}, so it has no effect: write perTry: ${formatDuration(share)}, or off`,
      suggested(change([...path, 'timeouts', 'perTry'], formatDuration(share))),
    )
    return
  }
  if (attempts * perTryMs + waits > requestMs) {
    const whole = formatDuration(attempts * perTryMs + waits)
    const share = formatDuration(roundDown(Math.max(1, requestMs - waits) / attempts))
    const waiting = waits === 0 ? '' : ` and waits of up to ${formatDuration(waits)}`
    warn(
      [...path, 'timeouts', 'perTry'],
      `${attempts} tries of ${perTry}${waiting} take ${whole}, longer than request ${request}, so the last is cut short: write perTry: ${share} or request: ${whole}`,
      suggested(change([...path, 'timeouts', 'perTry'], share)),
    )
  }
}

/** Warns of gRPC statuses without gRPC, and of deadlines that leave no time. */
function lintGrpc({ protocol, retries, timeouts }: ServiceSpec, path: Path, warn: Warn): void {
  const statuses = retries.on.filter(condition => (grpcRetryConditions as readonly string[]).includes(condition))
  if (statuses.length > 0 && protocol !== 'grpc' && protocol !== 'http2')
    warn(
      [...path, 'retries', 'on'],
      `${statuses.join(', ')} are statuses of gRPC, which HTTP/1.1 endpoints do not have: write protocol: grpc`,
      suggested(change([...path, 'protocol'], 'grpc')),
    )
  const { grpcTimeoutMaxMs, grpcTimeoutOffsetMs } = timeouts
  if (grpcTimeoutMaxMs > 0 && grpcTimeoutOffsetMs >= grpcTimeoutMaxMs) {
    const [max, offset] = [formatDuration(grpcTimeoutMaxMs), formatDuration(grpcTimeoutOffsetMs)]
    warn(
      [...path, 'timeouts', 'grpcTimeoutOffset'],
      `${offset} taken off at most ${max} leaves no time for a call with a deadline: make it shorter`,
    )
  }
}

function lintBudget({ on, attempts, budget }: RetrySpec, path: Path, warn: Warn): void {
  if (attempts > 1 && on.length > 0 && budget.percent === 0 && budget.minPerSecond === 0) {
    warn(
      path,
      'a budget of 0 % and 0 per second allows no retry at all: write attempts: 1, or percent: 20',
      suggested(change([...path, 'percent'], 20)),
    )
  }
  if (budget.percent > 50)
    warn(
      [...path, 'percent'],
      `retries may add ${budget.percent} % to the load of a service that is in trouble already: write percent: 20`,
      suggested(change([...path, 'percent'], 20)),
    )
}

/** Rounds down to a number that one would write. */
function roundDown(ms: number): number {
  return ms >= 1000 ? Math.floor(ms / 1000) * 1000 : Math.max(1, Math.floor(ms))
}
