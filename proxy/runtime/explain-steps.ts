import { formatDuration } from '../../mesh-config/duration.ts'
import type { ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { ExplainAnswer } from '../core/channel.ts'
import type { Cluster } from '../core/cluster.ts'
import type { Exchange } from '../core/exchange.ts'
import { failures } from '../core/failure.ts'
import { grpcKind } from '../core/grpc.ts'
import type { ListenerRuntime } from '../core/listener.ts'
import type { Route } from '../core/route.ts'
import { attemptView } from '../telemetry/flights.ts'
import { callSteps } from './explain-calls.ts'
import {
  deadlineText,
  drawText,
  ejectionText,
  firstOf,
  hostRemedy,
  loadText,
  policyText,
  poolText,
  routeRemedy,
} from './explain-words.ts'

/** So many are named. */
const MOST_EJECTED = 5

type Step = ExplainAnswer['steps'][number]

/** A decision that was made, and what its words need beside it. */
export interface Explained {
  readonly exchange: Exchange
  readonly listener: ListenerRuntime
  readonly services: Readonly<Record<string, ServiceSpec>>
  /** What the caller offered to become. */
  readonly offered: string
  /** When it was made. */
  readonly now: number
}

/** What each stage looked at, read from the exchange and its decision record: nothing is decided here. */
export function stepsOf(explained: Explained): Step[] {
  const { exchange, listener } = explained
  const { route, decision } = exchange
  const steps = [
    listenerStep(listener, exchange),
    ...traceSteps(exchange),
    ...decision.notes.map(note => ({ stage: 'filters', text: note })),
  ]
  if (!isRouted(exchange)) return [...steps, ...refusedByFilter(exchange, 'before routing'), ...serviceStep(exchange)]
  steps.push(...serviceStep(exchange), routeStep(exchange))
  if (route === null) return steps
  if (decision.destination === '') return [...steps, ...refusedByFilter(exchange, 'on the route')]
  steps.push({ stage: 'destination', text: `${decision.destination}: ${drawText(decision.draw, route.destinations)}` })
  if (exchange.cluster === null) return steps
  return [
    ...steps,
    ...upgradeSteps(explained, route),
    ...healthSteps(exchange.cluster),
    ...ejectionSteps(explained),
    ...pickSteps(exchange),
    ...limitSteps(explained),
    ...policySteps(explained, route),
  ]
}

/** What to do, where there is more to the point than what the failure table says; empty: there is not. */
export function remedyOf({ exchange, services }: Explained): string {
  const { failure, decision, request, route } = exchange
  if (failure !== failures.noRoute || route !== null) return ''
  if (decision.service !== '') return routeRemedy(decision.service, services)
  return request.authority === ''
    ? 'name the service in the URL, or ask for a listener that is for one service (`listener`)'
    : hostRemedy(request.authority, services)
}

function listenerStep({ spec }: ListenerRuntime, { protocol, peer }: Exchange): Step {
  const { original } = peer
  const shared =
    spec.service !== null
      ? `, for ${spec.service} only`
      : original !== undefined
        ? `, redirected on its way to ${original.name}`
        : ', shared by all services'
  const spoken = protocol === 'h2' ? '; the caller speaks HTTP/2' : ''
  return { stage: 'listener', text: `${spec.name}${shared}${spoken}` }
}

/** Nothing where nothing is recorded. */
function traceSteps({ trace }: Exchange): Step[] {
  const { sampledBy, isSampled } = trace
  if (sampledBy === '') return []
  const would = isSampled ? 'would be sampled' : 'would not be sampled'
  const otherwise = isSampled ? '' : '; recorded all the same where it fails or is slow (`traces`)'
  return [{ stage: 'trace', text: `${would}: ${sampledWords[sampledBy]}${otherwise}` }]
}

const sampledWords = {
  caller: 'its caller says so',
  debug: 'its caller wants it (debug of B3)',
  ratio: 'by its trace id and `traces.sample`',
} as const

/** A service was found, or one was looked for. */
function isRouted({ decision, route }: Exchange): boolean {
  return route !== null || decision.service !== ''
}

function refusedByFilter({ reply, failure }: Exchange, where: string): Step[] {
  if (failure === failures.noRoute || failure === failures.noCluster) return []
  return [{ stage: 'filters', text: `answered with ${reply?.status ?? failure?.httpStatus} ${where}` }]
}

function serviceStep(exchange: Exchange): Step[] {
  const { decision, request, protocol, failure, detail } = exchange
  const { service, by, onDemand } = decision
  if (by === 'address' || by === 'original') return [{ stage: 'service', text: addressText(exchange) }]
  if (service === '')
    return failure === failures.noRoute || failure === failures.noCluster ? [{ stage: 'service', text: detail }] : []
  const named = protocol === 'tcp' ? 'server name' : 'host'
  const found = by === 'port' ? 'the port is its own' : `found by ${named} "${request.authority}"`
  return [{ stage: 'service', text: `${service}: ${found}${onDemand ? ', and in the registry on demand' : ''}` }]
}

/** No name led anywhere. */
function addressText({ decision, request, protocol, peer, failure, detail }: Exchange): string {
  const { by, service } = decision
  const said = protocol === 'tcp' ? 'server name' : 'host'
  const unnamed = request.authority === '' ? `no ${said} is given` : `no service is known as "${request.authority}"`
  const { name } = peer.original!
  if (by === 'address') return `${service}: ${unnamed}, and ${name} belongs to it`
  if (failure === failures.passThroughDenied) return `${unnamed}, and ${detail}`
  return `${service}: ${unnamed}, and ${name} belongs to none: it goes on to where it was going`
}

function routeStep({ route, detail, protocol, decision }: Exchange): Step {
  if (route === null && decision.by === 'original') return { stage: 'route', text: 'none' }
  if (route === null) return { stage: 'route', text: detail }
  const why =
    protocol === 'tcp' ? 'the first that asks nothing of a request' : `the first that matches (${route.condition})`
  return { stage: 'route', text: `${route.name}: ${why}` }
}

function upgradeSteps({ exchange, offered }: Explained, route: Route): Step[] {
  const { upgrade } = exchange.request
  const isRefused = exchange.failure === failures.tunnelRefused
  if (upgrade === offered && !isRefused) return []
  const allowed = [...route.upgrades].join(', ') || 'none'
  const becomes = isRefused ? '' : upgrade === '' ? '; the offer is ignored' : `; ${upgrade} is asked for`
  return [{ stage: 'policy', text: `${offered} is not among the upgrades of ${route.service} (${allowed})${becomes}` }]
}

/** The endpoints that health leaves out, and why. Nothing where all pass. */
function healthSteps(cluster: Cluster): Step[] {
  const all = cluster.members
  const out = all.filter(({ spec }) => spec.health !== 'passing')
  if (out.length === 0) return []
  const named = out.map(({ name, spec }) => `${name} is ${spec.health}${spec.healthReason && `: ${spec.healthReason}`}`)
  return [{ stage: 'health', text: `${out.length} of ${all.length} endpoints do not pass: ${firstOf(named)}` }]
}

/** Who gets nothing because of what it did before, or because an operator wants it. */
function ejectionSteps({ exchange, now }: Explained): Step[] {
  const notUsed = exchange.cluster!.members.filter(({ state }) => state !== 'admitting')
  const steps = notUsed
    .slice(0, MOST_EJECTED)
    .map(endpoint => ({ stage: 'ejected', text: ejectionText(endpoint, now) }))
  const more = notUsed.length - steps.length
  return more <= 0 ? steps : [...steps, { stage: 'ejected', text: `and ${more} more: see /endpoints?only=ejected` }]
}

function pickSteps({ decision, cluster, protocol }: Exchange): Step[] {
  if (decision.attempts === 0) return []
  const record = decision.tries[0]!
  const { endpoint, policy, other } = record
  if (endpoint === null) return [{ stage: 'balancer', text: `${cluster!.policy}: no endpoint may be used` }]
  const compared =
    other === null ? '' : `: load ${loadText(record.load)} against ${loadText(record.otherLoad)} at ${other.name}`
  const { way } = attemptView(record)
  const narrowed = way.length === 0 ? '' : ` (${way.join(', ')})`
  const made = protocol === 'tcp' ? 'a connection of its own would be made' : poolText(endpoint.pool)
  return [
    { stage: 'balancer', text: `${policy} picks ${endpoint.name}${narrowed}${compared}` },
    { stage: 'pool', text: made },
  ]
}

/** `breaker: closed, ...` is the stage and what there is to say of it. */
function limitSteps({ exchange: { cluster }, now }: Explained): Step[] {
  return cluster!.admission.describe(now).map(note => {
    const [stage] = note.split(': ', 1)
    return { stage: stage!, text: note.slice(stage!.length + 2) }
  })
}

function policySteps({ exchange, services, now }: Explained, route: Route): Step[] {
  const { failure, protocol } = exchange
  if (failure === failures.breakerOpen) return []
  if (failure === failures.poolOverflow)
    return [{ stage: 'limits', text: `${exchange.detail} of the service is reached` }]
  if (protocol === 'tcp') return failure === null ? [{ stage: 'policy', text: tunnelPolicy(route) }] : []
  const isPicked = exchange.decision.attempts > 0
  const grpc = failure === null || !isPicked ? grpcSteps(exchange, route) : []
  if (failure !== null) return grpc
  return [...grpc, { stage: 'policy', text: policyText(route) }, ...callSteps(exchange, route, services, now)]
}

function tunnelPolicy({ retry, tunnelIdleMs }: Route): string {
  const { attempts, on } = retry
  const again = attempts > 1 && on.has('connect-failure') ? `${attempts} attempts on connect-failure` : 'one attempt'
  return `${again}, idle ${formatDuration(tunnelIdleMs)}`
}

/** What is done about gRPC that is not done about other requests. */
function grpcSteps(exchange: Exchange, route: Route): Step[] {
  const { failure, detail, request } = exchange
  const cluster = exchange.cluster!
  const kind = grpcKind(request.headers)
  if (kind === '' || failure === failures.tunnelRefused) return []
  const step = (text: string) => [{ stage: 'grpc', text }]
  if (!cluster.mayBeGrpc)
    return step(
      `the endpoints are called with HTTP/1.1: gRPC needs \`protocol: grpc\` in the policy of ${route.service}`,
    )
  const way = kind === 'grpc' ? 'gRPC' : cluster.speaksGrpc ? `${kind}, translated to gRPC` : `${kind}, passed as it is`
  if (failure === failures.grpcNeedsHttp2) return step(`${way}; refused: it comes over HTTP/1.1`)
  if (route.grpcDeadline === null) return step(`${way}; a deadline is passed on and not enforced`)
  if (failure === failures.badRequest) return step(`${way}; refused: ${detail}`)
  return step(`${way}; ${deadlineText(exchange)}`)
}
