import type { FlightsSpec, RetryCondition } from '../../mesh-config/snapshot.ts'
import { type AnotherTry, anotherTry } from '../core/another-try.ts'
import type { AttemptView, FlightView } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Failure } from '../core/failure.ts'
import { isGrpcServerError, NO_GRPC_STATUS } from '../core/grpc.ts'
import type { Protocol } from '../core/message.ts'
import { type RecordedBy, traceIdOf } from '../core/trace.ts'
import { traceIdText } from '../core/trace-ids.ts'
import { anotherTryText, type Ending } from './another-try-words.ts'
import { wayOf } from './attempt-way.ts'

/**
 * The flight recorder: decision records of the last requests and, apart from them, of the last failed ones, so that a
 * busy hour cannot push a failure out.
 */
export interface Flights {
  add(exchange: Exchange, listener: string): void
  /** Newest first. */
  recent(): FlightView[]
  failed(): FlightView[]
}

export function flights(spec: FlightsSpec, clock: Clock): Flights {
  const recent = ring(spec.recent)
  const failed = ring(spec.failed)
  return {
    add(exchange, listener) {
      recent?.next().copy(exchange, listener)
      if (failed === null) return
      if (exchange.failure === null && exchange.status < 500 && !isGrpcServerError(exchange.grpcStatus)) return
      const flight = failed.next()
      flight.copy(exchange, listener)
      // Also where nothing is recorded here: what the caller sent is passed on.
      if (!exchange.trace.hasTrace) flight.cameWith = traceIdOf(exchange)
    },
    recent: () => views(recent, clock),
    failed: () => views(failed, clock),
  }
}

interface Ring {
  next(): Flight
  newestFirst(): Flight[]
}

function ring(size: number): Ring | null {
  if (size === 0) return null
  const slots: Flight[] = []
  let at = 0
  return {
    next() {
      let slot = slots[at]
      if (slot === undefined) {
        slot = new Flight()
        slots.push(slot)
      }
      at = (at + 1) % size
      return slot
    },
    newestFirst: () => [...slots.slice(0, at).reverse(), ...slots.slice(at).reverse()],
  }
}

function views(from: Ring | null, clock: Clock): FlightView[] {
  const ago = clock.wallTime() - clock.now()
  return (from?.newestFirst() ?? []).map(flight => flight.view(ago))
}

/** One kept record. It is overwritten, so recording allocates nothing. */
class Flight {
  listener = ''
  direction: 'inbound' | 'outbound' = 'outbound'
  peer = ''
  protocol: Protocol = 'http/1.1'
  requestId = ''
  /** The trace id, as words (core/trace-ids.ts). */
  trace0 = 0
  trace1 = 0
  trace2 = 0
  trace3 = 0
  /** The one that the caller sent, where nothing looked at it. */
  cameWith = ''
  recorded: RecordedBy = ''
  method = ''
  authority = ''
  path = ''
  status = 0
  grpcStatus = NO_GRPC_STATUS
  grpcMessage = ''
  deadlineMs = -1
  failure: Failure | null = null
  detail = ''
  by = ''
  service = ''
  route = ''
  draw = -1
  destination = ''
  notes: readonly string[] = []
  startedAt = 0
  completedAt = 0
  bytesIn = 0
  bytesOut = 0
  attempts = 0
  readonly tries: Try[] = []

  copy(exchange: Exchange, listener: string): void {
    const { request, decision } = exchange
    this.listener = listener
    this.direction = exchange.direction
    this.peer = exchange.peer.address
    this.protocol = exchange.protocol
    this.requestId = exchange.requestId
    const { trace } = exchange
    this.trace0 = trace.trace0
    this.trace1 = trace.trace1
    this.trace2 = trace.trace2
    this.trace3 = trace.trace3
    this.cameWith = ''
    this.recorded = trace.recordedBy
    this.method = request.method
    this.authority = request.authority
    this.path = request.path
    this.status = exchange.status
    this.grpcStatus = exchange.grpcStatus
    this.grpcMessage = exchange.grpcMessage
    const deadline = exchange.deadlineAt || exchange.answerDueAt
    this.deadlineMs = deadline === 0 ? -1 : deadline - exchange.startedAt
    this.failure = exchange.failure
    this.detail = exchange.detail
    this.by = decision.by
    this.service = decision.service
    this.route = decision.route
    this.draw = decision.draw
    this.destination = decision.destination
    this.notes = decision.notes
    this.startedAt = exchange.startedAt
    this.completedAt = exchange.completedAt
    this.bytesIn = exchange.bytesIn
    this.bytesOut = exchange.bytesOut
    this.attempts = decision.attempts
    for (let i = 0; i < decision.attempts; i++) {
      let slot = this.tries[i]
      if (slot === undefined) {
        slot = new Try()
        this.tries.push(slot)
      }
      slot.copy(decision.tries[i]!)
    }
  }

  view(ago: number): FlightView {
    return {
      at: new Date(this.startedAt + ago).toISOString(),
      requestId: this.requestId,
      traceId: traceIdText(this.trace0, this.trace1, this.trace2, this.trace3) || this.cameWith,
      recorded: this.recorded,
      listener: this.listener,
      direction: this.direction,
      peer: this.peer,
      protocol: this.protocol,
      method: this.method,
      authority: this.authority,
      path: this.path,
      status: this.status,
      grpcStatus: this.grpcStatus < 0 ? null : this.grpcStatus,
      grpcMessage: this.grpcMessage,
      deadlineMs: this.deadlineMs < 0 ? null : round(this.deadlineMs),
      ...failureView(this.failure, this.detail),
      by: this.by,
      service: this.service,
      route: this.route,
      draw: this.draw < 0 ? null : this.draw,
      destination: this.destination,
      notes: this.notes,
      durationMs: round(this.completedAt - this.startedAt),
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      attempts: this.#tries(),
    }
  }

  #tries(): AttemptView[] {
    let made = 0
    return this.tries.slice(0, this.attempts).map(slot => {
      if (!slot.another.isFree) made++
      return slot.view(this.startedAt, made)
    })
  }
}

class Try implements Ending {
  endpoint = ''
  policy = ''
  other = ''
  load = 0
  otherLoad = 0
  fallback = false
  sticky = false
  priority = -1
  zone: AttemptRecord['zone'] = ''
  panic = false
  isProbe = false
  passedOver = 0
  startedAt = 0
  headAt = 0
  endedAt = 0
  reused = false
  carried = false
  isHedge = false
  status = 0
  grpcStatus = NO_GRPC_STATUS
  failure: Failure | null = null
  detail = ''
  another: AnotherTry = anotherTry.unasked
  condition: RetryCondition | null = null
  delayMs = 0

  copy(record: AttemptRecord): void {
    this.endpoint = record.endpoint?.name ?? ''
    this.policy = record.policy
    this.other = record.other?.name ?? ''
    this.load = record.load
    this.otherLoad = record.otherLoad
    this.fallback = record.fallback
    this.sticky = record.sticky
    this.priority = record.priority
    this.zone = record.zone
    this.panic = record.panic
    this.isProbe = record.isProbe
    this.passedOver = record.passedOver
    this.startedAt = record.startedAt
    this.headAt = record.headAt
    this.endedAt = record.endedAt
    this.reused = record.reusedConnection
    this.carried = record.carried
    this.isHedge = record.isHedge
    this.status = record.status
    this.grpcStatus = record.grpcStatus
    this.failure = record.failure
    this.detail = record.detail
    this.another = record.another
    this.condition = record.condition
    this.delayMs = record.delayMs
  }

  /** `made`: tries that count against `retries.attempts`, this one included. */
  view(from: number, made: number): AttemptView {
    const { failure, flag, detail } = failureView(this.failure, this.detail)
    return {
      endpoint: this.endpoint,
      policy: this.policy,
      way: wayOf(this),
      compared: this.other === '' ? null : { load: this.load, other: this.other, otherLoad: this.otherLoad },
      reusedConnection: this.reused,
      hop: this.carried,
      hedge: this.isHedge,
      startedAfterMs: round(this.startedAt - from),
      headAfterMs: this.headAt === 0 ? null : round(this.headAt - this.startedAt),
      tookMs: this.endedAt === 0 ? 0 : round(this.endedAt - this.startedAt),
      status: this.status,
      grpcStatus: this.grpcStatus < 0 ? null : this.grpcStatus,
      failure,
      flag,
      detail,
      retry: anotherTryText(this, made),
    }
  }
}

export function failureView(
  failure: Failure | null,
  detail: string,
): Pick<FlightView, 'failure' | 'flag' | 'reason' | 'detail' | 'remedy'> {
  if (failure === null) return { failure: '', flag: '-', reason: '', detail, remedy: '' }
  return { failure: failure.failure, flag: failure.flag, reason: failure.reason, detail, remedy: failure.remedy }
}

/** The record of an explanation, which has no time. */
export function flightView(exchange: Exchange, listener: string): FlightView {
  const flight = new Flight()
  flight.copy(exchange, listener)
  return { ...flight.view(0), at: '', requestId: '', traceId: '', peer: '', durationMs: 0 }
}

/** The attempt of an explanation, which was not made. */
export function attemptView(record: AttemptRecord): AttemptView {
  const slot = new Try()
  slot.copy(record)
  return slot.view(record.startedAt, 1)
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000
}
