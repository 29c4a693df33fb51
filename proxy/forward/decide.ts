import type { Unknown } from '../core/channel.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Cluster } from '../core/cluster.ts'
import type { Decide } from '../core/decide.ts'
import type { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { Later, LocalReply, Refusal } from '../core/filter.ts'
import { grpcKind } from '../core/grpc.ts'
import type { ListenerRuntime } from '../core/listener.ts'
import type { ByAddress, Route } from '../core/route.ts'
import { settleUpgrade } from '../core/tunnel.ts'
import { beginDeadline } from './grpc-deadline.ts'
import { beginAnswerDue } from './http-deadline.ts'
import { Wait } from './wait.ts'

export interface DecideDeps {
  readonly clock: Clock
  readonly random: Random
  /** The runtime that is in force now. */
  listener(): ListenerRuntime
  /**
   * Asks the registry for the service of a host that no route knows: resolves when it is there (null), or with the
   * reason why not. Null: no registry could know it.
   */
  discover(authority: string): Promise<Unknown | null> | null
  /** The same, where a connection has somewhere else to go: null also while it is known that the registry knows none. */
  discoverAhead(authority: string): Promise<Unknown | null> | null
  /** For an explanation: filters say what they would do. */
  readonly isPreview: boolean
}

export type Decision = typeof GO | typeof REFUSE | typeof WAIT
/** `exchange.route` and `exchange.cluster` say where to. */
export const GO = 0
/** `exchange.reply` is the answer, or where that is null, `exchange.failure` with `exchange.detail`. */
export const REFUSE = 1
/** `exchange.later` says for what. Once it has come, the same function goes on where it stopped. */
export const WAIT = 2

/** Decides, waiting where that is needed: requests, TCP and explanations all come this way. */
export function decider(deps: DecideDeps): Decide {
  return function begin(exchange, owner) {
    const decision = decide(exchange, deps.listener(), deps)
    if (decision === GO) owner.go()
    else if (decision === REFUSE) owner.refuse()
    else
      exchange.waiting = new Wait(exchange.later!, deps.clock, verdict => {
        exchange.waiting = null
        if (verdict === undefined) return begin(exchange, owner)
        stop(exchange, verdict)
        owner.refuse()
      })
  }
}

/**
 * The one decision on where an exchange goes: listener filters, route, route filters, split, and whether the service
 * takes it. All that it finds is in the exchange and its decision record; going costs no object.
 */
export function decide(exchange: Exchange, listener: ListenerRuntime, deps: DecideDeps): Decision {
  if (exchange.protocol === 'tcp') return decideTunnel(exchange, listener, deps)
  if (exchange.route === null) {
    // Before routing: a request without an id could not be found in a log, whatever becomes of it.
    exchange.filters ??= listener.filters
    const decision = filter(exchange, deps)
    if (decision !== GO) return decision
    const route = listener.router(exchange.request, exchange.decision) ?? elsewhere(exchange, listener, deps)
    if (typeof route === 'number') return route
    exchange.route = route
    const { filters } = exchange
    exchange.filters = filters === listener.filters ? route.filters : route.filters.behind(filters, exchange.filtersRan)
  }
  // Before the split: a refused request must not count as one of its destination's.
  const decision = filter(exchange, deps)
  return decision === GO ? destination(exchange, exchange.route, deps) : decision
}

function filter(exchange: Exchange, deps: DecideDeps): Decision {
  const verdict = exchange.filters!.onRequest(exchange, deps.isPreview)
  if (verdict === undefined) return GO
  return 'verdict' in verdict ? wait(exchange, verdict) : stop(exchange, verdict)
}

/** No filters, and nothing that a service might not take: a tunnel has a route and a split. */
function decideTunnel(exchange: Exchange, listener: ListenerRuntime, deps: DecideDeps): Decision {
  const { decision, request, detail } = exchange
  let route = listener.tcpRouter(request.authority, decision)
  if (route === null) {
    const { byAddress } = listener
    if (byAddress === null || exchange.peer.original === undefined) return noService(exchange, listener, deps, detail)
    const asked = ahead(exchange, byAddress, deps)
    if (asked !== null) return wait(exchange, asked)
    route = byAddress.tunnel(exchange)
    if (route === null) return REFUSE
  }
  exchange.route = route
  return draw(exchange, route, deps) === null ? refuse(exchange, failures.noCluster, decision.destination) : GO
}

/** The split draws once: retries stay with the destination that was drawn. */
function draw(exchange: Exchange, route: Route, { random }: DecideDeps): Cluster | null {
  const cluster = route.destination(random, exchange.decision)
  exchange.cluster = cluster
  return cluster
}

function destination(exchange: Exchange, route: Route, deps: DecideDeps): Decision {
  const { request, protocol } = exchange
  const cluster = draw(exchange, route, deps)
  if (cluster === null) return refuse(exchange, failures.noCluster, exchange.decision.destination)
  exchange.filters!.onDestination(exchange)
  const { trace } = exchange
  if (trace.came < 0) trace.came = request.headers.traceFields()
  if (route.deadline !== 'pass') beginAnswerDue(exchange)
  if (request.upgrade !== '') {
    const settled = settleUpgrade(request, protocol, route.upgrades)
    if (settled === null)
      return refuse(
        exchange,
        failures.tunnelRefused,
        `${request.upgrade} is not among the upgrades of ${route.service}`,
      )
    request.upgrade = settled
  }
  return cluster.mayBeGrpc && request.upgrade === '' ? call(exchange, route, cluster) : GO
}

/** What a service asks of a gRPC call. */
function call(exchange: Exchange, { grpcDeadline }: Route, { speaksGrpc }: Cluster): Decision {
  exchange.grpc = grpcKind(exchange.request.headers)
  if (exchange.grpc === '') return GO
  if (speaksGrpc && exchange.grpc === 'grpc' && exchange.protocol !== 'h2')
    return refuse(exchange, failures.grpcNeedsHttp2, '')
  if (grpcDeadline === null) return GO
  const problem = beginDeadline(exchange, grpcDeadline)
  if (problem !== '') return refuse(exchange, failures.badRequest, problem)
  return exchange.deadlineAt === exchange.startedAt
    ? refuse(exchange, failures.deadlineExceeded, 'there was no time at all')
    : GO
}

/** No name says where a request goes: the address may, that its connection was made to. */
function elsewhere(exchange: Exchange, listener: ListenerRuntime, deps: DecideDeps): Route | Decision {
  const { byAddress } = listener
  if (byAddress === null || exchange.decision.service !== '' || exchange.peer.original === undefined)
    return noRoute(exchange, listener, deps)
  const asked = ahead(exchange, byAddress, deps)
  if (asked !== null) return wait(exchange, asked)
  const route = byAddress.request(exchange)
  return route ?? (exchange.failure === null ? noRoute(exchange, listener, deps) : REFUSE)
}

/**
 * Before the address is looked at: the registry may know the name, or the service that the address stands for. What it
 * does not know goes by its address; so does what it could not say in time.
 */
function ahead(exchange: Exchange, byAddress: ByAddress, { discoverAhead }: DecideDeps): Later | null {
  const { decision, request, peer } = exchange
  if (decision.onDemand) return null
  const original = peer.original!
  const name = byAddress.absent(original) ?? (request.authority === original.name ? '' : request.authority)
  const asked =
    (name === '' ? null : discoverAhead(name)) ?? (byAddress.isKnown(original) ? null : discoverAhead(original.name))
  if (asked === null) return null
  decision.onDemand = true
  return {
    verdict: () =>
      asked.then(why => {
        if (why !== null) decision.note('on demand', why.reason)
        return undefined
      }),
    timeoutMs: 0,
    late: undefined,
  }
}

/** Of a path that is shown. */
const LONGEST_PATH = 200

function noRoute(exchange: Exchange, listener: ListenerRuntime, deps: DecideDeps): Decision {
  const { request, decision } = exchange
  if (decision.service === '') return noService(exchange, listener, deps, '')
  const path = request.path.slice(0, LONGEST_PATH)
  return refuse(exchange, failures.noRoute, `no route of ${decision.service} matches ${request.method} ${path}`)
}

/** A service that no request has asked for yet may be known to the registry, which is asked once. */
function noService(exchange: Exchange, listener: ListenerRuntime, deps: DecideDeps, found: string): Decision {
  const { spec } = listener
  const { decision, protocol } = exchange
  const { authority } = exchange.request
  const isShared = spec.service === null && spec.direction === 'outbound'
  const asked = isShared && authority !== '' && !decision.onDemand ? deps.discover(authority) : null
  if (asked !== null) {
    decision.onDemand = true
    return wait(exchange, discovery(asked))
  }
  const unnamed =
    protocol === 'tcp'
      ? 'it names no server, and the port is for no one service'
      : 'no host was given and the port is shared'
  const unknown = `${authority === '' ? unnamed : `no service is known as "${authority}"`}${notRedirected(exchange, listener)}`
  return refuse(exchange, failures.noRoute, found === '' ? unknown : `${unknown} (${found})`)
}

/** A connection that was made to the port itself has nowhere else to go: going on would come back here. */
function notRedirected({ peer }: Exchange, { byAddress }: ListenerRuntime): string {
  return byAddress === null || peer.original !== undefined ? '' : ', and the connection was not redirected here'
}

function discovery(asked: Promise<Unknown | null>): Later {
  return {
    verdict: () =>
      asked.then(why =>
        why === null ? undefined : { failure: why.certain ? failures.noRoute : failures.noCluster, detail: why.reason },
      ),
    // The question has a limit of its own.
    timeoutMs: 0,
    late: undefined,
  }
}

function wait(exchange: Exchange, later: Later): Decision {
  exchange.later = later
  return WAIT
}

function stop(exchange: Exchange, verdict: LocalReply | Refusal): Decision {
  if (!('body' in verdict)) return refuse(exchange, verdict.failure, verdict.detail)
  exchange.reply = verdict
  exchange.failure = verdict.failure
  return REFUSE
}

function refuse(exchange: Exchange, failure: Failure, detail: string): Decision {
  exchange.failure = failure
  exchange.detail = detail
  return REFUSE
}
