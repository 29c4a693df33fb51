import { formatDuration } from '../../mesh-config/duration.ts'
import { own } from '../../mesh-config/own.ts'
import type { RouteTimeouts, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { ExplainAnswer } from '../core/channel.ts'
import type { RetryPolicy } from '../core/cluster.ts'
import type { Exchange } from '../core/exchange.ts'
import { EXPECTED } from '../core/retry-fields.ts'
import type { Route } from '../core/route.ts'
import { mayRunTwice } from '../forward/repeatable.ts'

type Step = ExplainAnswer['steps'][number]

/** How long things may take and what is tried again, of a request that would be sent. Takes nothing from the budget. */
export function callSteps(
  exchange: Exchange,
  route: Route,
  services: Readonly<Record<string, ServiceSpec>>,
  now: number,
): Step[] {
  return [
    { stage: 'timeouts', text: timeoutsText(exchange, route, own(services, route.service)) },
    { stage: 'retries', text: retriesText(exchange, route.retry, now) },
    ...(route.retry.hedge === null ? [] : [{ stage: 'hedge', text: hedgeText(exchange, route.retry, now) }]),
  ]
}

const settings: readonly (readonly [words: string, key: keyof RouteTimeouts, of: (route: Route) => number])[] = [
  ['request', 'requestMs', route => route.requestTimeoutMs],
  ['per try', 'perTryMs', route => route.perTryTimeoutMs],
  ['idle', 'idleMs', route => route.idleTimeoutMs],
  ['longest stream', 'maxStreamMs', route => route.maxStreamMs],
]

function timeoutsText({ answerDueAt, startedAt }: Exchange, route: Route, service: ServiceSpec | undefined): string {
  const ofRoute = service?.routes.find(({ name, timeouts }) => name === route.name && timeouts !== null)?.timeouts
  const parts = settings.map(([words, key, of]) => {
    const isOwn = ofRoute !== undefined && ofRoute !== null && ofRoute[key] !== service!.timeouts[key]
    return `${words} ${formatDuration(of(route))}${isOwn ? ' (of the route)' : ''}`
  })
  if (answerDueAt !== 0) {
    const waitsMs = answerDueAt - startedAt
    const isShorter = route.requestTimeoutMs === 0 || waitsMs < route.requestTimeoutMs
    const effect = isShorter ? '' : ', which is not shorter than request'
    parts.push(`its caller waits ${formatDuration(Math.round(waitsMs))} (${EXPECTED})${effect}`)
  }
  return parts.join(', ')
}

function retriesText({ request, cluster }: Exchange, retry: RetryPolicy, now: number): string {
  const { attempts, statuses, byHeaders, backoff } = retry
  if (attempts === 1) return 'none: one attempt'
  const { spent, allowed } = cluster!.budget.state(now)
  const more = [
    ...(statuses === null ? [] : [`statuses ${[...statuses].join(', ')}`]),
    ...(byHeaders === null ? [] : ['some headers']),
  ]
  const also = more.length === 0 ? '' : `; also after ${more.join(' and ')}`
  const twice = mayRunTwice(request, retry)
    ? `${request.method} may run twice`
    : `${request.method} only where no endpoint has had it`
  const wait = `${formatDuration(backoff.baseMs)}, at most ${formatDuration(backoff.maxMs)}`
  return `${twice}${also}; elsewhere at once, at the same endpoint after a wait of up to ${wait}; budget: ${spent} of ${Math.ceil(allowed)} spent in 10 s`
}

function hedgeText({ request, cluster }: Exchange, retry: RetryPolicy, now: number): string {
  if (!mayRunTwice(request, retry)) return `none: ${request.method} may not run twice`
  const { afterMs, percentile, minSamples } = retry.hedge!
  if (afterMs > 0) return `a second try elsewhere after ${formatDuration(afterMs)}`
  const waitMs = cluster!.latencies.percentile(percentile, minSamples, now)
  return waitMs < 0
    ? `none yet: p${percentile} needs ${minSamples} answers of the last minute`
    : `a second try elsewhere after ${formatDuration(Math.ceil(waitMs))}, which is p${percentile} of the last minute`
}
