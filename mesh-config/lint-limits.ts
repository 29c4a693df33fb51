import { formatDuration } from './duration.ts'
import { change, suggested, together } from './fix.ts'
import type { Path, Warn } from './located.ts'
import type { RetrySpec, ServiceSpec } from './snapshot.ts'

/** Checks what bounds the requests of a service: limits, breaker, adaptive concurrency, queue. */
export function lintLimits(service: ServiceSpec, path: Path, warn: Warn): void {
  lintPerEndpoint(service, [...path, 'limits', 'perEndpoint'], warn)
  lintRetryLimit(service.limits.retries, service.retries, [...path, 'limits', 'retries'], warn)
  lintBreaker(service, [...path, 'breaker'], warn)
  lintConcurrency(service, [...path, 'concurrency'], warn)
  lintQueue(service, [...path, 'queue'], warn)
}

function lintPerEndpoint({ name, limits, endpoints, protocol }: ServiceSpec, path: Path, warn: Warn): void {
  const { perEndpoint, connections, requests, pending } = limits
  if (perEndpoint === undefined) return
  const count = endpoints.length
  const least = (limit: 'connections' | 'requests', whole: number) => {
    const each = perEndpoint[limit]
    if (each === undefined || count === 0 || each * count >= whole || whole === USUAL) return
    warn(
      [...path, limit],
      `${count} endpoints of ${name} with ${each} ${limit} each make ${each * count}, so limits.${limit} of ${whole} is never reached: write perEndpoint: { ${limit}: ${Math.ceil(whole / count)} }, or limits: { ${limit}: ${each * count} }`,
      suggested(change([...path, limit], Math.ceil(whole / count))),
    )
  }
  least('connections', connections)
  least('requests', requests)
  for (const limit of ['connections', 'requests', 'pending'] as const) {
    const each = perEndpoint[limit]
    if (each !== undefined && each > limits[limit])
      warn(
        [...path, limit],
        `${each} ${limit} at one endpoint are more than the ${limits[limit]} of the whole service, so it has no effect: write less than ${limits[limit]}`,
        suggested(change([...path, limit], Math.ceil(limits[limit] / 2))),
      )
  }
  // Each request of HTTP/1.1 has a connection of its own.
  const isHttp1 = protocol === 'http' || protocol === null
  if (isHttp1 && perEndpoint.pending !== undefined && perEndpoint.connections === undefined && connections === USUAL)
    warn(
      [...path, 'pending'],
      `nothing waits for a connection to one endpoint while their number has no limit: write perEndpoint: { connections: ${Math.min(100, pending)}, pending: ${perEndpoint.pending} }`,
      suggested(change([...path, 'connections'], Math.min(100, pending))),
    )
}

/** The default of `connections`, `pending` and `requests` (call.ts). */
const USUAL = 10_000

function lintRetryLimit(limit: number | undefined, { attempts }: RetrySpec, path: Path, warn: Warn): void {
  if (limit === 0 && attempts > 1)
    warn(
      path,
      `attempts ${attempts} with no retry under way allowed makes no retry: write retries: { attempts: 1 }, or more than 0`,
      suggested(change(path, attempts)),
    )
}

function lintBreaker({ breaker, fallback, timeouts }: ServiceSpec, path: Path, warn: Warn): void {
  if (breaker === undefined) {
    if (fallback?.on.every(on => on === 'breaker'))
      warn(
        [...path.slice(0, -1), 'fallback'],
        'it is for an open breaker, and the service has none: write breaker: {}, or on: [overflow, no-healthy-upstream]',
        suggested(change(path, {})),
      )
    return
  }
  const { volume, windowMs, openMs, maxOpenMs, slowCallMs, probes } = breaker
  const perSecond = volume / (windowMs / 1000)
  const reached = Math.max(1, Math.round(windowMs / 50))
  if (perSecond > 100)
    warn(
      [...path, 'volume'],
      `${volume} answers within ${formatDuration(windowMs)} are ${Math.round(perSecond)} per second: with fewer it never opens. Write volume: ${reached}, or a longer window`,
      suggested(
        together(
          change([...path, 'volume'], reached),
          ...(probes > reached ? [change([...path, 'probes'], reached)] : []),
        ),
      ),
    )
  if (windowMs < 1000)
    warn(
      [...path, 'window'],
      `within ${formatDuration(windowMs)} there are ${volume} answers only from ${Math.ceil(perSecond)} requests per second on: write window: 10s`,
      suggested(change([...path, 'window'], '10s')),
    )
  if (openMs > maxOpenMs)
    warn(
      [...path, 'maxOpen'],
      `open ${formatDuration(openMs)} is longer than maxOpen ${formatDuration(maxOpenMs)}, which has no effect: write maxOpen: ${formatDuration(openMs * 12)}`,
      change([...path, 'maxOpen'], formatDuration(openMs * 12)),
    )
  if (slowCallMs !== 0 && timeouts.requestMs !== 0 && slowCallMs >= timeouts.requestMs)
    warn(
      [...path, 'slowCall'],
      `no answer takes ${formatDuration(slowCallMs)}: after timeouts.request ${formatDuration(timeouts.requestMs)} it is a failure. Write slowCall: ${formatDuration(Math.max(1, Math.floor(timeouts.requestMs / 2)))}`,
      suggested(change([...path, 'slowCall'], formatDuration(Math.max(1, Math.floor(timeouts.requestMs / 2))))),
    )
  if (probes > volume)
    warn(
      [...path, 'probes'],
      `${probes} probes are more than the volume ${volume} that opens it: write probes: ${volume}`,
      suggested(change([...path, 'probes'], volume)),
    )
}

function lintConcurrency({ concurrency, limits }: ServiceSpec, path: Path, warn: Warn): void {
  if (concurrency === undefined) return
  const { minLimit, maxLimit, enforce } = concurrency
  if (minLimit > maxLimit)
    warn(
      [...path, 'minLimit'],
      `minLimit ${minLimit} is above maxLimit ${maxLimit}: write minLimit: ${Math.min(3, maxLimit)}`,
      suggested(change([...path, 'minLimit'], Math.min(3, maxLimit))),
    )
  if (enforce && minLimit >= limits.requests)
    warn(
      [...path, 'minLimit'],
      `minLimit ${minLimit} is not below limits.requests ${limits.requests}, so the limit that is found out never counts: write minLimit: 3`,
      suggested(change([...path, 'minLimit'], Math.min(3, limits.requests - 1))),
    )
}

function lintQueue({ queue, limits, concurrency, timeouts }: ServiceSpec, path: Path, warn: Warn): void {
  if (queue === undefined) return
  if (limits.requests === USUAL && limits.connections === USUAL && concurrency?.enforce !== true)
    warn(
      path,
      `requests wait only above limits.requests, which is ${USUAL}: write limits: { requests: 100 }, or concurrency: { mode: enforce }`,
      suggested(change([...path.slice(0, -1), 'limits', 'requests'], 100)),
    )
  if (queue.targetMs > queue.intervalMs)
    warn(
      [...path, 'target'],
      `target ${formatDuration(queue.targetMs)} is longer than interval ${formatDuration(queue.intervalMs)}: a queue that does not empty must be the shorter one`,
      suggested(change([...path, 'target'], formatDuration(Math.max(1, Math.floor(queue.intervalMs / 20))))),
    )
  if (timeouts.requestMs !== 0 && queue.intervalMs >= timeouts.requestMs)
    warn(
      [...path, 'interval'],
      `a wait of ${formatDuration(queue.intervalMs)} is all of timeouts.request ${formatDuration(timeouts.requestMs)}: write interval: 100ms`,
      suggested(change([...path, 'interval'], '100ms')),
    )
}
