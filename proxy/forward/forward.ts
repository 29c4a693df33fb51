import type { Cluster } from '../core/cluster.ts'
import { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { Filter, LocalReply } from '../core/filter.ts'
import { HeaderList } from '../core/header-list.ts'
import type { DownstreamStream, Headers, Protocol, Receiver, RequestHead, ResponseHead } from '../core/message.ts'
import { problemBody } from '../core/problem.ts'
import type { Route } from '../core/route.ts'
import { settleUpgrade } from '../core/tunnel.ts'
import type { Wire } from '../core/wire.ts'
import { Answer, type AnswerOwner } from './answer.ts'
import { Attempts, type AttemptsDeps, type AttemptsOwner } from './attempts.ts'
import { grpcKind, grpcReason, grpcReply, grpcStatusOfHttp, grpcTrailers } from './grpc.ts'
import { beginDeadline, isPastDeadline } from './grpc-deadline.ts'
import { translateGrpcWeb } from './grpc-web.ts'
import { HeldBody } from './held-body.ts'
import { unsentBy } from './retry.ts'
import { Tunnel, type TunnelOwner } from './tunnel.ts'

/** What forwarding is joined with; the other parts are handed in. */
export interface ForwardDeps extends AttemptsDeps {
  /** Decides the request's way: calls `proceed`, `reply` or `fail`. Called with each head. */
  onHead(forward: Forward): void
  /** Before a final head goes down, the upstream's or our own. */
  onResponse(forward: Forward, response: ResponseHead): void
  /** Exactly once for each request. */
  onComplete(forward: Forward): void
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
export class Forward implements Receiver<RequestHead>, AttemptsOwner, AnswerOwner, TunnelOwner {
  readonly exchange: Exchange
  /** As it came; where gRPC-Web is translated, what does that. */
  stream: DownstreamStream
  /** The filters that ran, or may have run, for this exchange. */
  filters: readonly Filter[] = []
  done = true
  readonly body: HeldBody
  readonly answer: Answer
  readonly attempts: Attempts
  readonly #deps: ForwardDeps
  /** A final response head has gone down. */
  #answered = false
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
    this.filters = NO_FILTERS
    this.done = false
    this.#answered = false
    this.body.clear()
    this.answer.clear()
    this.attempts.clear(end)
    this.#deps.onHead(this)
  }

  data(chunk: Buffer, end: boolean): boolean {
    if (this.done) return true
    this.exchange.bytesIn += chunk.length
    if (end) this.#bodyEnded()
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
    this.body.trailers = trailers
    this.#bodyEnded()
    this.attempts.upstream?.trailers(trailers)
  }

  #bodyEnded(): void {
    const now = this.#deps.clock.now()
    this.body.ended = true
    this.exchange.requestEndedAt = now
    this.attempts.requestEnded(now)
  }

  writable(): void {
    this.answer.unblocked()
    this.attempts.upstream?.resume()
  }

  /** The downstream side failed: a body that breaks the rules or stopped, or nobody there any more. */
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

  /** The corridor found the way. */
  proceed(route: Route, cluster: Cluster): void {
    const { request, protocol } = this.exchange
    if (request.upgrade !== '') {
      const settled = settleUpgrade(request, protocol, route.upgrades)
      if (settled === null)
        return this.fail(failures.tunnelRefused, `${request.upgrade} is not among the upgrades of ${route.service}`)
      request.upgrade = settled
    }
    this.exchange.cluster = cluster
    if (cluster.mayBeGrpc && request.upgrade === '' && !this.#beginGrpc(route, cluster)) return
    this.attempts.start(route, cluster)
  }

  /** False: it has been answered. */
  #beginGrpc(route: Route, cluster: Cluster): boolean {
    const { exchange } = this
    const kind = grpcKind(exchange.request.headers)
    if (kind === '') return true
    exchange.grpc = kind
    if (cluster.speaksGrpc) {
      if (kind !== 'grpc') translateGrpcWeb(this)
      else if (exchange.protocol !== 'h2') return this.#refuse(failures.grpcNeedsHttp2, '')
    }
    if (this.done || route.grpcDeadline === null) return !this.done
    const problem = beginDeadline(exchange, route.grpcDeadline)
    if (problem !== '') return this.#refuse(failures.badRequest, problem)
    return (
      exchange.deadlineAt !== exchange.startedAt || this.#refuse(failures.deadlineExceeded, 'there was no time at all')
    )
  }

  #refuse(failure: Failure, detail: string): false {
    this.fail(failure, detail)
    return false
  }

  sendHead(response: ResponseHead, end: boolean): void {
    this.#answered = true
    this.exchange.status = response.status
    this.#deps.onResponse(this, response)
    this.stream.head(response, end)
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
      if (failure.reply !== 'http' && this.#wantsGrpc) return this.#replyGrpc(failure, detail)
      return this.#reply(
        failure.httpStatus,
        'application/problem+json',
        problemBody(failure, detail, this.exchange.requestId),
        failure,
        detail,
      )
    }
    this.attempts.cancel(failure)
    this.cut(failure, detail)
    this.complete(failure, detail)
  }

  /** A gRPC call has its status at its end, where its caller reads. */
  cut(failure: Failure, detail: string): void {
    if (this.attempts.awaitsStatus && failure.reply !== 'none') this.stream.trailers(grpcTrailers(failure, detail))
    else this.stream.reset(failure, detail)
  }

  get #wantsGrpc(): boolean {
    const { exchange } = this
    if (exchange.grpc === '') exchange.grpc = grpcKind(exchange.request.headers)
    return exchange.grpc !== ''
  }

  /** Answers with a filter's verdict. */
  reply(reply: LocalReply): void {
    if (reply.failure !== null && this.#wantsGrpc) return this.#replyGrpc(reply.failure, this.exchange.detail)
    this.#reply(reply.status, reply.contentType, Buffer.from(reply.body), reply.failure, '')
  }

  #reply(status: number, contentType: string, body: Buffer, failure: Failure | null, detail: string): void {
    const headers = new HeaderList(['content-type', contentType, 'content-length', String(body.length)])
    const response: ResponseHead = { status, headers, unsent: unsentBy(failure, this.exchange.decision) }
    this.exchange.bytesOut = body.length
    this.sendHead(response, false)
    this.stream.data(body, true)
    this.complete(failure, detail)
  }

  /** To a gRPC client an answer of another kind says no more than that something is wrong. */
  #replyGrpc(failure: Failure, detail: string): void {
    const { cluster } = this.exchange
    // What meets everybody once: an endpoint that cannot make sense of HTTP/1.1 closes, and does not say why.
    if (cluster !== null && !cluster.mayBeGrpc && failure.side === 'upstream')
      detail = `${detail === '' ? '' : `${detail}; `}its endpoints are called with HTTP/1.1: gRPC needs \`protocol: grpc\` in the policy of the service`
    const response = grpcReply(failure, detail, this.exchange.request.headers.get('content-type')!)
    response.unsent = unsentBy(failure, this.exchange.decision)
    this.sendHead(response, true)
    this.complete(failure, detail)
  }

  complete(failure: Failure | null, detail: string): void {
    if (this.done) return
    this.done = true
    const { exchange } = this
    exchange.failure = failure
    // Nobody was answered: the log has what the answer would have been.
    if (exchange.status === 0 && failure !== null) exchange.status = failure.httpStatus
    if (detail !== '') exchange.detail = detail
    if (exchange.grpc !== '') concludeGrpc(exchange)
    exchange.completedAt = this.#deps.clock.now()
    this.answer.stop()
    this.attempts.stop()
    this.body.drop()
    if (this.#tunnel !== null) this.#closeTunnel(this.#tunnel)
    this.#deps.onComplete(this)
  }
}

/** What the caller was told of its call, or makes of what it got. */
function concludeGrpc(exchange: Exchange): void {
  const { failure } = exchange
  if (failure !== null) {
    exchange.grpcStatus = failure.grpcStatus
    exchange.grpcMessage = grpcReason(failure, exchange.detail)
  } else if (exchange.grpcStatus < 0) {
    exchange.grpcStatus = grpcStatusOfHttp(exchange.status)
    exchange.grpcMessage = `the answer had no grpc-status, and HTTP status ${exchange.status}`
  }
}

const NO_FILTERS: readonly Filter[] = []
