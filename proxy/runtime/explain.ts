import { formatDuration } from '../../mesh-config/duration.ts'
import { hostOf } from '../../mesh-config/host-name.ts'
import type { ServiceSpec } from '../../mesh-config/snapshot.ts'
import { NO_HASH } from '../core/balancer.ts'
import type { ExplainAnswer, FlightView, Unknown } from '../core/channel.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Cluster } from '../core/cluster.ts'
import { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { GrpcKind } from '../core/grpc.ts'
import { HeaderList } from '../core/header-list.ts'
import type { ListenerRuntime } from '../core/listener.ts'
import type { RequestHead } from '../core/message.ts'
import type { Route } from '../core/route.ts'
import { CONNECT, settleUpgrade } from '../core/tunnel.ts'
import { runRequest } from '../filter/chain.ts'
import { grpcKind } from '../forward/grpc.ts'
import { beginDeadline } from '../forward/grpc-deadline.ts'
import { attemptView, failureView } from '../telemetry/flights.ts'
import { type ExplainQuestion, targetOf } from './explain-target.ts'
import { deadlineText, drawText, hostRemedy, loadText, policyText, poolText, routeRemedy } from './explain-words.ts'

type Step = ExplainAnswer['steps'][number]

/** The codecs refuse these characters in a live request. */
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/

export interface ExplainDeps {
  readonly clock: Clock
  readonly random: Random
  /** What is in force. */
  runtime(): Runtime
  /** As for a request: asks the registry for a service that no route knows. Null: nobody could know it. */
  discover(authority: string): Promise<Unknown | null> | null
}

export interface Runtime {
  readonly listeners: ReadonlyMap<string, ListenerRuntime>
  readonly services: Readonly<Record<string, ServiceSpec>>
}

/** One explanation on its way. */
interface Way extends Runtime, Pick<ExplainDeps, 'clock' | 'random'> {
  readonly exchange: Exchange
  readonly listener: ListenerRuntime
  readonly steps: Step[]
  /** What the registry said of the service, where it was asked. */
  readonly asked: Unknown | 'found' | null
  /** The registry may know this one. */
  wants: string
  /** More to the point than that of the failure. */
  remedy: string
}

/**
 * The decision record a request would get now: the very router, split and picker of a live request, draws included;
 * only the sending is left out. (A round robin turn taken here is taken.) A service that nobody asked for yet is looked
 * up, as for a live request.
 */
export function explain(question: ExplainQuestion, deps: ExplainDeps): ExplainAnswer | Promise<ExplainAnswer> {
  const { answer, wants } = explainOnce(question, deps, null)
  const found = wants === '' ? null : deps.discover(wants)
  return found === null ? answer : found.then(why => explainOnce(question, deps, why ?? 'found').answer)
}

function explainOnce(
  question: ExplainQuestion,
  deps: ExplainDeps,
  asked: Way['asked'],
): { readonly answer: ExplainAnswer; readonly wants: string } {
  const exchanged = begin(question, deps)
  if (typeof exchanged === 'string') return { answer: { record: null, steps: [], error: exchanged }, wants: '' }
  const { exchange, listener } = exchanged
  const shared = listener.spec.service === null ? ', shared by all services' : `, for ${listener.spec.service} only`
  const steps: Step[] = [{ stage: 'listener', text: `${listener.spec.name}${shared}` }]
  const way: Way = {
    ...deps.runtime(),
    clock: deps.clock,
    random: deps.random,
    exchange,
    listener,
    steps,
    asked,
    wants: '',
    remedy: '',
  }
  const failure = exchange.protocol === 'tcp' ? walkTunnel(way) : walk(way)
  return { answer: { record: view(way, failure), steps, error: '' }, wants: way.wants }
}

/** The exchange that the question is about, and where it comes in; or what is wrong with the question. */
function begin(
  question: ExplainQuestion,
  { clock, runtime }: ExplainDeps,
): { readonly exchange: Exchange; readonly listener: ListenerRuntime } | string {
  if ([question.method, question.url, ...question.headers.flat()].some(text => CONTROL.test(text)))
    return 'a request cannot have control characters or line ends in its method, URL or headers: leave them out'
  const target = targetOf(question)
  if (typeof target === 'string') return target
  const { scheme, authority, path } = target
  const listener = chooseListener(question.listener, authority, runtime().listeners)
  if (typeof listener === 'string') return listener
  const { name, protocol, direction } = listener.spec
  const isTunnel = scheme === 'tcp' || scheme === 'tls' || protocol === 'tcp'
  if (isTunnel && protocol === 'http')
    return `${name} takes HTTP only: write protocol: tcp or protocol: detect there, or ask for another listener`
  const request: RequestHead = isTunnel
    ? {
        method: '',
        scheme: 'http',
        authority: scheme === 'tls' ? hostOf(authority) : '',
        path: '',
        upgrade: '',
        headers: new HeaderList(),
      }
    : {
        method: question.method,
        scheme: 'http',
        authority,
        path,
        upgrade: upgradeOf(question),
        headers: new HeaderList(question.headers.flat()),
      }
  const peer = { address: '127.0.0.1', port: 0, local: '', localPort: 0 }
  const exchange = new Exchange(peer, direction, isTunnel ? 'tcp' : 'http/1.1', request)
  exchange.begin(request, clock.now())
  return { exchange, listener }
}

/** What the request asks for, as the codec would have it. */
function upgradeOf({ method, headers }: ExplainQuestion): string {
  if (method === 'CONNECT') return CONNECT
  const offers = headers.flatMap(([name, value]) =>
    name.toLowerCase() === 'upgrade' ? value.toLowerCase().split(',') : [],
  )
  return offers
    .map(offer => offer.trim())
    .filter(offer => offer !== '' && offer !== 'h2c')
    .join(',')
}

/** A named listener; else the shared outbound one when a host is given, else the first. A string says what is wrong. */
function chooseListener(
  name: string | null,
  authority: string,
  listeners: ReadonlyMap<string, ListenerRuntime>,
): ListenerRuntime | string {
  const all = [...listeners.values()]
  if (name !== null) {
    const found = all.filter(
      ({ spec }) =>
        spec.name === name ||
        `${spec.listen.address}:${spec.listen.port}` === name ||
        String(spec.listen.port) === name,
    )
    return found[0] ?? `no listener is called "${name}"; there are: ${all.map(({ spec }) => spec.name).join(', ')}`
  }
  const outbound = all.filter(({ spec }) => spec.direction === 'outbound')
  const shared = outbound.find(({ spec }) => spec.service === null)
  const named = outbound.find(({ spec }) => spec.service !== null && spec.service === hostOf(authority))
  const chosen = (authority === '' ? undefined : (named ?? shared)) ?? shared ?? outbound[0] ?? all[0]
  return chosen ?? 'this sidecar has no listener'
}

function walk(way: Way): Failure | null {
  const { exchange, listener, steps } = way
  const { decision, request } = exchange
  const verdict = runRequest(listener.filters, exchange)
  if (verdict !== undefined && !(verdict instanceof Promise)) {
    steps.push({ stage: 'filters', text: `answered with ${verdict.status} before routing` })
    return verdict.failure
  }
  const route = listener.router(request, decision)
  if (decision.service === '')
    return unknownService(
      way,
      request.authority,
      'no host was given and the port is shared',
      listener.spec.direction === 'outbound',
    )
  steps.push({ stage: 'service', text: serviceText(way, `found by host "${request.authority}"`) })
  if (route === null) {
    exchange.detail = `no route of ${decision.service} matches ${request.method} ${request.path}`
    steps.push({ stage: 'route', text: exchange.detail })
    way.remedy = routeRemedy(decision.service, way.services)
    return failures.noRoute
  }
  steps.push({ stage: 'route', text: `${route.name}: the first that matches (${route.condition})` })
  const failure = choose(way, route)
  if (failure === null) {
    const { pool } = exchange.decision.tries[0]!.endpoint!
    steps.push({ stage: 'pool', text: poolText(pool) })
    const kind = grpcKind(request.headers)
    if (kind !== '') steps.push({ stage: 'grpc', text: grpcText(kind, exchange, route, exchange.cluster!) })
    steps.push({ stage: 'policy', text: policyText(route) })
  }
  return failure
}

/** No service goes by that name: unless the registry knows it, and has not been asked yet. */
function unknownService(way: Way, name: string, unnamed: string, mayAsk: boolean): Failure {
  const { exchange, listener, steps, asked } = way
  if (asked === null && mayAsk && name !== '' && listener.spec.service === null) way.wants = name
  exchange.detail =
    asked !== null && asked !== 'found' ? asked.reason : name === '' ? unnamed : `no service is known as "${name}"`
  steps.push({ stage: 'service', text: exchange.detail })
  if (asked !== null && asked !== 'found' && !asked.certain) return failures.noCluster
  way.remedy =
    name === ''
      ? 'name the service in the URL, or ask for a listener that is for one service (`listener`)'
      : hostRemedy(name, way.services)
  return failures.noRoute
}

function serviceText({ exchange: { decision }, asked }: Way, found: string): string {
  return `${decision.service}: ${decision.by === 'port' ? 'the port is its own' : found}${asked === 'found' ? ', and in the registry on demand' : ''}`
}

function walkTunnel(way: Way): Failure | null {
  const { exchange, listener, steps } = way
  const { decision, request } = exchange
  const route = listener.tcpRouter(request.authority, decision)
  if (route === null)
    return unknownService(way, request.authority, 'no server name was given and the port is shared', true)
  const how = serviceText(way, `found by server name "${request.authority}"`)
  steps.push(
    { stage: 'service', text: how },
    { stage: 'route', text: `${route.name}: the first that asks nothing of a request` },
  )
  const failure = choose(way, route)
  if (failure !== null) return failure
  const { attempts, on } = route.retry
  const again = attempts > 1 && on.has('connect-failure') ? `${attempts} attempts on connect-failure` : 'one attempt'
  steps.push(
    { stage: 'pool', text: 'a connection of its own would be made' },
    { stage: 'policy', text: `${again}, idle ${formatDuration(route.tunnelIdleMs)}` },
  )
  return null
}

/** The split, and the pick. */
function choose({ exchange, steps, clock, random }: Way, route: Route): Failure | null {
  const { decision } = exchange
  const cluster = route.destination(random, decision)
  steps.push({ stage: 'destination', text: `${decision.destination}: ${drawText(decision.draw, route.destinations)}` })
  if (cluster === null) return failures.noCluster
  const { request, protocol } = exchange
  const { upgrade } = request
  const settled = upgrade === '' ? '' : settleUpgrade(request, protocol, route.upgrades)
  if (settled !== upgrade) {
    const allowed = [...route.upgrades].join(', ') || 'none'
    const becomes = settled === null ? '' : settled === '' ? '; the offer is ignored' : `; ${settled} is asked for`
    steps.push({
      stage: 'policy',
      text: `${upgrade} is not among the upgrades of ${route.service} (${allowed})${becomes}`,
    })
  }
  if (settled === null) return failures.tunnelRefused
  request.upgrade = settled
  exchange.cluster = cluster
  const record = decision.nextTry(clock.now())
  record.policy = cluster.policy
  const context = { tried: [], record, hash: NO_HASH, sticky: '', madeCookie: '' }
  cluster.prepare?.(exchange, context)
  const endpoint = cluster.balancer.pick(context)
  record.endpoint = endpoint
  if (endpoint === null) {
    steps.push({ stage: 'balancer', text: `${cluster.policy}: no endpoint may be used` })
    return failures.noHealthyUpstream
  }
  const compared =
    record.other === null
      ? ''
      : `: load ${loadText(record.load)} against ${loadText(record.otherLoad)} at ${record.other.name}`
  const { way } = attemptView(record)
  steps.push({
    stage: 'balancer',
    text: `${cluster.policy} picks ${endpoint.name}${way.length === 0 ? '' : ` (${way.join(', ')})`}${compared}`,
  })
  return null
}

/** What is done about gRPC that is not done about other requests. */
function grpcText(kind: GrpcKind, exchange: Exchange, route: Route, cluster: Cluster): string {
  if (!cluster.mayBeGrpc)
    return `the endpoints are called with HTTP/1.1: gRPC needs \`protocol: grpc\` in the policy of ${route.service}`
  const way = kind === 'grpc' ? 'gRPC' : cluster.speaksGrpc ? `${kind}, translated to gRPC` : `${kind}, passed as it is`
  if (route.grpcDeadline === null) return `${way}; a deadline is passed on and not enforced`
  const problem = beginDeadline(exchange, route.grpcDeadline)
  if (problem !== '') return `${way}; refused: ${problem}`
  return `${way}; ${deadlineText(exchange)}`
}

function view({ exchange, listener, remedy }: Way, failure: Failure | null): FlightView {
  const { request, decision } = exchange
  const told = failureView(failure, exchange.detail)
  return {
    at: '',
    requestId: '',
    listener: listener.spec.name,
    direction: exchange.direction,
    peer: '',
    protocol: exchange.protocol,
    method: request.method,
    authority: request.authority,
    path: request.path,
    status: failure === null ? 0 : failure.httpStatus,
    grpcStatus: failure === null || grpcKind(request.headers) === '' ? null : failure.grpcStatus,
    grpcMessage: '',
    deadlineMs: exchange.deadlineAt === 0 ? null : exchange.deadlineAt - exchange.startedAt,
    ...told,
    remedy: remedy === '' ? told.remedy : remedy,
    by: decision.by,
    service: decision.service,
    route: decision.route,
    draw: decision.draw < 0 ? null : decision.draw,
    destination: decision.destination,
    durationMs: 0,
    bytesIn: 0,
    bytesOut: 0,
    attempts: decision.tries.slice(0, decision.attempts).map(attemptView),
  }
}
