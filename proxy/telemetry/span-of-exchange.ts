import { anotherTry } from '../core/another-try.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import { isGrpcServerError } from '../core/grpc.ts'
import type { Route } from '../core/route.ts'
import { anotherTryText } from './another-try-words.ts'
import {
  pathOf,
  writeAuthority,
  writeCall,
  writeError,
  writeMethod,
  writeOutcome,
  writePath,
  writeProtocol,
  writeScheme,
  writeTransport,
} from './span-attributes.ts'
import { SpanGroups } from './span-groups.ts'
import { countsAsAttempt } from './span-of-attempt.ts'
import { INTERNAL, key, SERVER, type SpanWriter } from './span-writer.ts'

const ROUTE = key('http.route')
const USER_AGENT = key('user_agent.original')
const CLIENT_ADDRESS = key('client.address')
const PEER_ADDRESS = key('network.peer.address')
const PEER_PORT = key('network.peer.port')
const REQUEST_SIZE = key('http.request.body.size')
const RESPONSE_SIZE = key('http.response.body.size')
const REQUEST_ID = key('outrigger.request_id')
const LISTENER = key('outrigger.listener')
const RECORDED = key('outrigger.recorded')
const SERVICE = key('outrigger.service')
const FOUND_BY = key('outrigger.service.found_by')
const ON_DEMAND = key('outrigger.service.on_demand')
const ROUTE_NAME = key('outrigger.route')
const DESTINATION = key('outrigger.destination')
const DRAW = key('outrigger.draw')
const ATTEMPTS = key('outrigger.attempts')
const ENDPOINT = key('outrigger.endpoint')
const NOTES = key('outrigger.notes')
const FLAG = key('outrigger.response_flag')
const DETAIL = key('outrigger.detail')
const REASON = key('outrigger.reason')

/** By route: what most of its requests have in common, and how most of them end. */
const routes = new SpanGroups<Route>()
const outcomes = new SpanGroups<Route>()

/**
 * The span of an exchange: SERVER in front of the application; INTERNAL where the application calls, with the decision.
 * `epoch`: milliseconds to add to monotonic ones.
 */
export function writeExchange(
  span: SpanWriter,
  name: string,
  exchange: Exchange,
  listener: string,
  epoch: number,
): void {
  const { direction, startedAt, completedAt, protocol, request } = exchange
  const isInbound = direction === 'inbound'
  span.what(name, isInbound ? SERVER : INTERNAL, startedAt + epoch, completedAt + epoch)
  writeWay(span, exchange, listener)
  if (protocol === 'tcp') writeTransport(span)
  else {
    const path = pathOf(request.path)
    writePath(span, path)
    writeCall(span, exchange, path)
    span.text(REQUEST_ID, exchange.requestId)
  }
  if (isInbound) writeCaller(span, exchange)
  if (exchange.bytesIn > 0) span.int(REQUEST_SIZE, exchange.bytesIn)
  if (exchange.bytesOut > 0) span.int(RESPONSE_SIZE, exchange.bytesOut)
  writeUsual(span, exchange, isInbound)
  writeDecision(span, exchange, isInbound)
  writeEvents(span, exchange, epoch)
  writeEnd(span, exchange, isInbound)
}

function writeWay(
  span: SpanWriter,
  { request, protocol, route, decision, direction }: Exchange,
  listener: string,
): void {
  const { method, authority } = request
  const { destination } = decision
  if (route !== null && routes.put(span, route, method, authority, destination, listener, decision.by)) return
  const { mark } = span
  if (protocol !== 'tcp') {
    writeMethod(span, method)
    if (route !== null) span.text(ROUTE, route.name)
  }
  writeAuthority(span, authority)
  span.text(LISTENER, listener)
  if (direction === 'outbound') {
    span.text(SERVICE, decision.service)
    span.text(FOUND_BY, decision.by)
    span.text(ROUTE_NAME, decision.route)
    span.text(DESTINATION, destination)
  }
  if (route !== null) routes.keep(span, mark, route, method, authority, destination, listener, decision.by)
}

/** What has few values: how it came, how it ended, and why there is a span. */
function writeUsual(
  span: SpanWriter,
  { request, protocol, route, status, grpcStatus, trace, decision }: Exchange,
  isInbound: boolean,
): void {
  const { recordedBy } = trace
  const attempts = isInbound && decision.attempts < 2 ? -1 : decision.attempts
  const how = protocol === 'tcp' ? protocol : protocol === 'h2' ? `2 ${request.scheme}` : request.scheme
  if (route !== null && outcomes.put(span, route, how, status, grpcStatus, recordedBy, attempts)) return
  const { mark } = span
  if (protocol !== 'tcp') {
    writeScheme(span, request)
    writeProtocol(span, protocol === 'h2')
    writeOutcome(span, status, grpcStatus)
  }
  span.text(RECORDED, recordedBy)
  if (attempts >= 0) span.int(ATTEMPTS, attempts)
  if (route !== null) outcomes.keep(span, mark, route, how, status, grpcStatus, recordedBy, attempts)
}

function writeCaller(span: SpanWriter, { peer, request, protocol }: Exchange): void {
  if (protocol !== 'tcp') span.text(USER_AGENT, request.headers.get('user-agent') ?? '')
  span.text(CLIENT_ADDRESS, peer.address)
  span.text(PEER_ADDRESS, peer.address)
  if (peer.port > 0) span.int(PEER_PORT, peer.port)
}

function writeDecision(span: SpanWriter, { decision, endpoint }: Exchange, isInbound: boolean): void {
  if (isInbound) {
    if (endpoint !== null) span.text(ENDPOINT, endpoint.name)
  } else {
    if (decision.onDemand) span.bool(ON_DEMAND, true)
    if (decision.draw >= 0) span.double(DRAW, decision.draw)
  }
  if (decision.notes.length > 0) span.texts(NOTES, decision.notes)
}

function writeEvents(span: SpanWriter, exchange: Exchange, epoch: number): void {
  const { decision, failure, detail, completedAt, firstByteAt } = exchange
  let made = 0
  for (let i = 0; i < decision.attempts; i++) {
    const record = decision.tries[i]!
    if (countsAsAttempt(record)) made++
    writeEventsOf(span, record, made, completedAt, epoch)
  }
  if (failure !== null && (failure.flag === 'UO' || failure.flag === 'RL')) {
    span.event('limit', completedAt + epoch)
    span.text(REASON, detail === '' ? failure.reason : detail)
    span.endEvent()
  }
  if (firstByteAt === 0 || completedAt - firstByteAt <= 1) return
  span.event('response head', firstByteAt + epoch)
  span.endEvent()
}

function writeEventsOf(
  span: SpanWriter,
  record: AttemptRecord,
  made: number,
  completedAt: number,
  epoch: number,
): void {
  const { endpoint, another, startedAt, fallback, panic } = record
  if (fallback) plainEvent(span, 'subset fallback', startedAt + epoch)
  if (panic) plainEvent(span, 'panic', startedAt + epoch)
  const endedAt = (record.endedAt || completedAt) + epoch
  if (endpoint !== null && endpoint.ejectedAt >= startedAt && endpoint.ejectedAt <= completedAt) {
    span.event('endpoint ejected', endpoint.ejectedAt + epoch)
    span.text(ENDPOINT, endpoint.name)
    span.text(REASON, endpoint.ejectionReason)
    span.endEvent()
  }
  if (another.again) {
    span.event('retry', endedAt)
    span.text(ENDPOINT, endpoint?.name ?? '')
    span.text(REASON, anotherTryText(record, made).slice('yes: '.length))
    span.endEvent()
  } else if (another === anotherTry.budgetSpent) plainEvent(span, 'retry budget spent', endedAt)
}

function plainEvent(span: SpanWriter, name: string, time: number): void {
  span.event(name, time)
  span.endEvent()
}

function writeEnd(span: SpanWriter, exchange: Exchange, isInbound: boolean): void {
  const { failure, status, grpcStatus, detail } = exchange
  if (failure !== null) span.text(FLAG, failure.flag)
  else span.text(DETAIL, detail)
  if (!isError(exchange, isInbound)) return
  writeError(span, failure, status, grpcStatus)
  span.error(failure === null ? '' : detail === '' ? failure.reason : `${failure.reason}: ${detail}`)
}

/**
 * By the conventions: 4xx is no error of a server. Where the application calls, a request that found no route is one.
 * A caller that goes away is none: that is 499.
 */
function isError({ failure, status, grpcStatus, protocol }: Exchange, isInbound: boolean): boolean {
  const isOurs = failure !== null && failure.side !== 'downstream'
  if (isOurs && (!isInbound || protocol === 'tcp' || failure.httpStatus >= 500)) return true
  return status >= 500 || isGrpcServerError(grpcStatus)
}
