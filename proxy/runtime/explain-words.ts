import { formatDuration } from '../../mesh-config/duration.ts'
import { nearest } from '../../mesh-config/nearest.ts'
import type { ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { evidenceText } from '../core/evidence-text.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Pool } from '../core/pool.ts'
import type { Route } from '../core/route.ts'
import { describeMatch } from '../router/describe.ts'

/** What explanations say, in words. */

const MOST_NAMES = 8
const MOST_FAILURES = 3

type Services = Readonly<Record<string, ServiceSpec>>

/** What to do about a host that no service goes by. */
export function hostRemedy(host: string, services: Services): string {
  const names = Object.keys(services).filter(name => !name.includes(':'))
  const meant = nearest(host.replace(/:\d+$/, ''), names)
  if (meant !== null) return `did you mean ${meant}? Else add the host to \`hosts:\` of a service`
  const known = names.length === 0 ? 'no service is configured' : `known are ${firstOf(names, ', ')}`
  return `${known}: add the host to \`hosts:\` of one, or give a service of that name endpoints under \`discovery:\``
}

export function routeRemedy(service: string, services: Services): string {
  const routes = Object.hasOwn(services, service) ? services[service]!.routes : []
  return `its routes want: ${firstOf(routes.map(({ match }) => describeMatch(match)))}. Add one that matches, or a last one without \`match:\``
}

export function firstOf(texts: readonly string[], separator = '; '): string {
  const more = texts.length - MOST_NAMES
  return `${texts.slice(0, MOST_NAMES).join(separator)}${more > 0 ? ` and ${more} more` : ''}`
}

/** `orders/v1: drawn with 0.0868: orders/v1 90 % (0 to 0.9), orders/v2 10 % (0.9 to 1)` */
export function drawText(draw: number, destinations: Route['destinations']): string {
  if (draw < 0) return 'the only destination'
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0)
  let from = 0
  const shares = destinations.map(({ name, weight }) => {
    const to = from + weight / total
    const text = `${name} ${short((100 * weight) / total)} % (${short(from)} to ${short(to)})`
    from = to
    return text
  })
  return `drawn with ${draw.toFixed(4)}: ${firstOf(shares, ', ')}`
}

function short(value: number): string {
  return String(Number(value.toFixed(4)))
}

/** The clock counts in fractions, and so do the units of gRPC: a thousandth is as much as anybody reads. */
export function deadlineText({ deadlineAt, startedAt }: Exchange): string {
  if (deadlineAt === 0) return 'no deadline'
  const micros = Math.round((deadlineAt - startedAt) * 1000)
  return micros === 0 ? 'the deadline is over at once' : `deadline ${formatDuration(micros / 1000)}`
}

export function poolText(pool: Pool): string {
  if (pool.idle > 0) return `an idle connection is there (${pool.idle} of ${pool.connections})`
  return pool.connections === 0
    ? 'a first connection would be made'
    : `a new connection would be made (${pool.connections} open, all busy)`
}

export function policyText({ retry, requestTimeoutMs, perTryTimeoutMs }: Route): string {
  const on = retry.attempts > 1 ? ` on ${[...retry.on].join(', ')}` : ''
  return `request timeout ${formatDuration(requestTimeoutMs)}, per try ${formatDuration(perTryTimeoutMs)}, ${retry.attempts} attempts${on}`
}

/** A load may be a count, or milliseconds. */
export function loadText(load: number): number {
  return Math.round(load * 100) / 100
}

export function ejectionText(endpoint: Endpoint, now: number): string {
  const { name, state, byHand, ejectedUntil, ejectionReason, evidence } = endpoint
  if (state === 'probing')
    return `${name} is probing: one request decides whether it is used again (it was ejected: ${ejectionReason})`
  const left = formatDuration(Math.max(1, Math.ceil((ejectedUntil - now) / 1000)) * 1000)
  if (byHand !== 'no') return `${name} is ejected by an operator for ${left} more`
  const failures = (evidence?.failures(now) ?? []).slice(-MOST_FAILURES).map(evidenceText)
  return `${name} is ejected for ${left} more: ${ejectionReason}${failures.length === 0 ? '' : `; ${failures.join(', ')}`}`
}
