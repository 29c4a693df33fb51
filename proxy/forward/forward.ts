import type { Decide, Decided } from '../core/decide.ts'
import { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { FilterChain, LocalReply, RequestSink } from '../core/filter.ts'
import { HeaderList } from '../core/header-list.ts'
import type { DownstreamStream, Headers, Protocol, Receiver, RequestHead, ResponseHead } from '../core/message.ts'
import { problemBody } from '../core/problem.ts'
import { traceIdOf } from '../core/trace.ts'
import type { Wire } from '../core/wire.ts'
import { Answer, type AnswerOwner } from './answer.ts'
import { Attempts, type AttemptsDeps, type AttemptsOwner } from './attempts.ts'
import { Bodies, type BodiesOwner, type Down } from './bodies.ts'
import { grpcReply, grpcTrailers } from './grpc.ts'
import { isPastDeadline } from './grpc-deadline.ts'
import { HeldBody } from './held-body.ts'
import { concludeGrpc, isToldInGrpc } from './local-reply.ts'
import { failureToTell } from './told-failure.ts'
import { Tunnel, type TunnelOwner } from './tunnel.ts'

/** What forwarding is joined with; the other parts are handed in. */
export interface ForwardDeps extends AttemptsDeps {
  /** Called with each head. */
  readonly decide: Decide
  /** Before a final head goes down, the upstream's or our own. */
  onResponse(exchange: Exchange, response: ResponseHead): void
  /** Exactly once for each request. */
  onComplete(exchange: Exchange): void
  readonly tunnels: OpenTunnels
}

/** Those of a listener: for a gauge, and to close them when it drains. */
export interface OpenTunnels {
  opened(tunnel: Tunnel, upgrade: string): void
  closed(tunnel: Tunnel, upgrade: string): void
}

/**
 * One exchange on its way: this is the request's side, the receiver of the downstream stream; `Attempts` finds an
 * endpoint for it, `Answer` brings back what it says. Like the stream it serves one request of a connection after the
 * other.
 */
export class Forward implements Receiver<RequestHead>, AttemptsOwner, AnswerOwner, TunnelOwner, Decided, BodiesOwner {
  readonly exchange: Exchange
  readonly stream: DownstreamStream
  /** Where the answer goes: to the stream, or into the first sink of the filters. */
  down: Down
  done = true
  readonly body: HeldBody
  readonly answer: Answer
  readonly attempts: Attempts
  readonly #deps: ForwardDeps
  /** A final response head has gone down. */
  #answered = false
  /** Where the request body goes: to the endpoint as it comes (null), or into the first sink of the filters. */
  #up: RequestSink | null = null
  #bodies: Bodies | null = null
  #tunnel: Tunnel | null = null

  constructor(
    stream: DownstreamStream,
    wire: Pick<Wire, 'peer' | 'account'>,
    direction: 'inbound' | 'outbound',
    protocol: Protocol,
    deps: ForwardDeps,
    nothing: RequestHead,
  ) {
    this.stream = stream
    this.down = stream
    this.#deps = deps
    this.exchange = new Exchange(wire.peer, direction, protocol, nothing)
    this.body = new HeldBody(wire)
    this.answer = new Answer(this, deps.clock)
    this.attempts = new Attempts(this, deps)
  }

  // ── from downstream ──

  head(request: RequestHead, end: boolean): void {
    const now = this.#deps.clock.now()
    this.exchange.begin(request, now)
    if (end) this.exchange.requestEndedAt = now
    this.done = false
    this.#answered = false
    this.body.clear()
    this.answer.clear()
    this.attempts.clear(end)
    this.#deps.decide(this.exchange, this)
  }

  data(chunk: Buffer, end: boolean): boolean {
    if (this.done) return true
    this.exchange.bytesIn += chunk.length
    if (end) this.#bodyEnded()
    return this.#up === null ? this.send(chunk, end) : this.#up.data(chunk, end)
  }

  /** As it is to leave: at once where there is a stream, else it is held. */
  send(chunk: Buffer, end: boolean): boolean {
    if (end) this.body.ended = true
    const { upstream } = this.attempts
    if (upstream === null) {
      this.body.add(chunk)
      return false
    }
    this.body.remember(chunk, this.attempts.replayBytes)
    const writable = upstream.data(chunk, end)
    this.answer.requestMoved(writable)
    return writable
  }

  trailers(trailers: Headers): void {
    if (this.done) return
    this.#bodyEnded()
    if (this.#up === null) this.sendTrailers(trailers)
    else this.#up.trailers(trailers)
  }

  sendTrailers(trailers: Headers): void {
    this.body.trailers = trailers
    this.body.ended = true
    this.attempts.upstream?.trailers(trailers)
  }

  #bodyEnded(): void {
    const now = this.#deps.clock.now()
    this.exchange.requestEndedAt = now
    this.attempts.requestEnded(now)
  }

  resumeBody(): void {
    if (this.#up === null) this.stream.resume()
    else this.#bodies!.requestWritable()
  }

  writable(): void {
    this.answer.unblocked()
    if (this.down === this.stream) this.resumeAnswer()
    else this.#bodies!.responseWritable()
  }

  resumeAnswer(): void {
    this.attempts.upstream?.resume()
  }

  /** The downstream side failed: a body that breaks the rules or has stopped, or a caller that has gone. */
  reset(failure: Failure, detail: string): void {
    if (this.done) return
    if (failure === failures.downstreamGone && isPastDeadline(this.exchange, this.#deps.clock.now())) {
      failure = this.#answered ? failures.streamDeadline : failures.deadlineExceeded
      this.attempts.cancel(failure)
      return this.complete(failure, 'the caller gave up at its deadline')
    }
    this.attempts.cancel(failure)
    if (failure.reply === 'none') this.complete(failure, detail)
    else this.fail(failure, detail)
  }

  // ── what becomes of it ──

  go(): void {
    const { exchange } = this
    if (exchange.filters!.hasSinks && exchange.request.upgrade === '') this.#openRequest(exchange.filters!)
    if (!this.done) this.attempts.start(exchange.route!, exchange.cluster!)
  }

  #openRequest(filters: FilterChain): void {
    this.#bodies ??= new Bodies(this)
    this.#up = this.#bodies.openRequest(filters)
    // What came while the decision was waited for.
    if (this.#up !== null) this.body.moveTo(this.#up)
  }

  refuse(): void {
    const { reply, failure, detail } = this.exchange
    if (reply === null) this.fail(failure!, detail)
    else this.#replyOf(reply)
  }

  sendHead(response: ResponseHead, end: boolean): void {
    const { exchange } = this
    // What takes the place of an answer that failed in a sink has no other way than straight down.
    const isFirst = exchange.status === 0
    this.#answered = true
    exchange.status = response.status
    if (isFirst) this.#filterResponse(response)
    this.down.head(response, end)
  }

  #filterResponse(response: ResponseHead): void {
    const { exchange } = this
    const { filters, request } = exchange
    this.#deps.onResponse(exchange, response)
    if (filters?.hasSinks !== true || request.upgrade !== '') return
    this.#bodies ??= new Bodies(this)
    this.down = this.#bodies.openResponse(filters) ?? this.stream
  }

  /** The answer has been said to its end. */
  said(failure: Failure | null, detail: string): void {
    if (this.down === this.stream || this.#bodies!.responseSaid(failure, detail)) this.complete(failure, detail)
  }

  openTunnel(): void {
    const upstream = this.attempts.upstream!
    const tunnel = new Tunnel(this, upstream, this.#deps)
    this.#tunnel = tunnel
    upstream.receiver = tunnel.down
    this.stream.receiver = tunnel.up
    this.#deps.tunnels.opened(tunnel, this.exchange.request.upgrade)
  }

  /** The stream may carry other requests. */
  #closeTunnel(tunnel: Tunnel): void {
    tunnel.stop()
    this.#tunnel = null
    this.stream.receiver = this
    this.#deps.tunnels.closed(tunnel, this.exchange.request.upgrade)
  }

  /** Answers with the row of the failure table, or cuts an answer that has begun. */
  fail(failure: Failure, detail: string): void {
    if (!this.#answered) {
      if (isToldInGrpc(this.exchange, failure)) return this.#replyGrpc(failure, detail)
      const body = problemBody(failure, detail, this.exchange.requestId, traceIdOf(this.exchange))
      return this.#reply(failure.httpStatus, ['content-type', 'application/problem+json'], body, failure, detail)
    }
    this.attempts.cancel(failure)
    this.cut(failure, detail)
    this.complete(failure, detail)
  }

  /** A gRPC call has its status at its end, where its caller reads. */
  cut(failure: Failure, detail: string): void {
    if (this.attempts.awaitsStatus && failure.reply !== 'none') {
      this.attempts.awaitsStatus = false
      this.down.trailers(grpcTrailers(failure, detail))
      if (this.down === this.stream || !this.#bodies!.isUnfinished) return
    }
    this.stream.reset(failure, detail)
  }

  /** A filter's sink cannot go on. */
  sinkFailed(failure: Failure, detail: string): void {
    if (this.done) return
    this.attempts.cancel(failure)
    // Nothing of the answer has gone down: a local reply takes its place.
    if (this.#answered && this.down !== this.stream && !this.#bodies!.hasHead) {
      this.#bodies!.close()
      this.down = this.stream
      this.#answered = false
    }
    this.fail(failure, detail)
  }

  /** Answers with a filter's verdict. */
  #replyOf({ status, headers, body, failure }: LocalReply): void {
    if (failure !== null && isToldInGrpc(this.exchange, failure)) this.#replyGrpc(failure, this.exchange.detail)
    else this.#reply(status, headers, body, failure, '')
  }

  /** The caller can use it as an answer, so the sidecar before this one is told of no failure. */
  replyInstead({ status, headers, body }: LocalReply, failure: Failure, detail: string): void {
    this.#reply(status, headers, body, failure, detail, '')
  }

  #reply(
    status: number,
    fields: readonly string[],
    body: Buffer,
    failure: Failure | null,
    detail: string,
    ownFailure = failureToTell(failure, this.exchange.decision),
  ): void {
    const headers = new HeaderList([...fields])
    headers.set('content-length', String(body.length))
    if (status >= 500) this.attempts.tellSpent(failure, headers)
    const response: ResponseHead = { status, headers, ownFailure }
    this.sendHead(response, false)
    if (this.down === this.stream) this.exchange.bytesOut = body.length
    this.down.data(body, true)
    this.said(failure, detail)
  }

  /** To a gRPC client an answer of another kind says no more than that something is wrong. */
  #replyGrpc(failure: Failure, detail: string): void {
    const { cluster } = this.exchange
    // A mistake often made: an endpoint that cannot make sense of HTTP/1.1 closes, and does not say why.
    if (cluster !== null && !cluster.mayBeGrpc && failure.side === 'upstream')
      detail = `${detail === '' ? '' : `${detail}; `}its endpoints are called with HTTP/1.1: gRPC needs \`protocol: grpc\` in the policy of the service`
    const response = grpcReply(failure, detail, this.exchange.request.headers.get('content-type')!)
    response.ownFailure = failureToTell(failure, this.exchange.decision)
    this.attempts.tellSpent(failure, response.headers)
    this.sendHead(response, true)
    this.said(failure, detail)
  }

  complete(failure: Failure | null, detail: string): void {
    if (this.done) return
    this.done = true
    const { exchange } = this
    exchange.endWait()
    exchange.failure = failure
    // No answer was sent: the log has what it would have been.
    if (exchange.status === 0 && failure !== null) exchange.status = failure.httpStatus
    if (detail !== '') exchange.detail = detail
    if (exchange.grpc !== '') concludeGrpc(exchange)
    exchange.completedAt = this.#deps.clock.now()
    this.answer.stop()
    this.attempts.stop()
    this.body.drop()
    if (this.#bodies !== null) this.#closeBodies(this.#bodies, failure)
    if (this.#tunnel !== null) this.#closeTunnel(this.#tunnel)
    this.#deps.onComplete(exchange)
  }

  /** What a sink still says goes nowhere. */
  #closeBodies(bodies: Bodies, failure: Failure | null): void {
    if (bodies.isUnfinished) this.stream.reset(failure ?? failures.resetAfterResponse, '')
    bodies.close()
    this.#up = null
    this.down = this.stream
  }
}
