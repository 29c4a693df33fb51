import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { anotherTry } from '../core/another-try.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import { anotherTryText } from './another-try-words.ts'
import { wayOf } from './attempt-way.ts'
import {
  pathOf,
  writeCall,
  writeError,
  writeMethod,
  writeOutcome,
  writeProtocol,
  writeServer,
  writeTransport,
} from './span-attributes.ts'
import { SpanGroups } from './span-groups.ts'
import { CLIENT, key, type SpanWriter } from './span-writer.ts'

const FULL = key('url.full')
const PEER_ADDRESS = key('network.peer.address')
const PEER_PORT = key('network.peer.port')
const PEER_SERVICE = key('peer.service')
const RESEND = key('http.request.resend_count')
const ENDPOINT = key('outrigger.endpoint')
const ZONE = key('outrigger.endpoint.zone')
const POLICY = key('outrigger.balancer.policy')
const WAY = key('outrigger.balancer.way')
const LOAD = key('outrigger.balancer.load')
const OTHER = key('outrigger.balancer.other')
const OTHER_LOAD = key('outrigger.balancer.other_load')
const REUSED = key('outrigger.connection.reused')
const HOP = key('outrigger.connection.hop')
const HEDGE = key('outrigger.hedge')
const RETRY = key('outrigger.retry')
const FLAG = key('outrigger.response_flag')

/** By what discovery says of an endpoint, which is another object when that changes. */
const endpoints = new SpanGroups<EndpointSpec>()
const outcomes = new SpanGroups<EndpointSpec>()

/** The attempt has something to show of a span: it had an endpoint. */
export function hasSpan(record: AttemptRecord): boolean {
  return record.endpoint !== null
}

/** A fresh connection after a stale one is not an attempt of the policy's. */
export function countsAsAttempt({ another }: AttemptRecord): boolean {
  return another !== anotherTry.onStaleConnection
}

/**
 * The CLIENT span of an attempt. `index`: which of the attempts it is, from 0. `made`: attempts that count against
 * `retries.attempts`, this one included. `epoch`: milliseconds to add to monotonic ones.
 */
export function writeAttempt(
  span: SpanWriter,
  name: string,
  exchange: Exchange,
  record: AttemptRecord,
  index: number,
  made: number,
  epoch: number,
): void {
  const { request, protocol } = exchange
  span.what(name, CLIENT, record.startedAt + epoch, (record.endedAt || exchange.completedAt) + epoch)
  writeEndpoint(span, exchange, record)
  if (protocol !== 'tcp') {
    const path = pathOf(request.path)
    span.joined(FULL, request.scheme === 'https' ? 'https://' : 'http://', request.authority, path)
    writeCall(span, exchange, path)
  }
  if (index > 0) span.int(RESEND, index)
  if (record.isHedge) span.bool(HEDGE, true)
  writeChoice(span, record)
  writeOutcomeOf(span, record)
  span.text(RETRY, anotherTryText(record, made))
  writeEnd(span, record, epoch)
}

/** What is the same for most attempts at an endpoint. */
function writeEndpoint(
  span: SpanWriter,
  { request, protocol, decision, cluster }: Exchange,
  record: AttemptRecord,
): void {
  const { spec, name } = record.endpoint!
  const { method } = request
  const { service } = decision
  const { policy } = record
  const version = protocol === 'tcp' ? protocol : record.carried || cluster?.mayBeGrpc === true
  if (endpoints.put(span, spec, method, service, policy, version, name)) return
  const { mark } = span
  if (typeof version === 'string') writeTransport(span)
  else {
    writeMethod(span, method)
    writeProtocol(span, version)
  }
  writeServer(span, spec.address, spec.port)
  span.text(PEER_ADDRESS, spec.address)
  span.int(PEER_PORT, spec.port)
  span.text(PEER_SERVICE, service)
  span.text(ENDPOINT, name)
  span.text(ZONE, spec.zone)
  span.text(POLICY, policy)
  endpoints.keep(span, mark, spec, method, service, policy, version, name)
}

function writeOutcomeOf(span: SpanWriter, record: AttemptRecord): void {
  const { status, grpcStatus, reusedConnection, carried } = record
  const { spec } = record.endpoint!
  if (outcomes.put(span, spec, status, grpcStatus, reusedConnection, carried, '')) return
  const { mark } = span
  writeOutcome(span, status, grpcStatus)
  if (reusedConnection) span.bool(REUSED, true)
  if (carried) span.bool(HOP, true)
  outcomes.keep(span, mark, spec, status, grpcStatus, reusedConnection, carried, '')
}

/** Why this endpoint. */
function writeChoice(span: SpanWriter, record: AttemptRecord): void {
  const way = wayOf(record)
  if (way.length > 0) span.texts(WAY, way)
  if (record.other === null) return
  span.double(LOAD, record.load)
  span.text(OTHER, record.other.name)
  span.double(OTHER_LOAD, record.otherLoad)
}

function writeEnd(span: SpanWriter, record: AttemptRecord, epoch: number): void {
  const { failure, status, grpcStatus, headAt, endedAt, detail } = record
  if (headAt !== 0 && endedAt - headAt > 1) {
    span.event('response head', headAt + epoch)
    span.endEvent()
  }
  if (failure !== null) span.text(FLAG, failure.flag)
  // A caller that goes away is no error of the endpoint's.
  if (failure !== null && failure.flag === 'DC') return
  if (failure === null && status < 400 && grpcStatus <= 0) return
  writeError(span, failure, status, grpcStatus)
  span.error(failure === null ? '' : detail === '' ? failure.reason : `${failure.reason}: ${detail}`)
}
