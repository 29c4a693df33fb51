import { hostOf } from '../../mesh-config/host-name.ts'
import type { ServiceSpec } from '../../mesh-config/snapshot.ts'
import { NO_HASH } from '../core/balancer.ts'
import type { ExplainAnswer, Unknown } from '../core/channel.ts'
import type { Clock, Random } from '../core/clock.ts'
import { AttemptRecord } from '../core/decision.ts'
import { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import { grpcKind } from '../core/grpc.ts'
import { HeaderList } from '../core/header-list.ts'
import type { ListenerRuntime } from '../core/listener.ts'
import type { RequestHead } from '../core/message.ts'
import { CONNECT } from '../core/tunnel.ts'
import { decider } from '../forward/decide.ts'
import { fallbackOf } from '../forward/fallback.ts'
import { concludeGrpc, statusOfRefusal } from '../forward/local-reply.ts'
import { ENDPOINTS_FULL, pickNext } from '../forward/pick.ts'
import { flightView } from '../telemetry/flights.ts'
import { type Explained, remedyOf, stepsOf } from './explain-steps.ts'
import { type ExplainQuestion, originalOf, targetOf } from './explain-target.ts'

/** The codecs refuse these characters in a live request. */
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/

export interface ExplainDeps {
  readonly clock: Clock
  readonly random: Random
  /** What is in force. */
  runtime(): Runtime
  /** As for a request: asks the registry for a service that no route knows. Null: no registry could know it. */
  discover(authority: string): Promise<Unknown | null> | null
  discoverAhead(authority: string): Promise<Unknown | null> | null
}

export interface Runtime {
  readonly listeners: ReadonlyMap<string, ListenerRuntime>
  readonly services: Readonly<Record<string, ServiceSpec>>
}

/**
 * The decision record a request would get now: the very decision and pick of a live request, draws included; only the
 * sending is left out. (A round robin turn taken here is taken.) A service that no request has asked for yet is looked
 * up, and a filter that asks others is waited for, as for a live request.
 */
export function explain(question: ExplainQuestion, deps: ExplainDeps): ExplainAnswer | Promise<ExplainAnswer> {
  const begun = begin(question, deps)
  if (typeof begun === 'string') return { record: null, steps: [], error: begun }
  const { exchange, name } = begun
  const offered = exchange.request.upgrade
  // It may be gone once the wait is over: then it is as it was.
  let { listener } = begun
  const inForce = () => {
    listener = deps.runtime().listeners.get(name) ?? listener
    return listener
  }
  const { clock, random, discover, discoverAhead } = deps
  const { promise, resolve } = Promise.withResolvers<ExplainAnswer>()
  let answer: ExplainAnswer | null = null
  const answered = () => {
    answer = answerOf({ exchange, listener, offered, services: deps.runtime().services, now: clock.now() })
    resolve(answer)
  }
  decider({ clock, random, discover, discoverAhead, listener: inForce, isPreview: true })(exchange, {
    go() {
      pick(exchange, clock.now())
      answered()
    },
    refuse: answered,
  })
  return answer ?? promise
}

/** What the first attempt of a live request begins with: a place, and the balancer. */
function pick(exchange: Exchange, now: number): void {
  const cluster = exchange.cluster!
  const { admission } = cluster
  const refused = admission.refusal(now)
  if (refused !== null && admission.mayWait(refused))
    exchange.decision.note('queue', `${refused.reason}: it would wait for a permit`)
  else if (refused !== null) return refuse(exchange, refused, admission.refusedBy, now)
  const { decision } = exchange
  const context = {
    tried: [],
    record: new AttemptRecord(),
    hash: NO_HASH,
    sticky: '',
    madeCookie: '',
    isPreview: true as const,
  }
  cluster.prepare?.(exchange, context)
  const endpoint = pickNext(cluster, decision, context, now)
  context.record.endpoint = endpoint
  if (endpoint !== null) return
  const isFull = context.record.passedOver !== 0
  const failure = isFull ? failures.poolOverflow : failures.noHealthyUpstream
  context.record.failure = failure
  refuse(exchange, failure, isFull ? ENDPOINTS_FULL : '', now)
}

/** Or what takes the place of the refusal, as for a live request. */
function refuse(exchange: Exchange, failure: Failure, detail: string, now: number): void {
  const instead = fallbackOf(exchange, failure)
  if (instead !== null && 'cluster' in instead) {
    exchange.cluster = instead.cluster
    return pick(exchange, now)
  }
  exchange.reply = instead
  exchange.failure = failure
  exchange.detail = detail
}

/** The exchange that the question is about, and where it comes in; or what is wrong with the question. */
function begin(
  question: ExplainQuestion,
  { clock, runtime }: ExplainDeps,
): { readonly exchange: Exchange; readonly listener: ListenerRuntime; readonly name: string } | string {
  if ([question.method, question.url, ...question.headers.flat()].some(text => CONTROL.test(text)))
    return 'a request cannot have control characters or line ends in its method, URL or headers: leave them out'
  const target = targetOf(question)
  if (typeof target === 'string') return target
  const { scheme, authority, path } = target
  const listener = chooseListener(question, authority, runtime().listeners)
  if (typeof listener === 'string') return listener
  const original = listener.spec.transparent === undefined ? null : originalOf(question, target)
  if (typeof original === 'string') return original
  if (question.to !== undefined && original === null)
    return `no connection is redirected to ${listener.spec.name}: leave out where it was going (to), or ask for another listener`
  const { name, protocol, direction } = listener.spec
  const isOpaque = original !== null && listener.byAddress?.isOpaque(original) === true
  const isTunnel = scheme === 'tcp' || scheme === 'tls' || protocol === 'tcp' || isOpaque
  if (isTunnel && protocol === 'http')
    return `${name} takes HTTP only: write protocol: tcp or protocol: detect there, or ask for another listener`
  const request = isTunnel
    ? tunnelTo(scheme === 'tls' && protocol !== 'tcp' && !isOpaque ? hostOf(authority) : '')
    : requestOf(question, authority, path)
  const spoken = question.protocol ?? (grpcKind(request.headers) === 'grpc' ? 'h2' : 'http/1.1')
  const peer = { address: '127.0.0.1', port: 0, local: '', localPort: 0, ...(original === null ? {} : { original }) }
  const exchange = new Exchange(peer, direction, isTunnel ? 'tcp' : spoken, request)
  exchange.begin(request, clock.now())
  return { exchange, listener, name }
}

function tunnelTo(authority: string): RequestHead {
  return { method: '', scheme: 'http', authority, path: '', upgrade: '', headers: new HeaderList() }
}

function requestOf(question: ExplainQuestion, authority: string, path: string): RequestHead {
  const { method, headers } = question
  const upgrade = upgradeOf(question)
  return {
    method,
    scheme: 'http',
    authority,
    // The target of a CONNECT is its authority.
    path: upgrade === CONNECT ? authority : path,
    upgrade,
    headers: new HeaderList(headers.flat()),
  }
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

/**
 * A named listener; else, where it is said what it was going to, the one that connections are redirected to; else the
 * shared outbound one when a host is given, else the first. A string says what is wrong.
 */
function chooseListener(
  { listener: name, to }: ExplainQuestion,
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
  const redirected = to === undefined ? undefined : outbound.find(({ spec }) => spec.transparent !== undefined)
  if (to !== undefined && redirected === undefined)
    return 'no connections are redirected to this sidecar: none of its outbound listeners has transparent: true'
  const chosen = redirected ?? (authority === '' ? undefined : (named ?? shared)) ?? shared ?? outbound[0] ?? all[0]
  return chosen ?? 'this sidecar has no listener'
}

function answerOf(explained: Explained): ExplainAnswer {
  const { exchange, listener } = explained
  if (exchange.reply !== null || exchange.failure !== null) {
    exchange.status = statusOfRefusal(exchange)
    if (exchange.grpc !== '') concludeGrpc(exchange)
  }
  const record = flightView(exchange, listener.spec.name)
  const remedy = remedyOf(explained)
  return { record: remedy === '' ? record : { ...record, remedy }, steps: stepsOf(explained), error: '' }
}
