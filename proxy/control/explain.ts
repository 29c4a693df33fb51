import { formatDuration } from '../../mesh-config/duration.ts'
import { NO_HASH } from '../core/balancer.ts'
import type { ExplainAnswer, FlightView, Question } from '../core/channel.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Cluster } from '../core/cluster.ts'
import { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { GrpcKind } from '../core/grpc.ts'
import { HeaderList } from '../core/header-list.ts'
import type { ListenerRuntime } from '../core/listener.ts'
import type { RequestHead } from '../core/message.ts'
import type { Pool } from '../core/pool.ts'
import type { Route } from '../core/route.ts'
import { CONNECT } from '../core/tunnel.ts'
import { runRequest } from '../filter/chain.ts'
import { grpcKind } from '../forward/grpc.ts'
import { beginDeadline } from '../forward/grpc-deadline.ts'
import { attemptView, failureView } from '../telemetry/flights.ts'

type ExplainQuestion = Extract<Question, { what: 'explain' }>
type Step = ExplainAnswer['steps'][number]

/** The codecs refuse these characters in a live request. */
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/

/**
 * The decision record a request would get now: the very router, split and picker of a live request, draws included; only the sending is left out. (A round robin turn
 * taken here is taken.)
 */
export function explain(question: ExplainQuestion, listeners: ReadonlyMap<string, ListenerRuntime>, clock: Clock, random: Random): ExplainAnswer {
  if ([question.method, question.url, ...question.headers.flat()].some(text => CONTROL.test(text)))
    return { record: null, steps: [], error: 'a request cannot have control characters or line ends in its method, URL or headers: leave them out' }
  const target = /^(?:(https?|tcp|tls):\/\/([^/?#]+))?(\/[^#]*)?$/i.exec(question.url)
  if (target === null || question.url === '')
    return {
      record: null,
      steps: [],
      error: `"${question.url}" is neither a URL nor a path: write url=http://orders/api, url=/api, url=tcp://redis for a service that speaks TCP, or url=tls://name for a server name`,
    }
  const authority = target[2] ?? question.headers.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? ''
  const scheme = target[1]?.toLowerCase() ?? ''
  const listener = chooseListener(question.listener, authority, listeners)
  if (typeof listener === 'string') return { record: null, steps: [], error: listener }
  const isTunnel = scheme === 'tcp' || scheme === 'tls' || listener.spec.protocol === 'tcp'
  if (isTunnel && listener.spec.protocol === 'http')
    return {
      record: null,
      steps: [],
      error: `${listener.spec.name} takes HTTP only: write protocol: tcp or protocol: detect there, or ask for another listener`,
    }
  const request: RequestHead = isTunnel
    ? { method: '', scheme: 'http', authority: scheme === 'tls' ? hostOf(authority) : '', path: '', upgrade: '', headers: new HeaderList() }
    : {
        method: question.method,
        scheme: 'http',
        authority,
        path: target[3] ?? '/',
        upgrade: upgradeOf(question),
        headers: new HeaderList(question.headers.flat()),
      }
  const peer = { address: '127.0.0.1', port: 0, local: '', localPort: 0 }
  const exchange = new Exchange(peer, listener.spec.direction, isTunnel ? 'tcp' : 'http/1.1', request)
  exchange.begin(request, clock.now())
  const steps: Step[] = [
    { stage: 'listener', text: `${listener.spec.name}${listener.spec.service === null ? ', shared by all services' : `, for ${listener.spec.service} only`}` },
  ]
  const failure = (isTunnel ? walkTunnel : walk)(exchange, listener, steps, clock, random)
  return { record: view(exchange, listener.spec.name, failure), steps, error: '' }
}

/** What the request asks for, as the codec would have it. */
function upgradeOf({ method, headers }: ExplainQuestion): string {
  if (method === 'CONNECT') return CONNECT
  const upgrade = headers.find(([name]) => name.toLowerCase() === 'upgrade')?.[1]?.toLowerCase() ?? ''
  return upgrade === 'h2c' ? '' : upgrade
}

/** A named listener; else the shared outbound one when a host is given, else the first. A string says what is wrong. */
function chooseListener(name: string | null, authority: string, listeners: ReadonlyMap<string, ListenerRuntime>): ListenerRuntime | string {
  const all = [...listeners.values()]
  if (name !== null) {
    const found = all.filter(({ spec }) => spec.name === name || `${spec.listen.address}:${spec.listen.port}` === name || String(spec.listen.port) === name)
    return found[0] ?? `no listener is called "${name}"; there are: ${all.map(({ spec }) => spec.name).join(', ')}`
  }
  const outbound = all.filter(({ spec }) => spec.direction === 'outbound')
  const shared = outbound.find(({ spec }) => spec.service === null)
  const named = outbound.find(({ spec }) => spec.service !== null && spec.service === authority.replace(/:\d+$/, ''))
  const chosen = (authority === '' ? undefined : (named ?? shared)) ?? shared ?? outbound[0] ?? all[0]
  return chosen ?? 'this sidecar has no listener'
}

function walk(exchange: Exchange, listener: ListenerRuntime, steps: Step[], clock: Clock, random: Random): Failure | null {
  const { decision, request } = exchange
  const verdict = runRequest(listener.filters, exchange)
  if (verdict !== undefined && !(verdict instanceof Promise)) {
    steps.push({ stage: 'filters', text: `answered with ${verdict.status} before routing` })
    return verdict.failure
  }
  const route = listener.router(request, decision)
  if (decision.service === '') {
    steps.push({
      stage: 'service',
      text: request.authority === '' ? 'no host was given and the port is shared' : `no service is known as "${request.authority}"`,
    })
    return failures.noRoute
  }
  steps.push({
    stage: 'service',
    text: decision.by === 'port' ? `${decision.service}: the port is its own` : `${decision.service}: found by host "${request.authority}"`,
  })
  if (route === null) {
    steps.push({ stage: 'route', text: `no route of ${decision.service} matches ${request.method} ${request.path}` })
    return failures.noRoute
  }
  steps.push({ stage: 'route', text: `${route.name}: the first that matches (${route.condition})` })
  const failure = choose(exchange, route, steps, clock, random)
  if (failure === null) {
    const { pool } = exchange.decision.tries[0]!.endpoint!
    steps.push({ stage: 'pool', text: poolText(pool) })
    const kind = grpcKind(request.headers)
    if (kind !== '') steps.push({ stage: 'grpc', text: grpcText(kind, exchange, route, exchange.cluster!) })
    steps.push({ stage: 'policy', text: policyText(route) })
  }
  return failure
}

function walkTunnel(exchange: Exchange, listener: ListenerRuntime, steps: Step[], clock: Clock, random: Random): Failure | null {
  const { decision, request } = exchange
  const route = listener.tcpRouter(request.authority, decision)
  if (route === null) {
    const text = request.authority === '' ? 'no server name was given and the port is shared' : `no service is known as "${request.authority}"`
    steps.push({ stage: 'service', text })
    return failures.noRoute
  }
  const how = decision.by === 'port' ? 'the port is its own' : `found by server name "${request.authority}"`
  steps.push({ stage: 'service', text: `${decision.service}: ${how}` }, { stage: 'route', text: `${route.name}: the first that asks nothing of a request` })
  const failure = choose(exchange, route, steps, clock, random)
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
function choose(exchange: Exchange, route: Route, steps: Step[], clock: Clock, random: Random): Failure | null {
  const { decision } = exchange
  const cluster = route.destination(random, decision)
  const draw = decision.draw < 0 ? 'the only destination' : `drawn with ${decision.draw.toFixed(4)}`
  steps.push({ stage: 'destination', text: `${decision.destination}: ${draw}` })
  if (cluster === null) return failures.noCluster
  const { upgrade } = exchange.request
  if (upgrade !== '' && upgrade !== CONNECT && !route.upgrades.has(upgrade)) {
    steps.push({ stage: 'policy', text: `${upgrade} is not among the upgrades of ${route.service} (${[...route.upgrades].join(', ')})` })
    return failures.tunnelRefused
  }
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
  const compared = record.other === null ? '' : `: load ${round(record.load)} against ${round(record.otherLoad)} at ${record.other.name}`
  const { way } = attemptView(record)
  steps.push({ stage: 'balancer', text: `${cluster.policy} picks ${endpoint.name}${way.length === 0 ? '' : ` (${way.join(', ')})`}${compared}` })
  return null
}

/** What is done about gRPC that is not done about other requests. */
function grpcText(kind: GrpcKind, exchange: Exchange, route: Route, cluster: Cluster): string {
  if (!cluster.mayBeGrpc) return `the endpoints are called with HTTP/1.1: gRPC needs \`protocol: grpc\` in the policy of ${route.service}`
  const way = kind === 'grpc' ? 'gRPC' : cluster.speaksGrpc ? `${kind}, translated to gRPC` : `${kind}, passed as it is`
  if (route.grpcDeadline === null) return `${way}; a deadline is passed on and not enforced`
  const problem = beginDeadline(exchange, route.grpcDeadline)
  if (problem !== '') return `${way}; refused: ${problem}`
  return `${way}; ${deadlineText(exchange)}`
}

/** The clock counts in fractions, and so do the units of gRPC: a thousandth is as much as anybody reads. */
function deadlineText({ deadlineAt, startedAt }: Exchange): string {
  if (deadlineAt === 0) return 'no deadline'
  const micros = Math.round((deadlineAt - startedAt) * 1000)
  return micros === 0 ? 'the deadline is over at once' : `deadline ${formatDuration(micros / 1000)}`
}

function poolText(pool: Pool): string {
  if (pool.idle > 0) return `an idle connection is there (${pool.idle} of ${pool.connections})`
  return pool.connections === 0 ? 'a first connection would be made' : `a new connection would be made (${pool.connections} open, all busy)`
}

function policyText({ retry, requestTimeoutMs, perTryTimeoutMs }: Route): string {
  const on = retry.attempts > 1 ? ` on ${[...retry.on].join(', ')}` : ''
  return `request timeout ${formatDuration(requestTimeoutMs)}, per try ${formatDuration(perTryTimeoutMs)}, ${retry.attempts} attempts${on}`
}

function hostOf(authority: string): string {
  return authority.replace(/:\d+$/, '').toLowerCase()
}

function view(exchange: Exchange, listener: string, failure: Failure | null): FlightView {
  const { request, decision } = exchange
  return {
    at: '',
    requestId: '',
    listener,
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
    ...failureView(failure, ''),
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

/** A load may be a count, or milliseconds. */
function round(load: number): number {
  return Math.round(load * 100) / 100
}
