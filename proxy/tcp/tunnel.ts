import type { AttemptLoop, AttemptLoopOwner } from '../core/attempt.ts'
import type { Clock, Timer } from '../core/clock.ts'
import type { DownstreamConnection } from '../core/codec.ts'
import type { Decide, Decided } from '../core/decide.ts'
import type { AttemptRecord } from '../core/decision.ts'
import { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { LocalReply } from '../core/filter.ts'
import { HeaderList } from '../core/header-list.ts'
import type { ListenerRuntime, Opening } from '../core/listener.ts'
import type { TcpRoute } from '../core/route.ts'
import { add } from '../core/telemetry.ts'
import type { Wire, WireHandler } from '../core/wire.ts'
import { tlsAlert } from './alert.ts'
import { Connect, type ConnectOwner } from './connect.ts'
import { Relay, type RelayOwner, type Side } from './relay.ts'

export interface TcpTunnelDeps {
  readonly clock: Clock
  /** The loop of requests (forward/attempt-loop.ts). */
  attempts(owner: AttemptLoopOwner<Connect>): AttemptLoop<Connect>
  listener(): ListenerRuntime
  /** As requests are decided on. */
  readonly decide: Decide
  /** Once, when all is over. The exchange may not be kept. */
  onComplete(exchange: Exchange): void
}

const NO_HEADERS = new HeaderList()
/**
 * So long after the connect a reset before any byte is as good as a refusal: a sidecar in front of an application
 * accepts first, and then tries `timeouts.connect` (1s).
 */
const EARLY_MS = 2000
/** How long a caller that was told why has to close. */
const LINGER_MS = 1000

/**
 * A connection passed on byte for byte, as one exchange: listener -> router -> balancer -> pool -> relay. Until there
 * is an endpoint nothing is read from the caller, so any number of endpoints may be tried.
 */
export class TcpTunnel
  implements DownstreamConnection, Decided, AttemptLoopOwner<Connect>, ConnectOwner, WireHandler, RelayOwner
{
  readonly exchange: Exchange
  readonly #wire: Wire
  readonly #opening: Opening
  readonly #deps: TcpTunnelDeps
  readonly #onClosed: (connection: DownstreamConnection) => void
  #bytes: Buffer | null
  /** The caller has said all it will. */
  #hasEnded = false
  #route: TcpRoute | null = null
  readonly #attempts: AttemptLoop<Connect>
  #relay: Relay | null = null
  #isJudged = false
  #isOver = false
  /** For the caller to close, once it was told why. */
  #linger: Timer | null = null
  /** Nothing is read from the caller before there is a connection, so nothing of it is ever gone. */
  readonly isIdempotent = true
  readonly isBodyGone = false
  readonly isRetry = false

  constructor(wire: Wire, opening: Opening, deps: TcpTunnelDeps, onClosed: (connection: DownstreamConnection) => void) {
    this.#wire = wire
    this.#opening = opening
    this.#deps = deps
    this.#onClosed = onClosed
    this.#bytes = opening.bytes
    const request = {
      method: '',
      scheme: 'http',
      authority: opening.serverName,
      path: '',
      upgrade: '',
      headers: NO_HEADERS,
    } as const
    this.exchange = new Exchange(wire.peer, deps.listener().spec.direction, 'tcp', request)
    this.exchange.begin(request, deps.clock.now())
    this.#attempts = deps.attempts(this)
    wire.handler = this
    wire.pause()
  }

  /** 1  The decision: by the port, or by the server name, then the split. */
  open(): void {
    const { refused, detail } = this.#opening
    if (refused !== null) return this.fail(refused, detail)
    this.exchange.detail = detail
    this.#deps.decide(this.exchange, this)
  }

  refuse(): void {
    const { failure, detail } = this.exchange
    this.#routed()
    this.fail(failure!, detail)
  }

  #routed(): void {
    this.#route = this.exchange.route as TcpRoute | null
    if (this.#route === null) return
    add(this.#route.tcp.opened, 1)
    add(this.#route.tcp.active, 1)
  }

  /** 2  The attempts, as for a request. */
  go(): void {
    const { exchange } = this
    exchange.detail = ''
    this.#routed()
    this.#attempts.start(exchange.route!, exchange.cluster!, this.#deps.clock.now())
  }

  /** 3  The balancer, and a connection of its own at the endpoint; another one, where that fails. */
  newAttempt(): Connect {
    return new Connect(this)
  }

  connectFailed(attempt: Connect, failure: Failure, detail: string): void {
    this.#attempts.failed(attempt, failure, detail, false)
  }

  leftMs(): number {
    return Number.POSITIVE_INFINITY
  }

  /** It never has a second one beside it. */
  lost(): void {}

  /** There is nothing to answer with. */
  replyInstead(_reply: LocalReply, failure: Failure, detail: string): void {
    this.fail(failure, detail)
  }

  waitedMs({ startedAt }: AttemptRecord, now: number): number {
    return now - startedAt
  }

  /** 4  The relay: from here on there is no other attempt. */
  connected(attempt: Connect, wire: Wire): void {
    const { exchange } = this
    const { clock } = this.#deps
    const { record } = attempt
    const endpoint = record.endpoint!
    this.#attempts.won(attempt)
    record.sentAt = clock.now()
    exchange.upstreamStartedAt = record.sentAt
    this.#attempts.cluster!.observe(endpoint, 'success', this.waitedMs(record, record.sentAt), null)
    const { received, sent } = endpoint.stats.tcpBytes()
    this.#relay = new Relay(this, clock, this.#wire, wire, this.#route!.tunnelIdleMs, received, sent)
    const bytes = this.#bytes
    this.#bytes = null
    this.#relay.begin(bytes, this.#hasEnded)
  }

  // ── what the relay tells ──

  answered(): void {
    this.exchange.firstByteAt = this.#deps.clock.now()
    this.#succeeded()
  }

  downstreamEnded(): void {
    this.exchange.requestEndedAt = this.#deps.clock.now()
  }

  idled(): void {
    this.#cut(failures.tunnelIdle, `nothing moved for ${this.#route!.tunnelIdleMs} ms`)
  }

  overflow(detail: string): void {
    this.#cut(failures.outOfRoom, detail)
  }

  broke(side: Side, error: Error | null): void {
    const { exchange } = this
    if (exchange.failure !== null) return
    const { down, up } = this.#relay!
    exchange.failure =
      side === down
        ? failures.downstreamGone
        : up.total === 0
          ? failures.resetBeforeResponse
          : failures.resetAfterResponse
    exchange.detail = error === null ? '' : ((error as NodeJS.ErrnoException).code ?? error.message)
  }

  gone(): void {
    const { exchange } = this
    const { down, up } = this.#relay!
    if (!down.isGone || !up.isGone) return
    exchange.bytesIn = down.total
    exchange.bytesOut = up.total
    const { failure } = exchange
    const attempt = this.#attempts.winner!
    const now = this.#deps.clock.now()
    const isEarly = failure === failures.resetBeforeResponse && now - attempt.record.sentAt < EARLY_MS
    if (!isEarly) this.#succeeded()
    attempt.record.endpoint!.pool.closed()
    this.#attempts.ended(attempt, failure?.side === 'upstream' ? failure : null, exchange.detail, now)
    if (isEarly) this.#attempts.blame(attempt, failure)
    this.#complete(failure, exchange.detail)
    this.#onClosed(this)
  }

  /** It did more than accept. */
  #succeeded(): void {
    if (this.#isJudged) return
    this.#isJudged = true
    this.#attempts.cluster!.report(this.#attempts.winner!.record, 'success', null, '')
  }

  // ── from downstream, while there is no relay ──

  /** What was under way as the pause came. */
  bytes(chunk: Buffer, length: number): void {
    if (this.#isOver) return
    const more = chunk.subarray(0, length)
    this.#bytes = this.#bytes === null ? Buffer.from(more) : Buffer.concat([this.#bytes, more])
    this.#wire.pause()
  }

  drained(): void {}

  ended(): void {
    this.#hasEnded = true
    if (this.#isOver) this.#wire.end()
  }

  closed(error: Error | null): void {
    if (!this.#isOver) {
      this.#attempts.cancel(failures.downstreamGone)
      this.#complete(failures.downstreamGone, error?.message ?? '')
    }
    this.#linger?.cancel()
    this.#onClosed(this)
  }

  /** It is never asked to make room: nothing in it could be told. */
  retire(): void {}

  /** Runs on until the time of the drain is over. */
  drain(): void {}

  destroy(): void {
    if (this.#isOver) this.#wire.destroy()
    else this.#cut(failures.drained, '')
  }

  // ── the end ──

  #cut(failure: Failure, detail: string): void {
    if (this.#relay === null) {
      this.#attempts.cancel(failure)
      return this.fail(failure, detail)
    }
    this.exchange.failure ??= failure
    this.exchange.detail ||= detail
    this.#relay.cut()
  }

  /**
   * There will be no tunnel: a TLS caller is told, any other sees its connection reset, since an end would look as if
   * all were well.
   */
  fail(failure: Failure, detail: string): void {
    this.#complete(failure, detail)
    const alert = failure.flag === 'NR' || this.#opening.refused !== null ? tlsAlert(this.#opening) : null
    if (alert === null) return this.#wire.reset()
    this.#wire.write(alert)
    this.#wire.end()
    this.#linger = this.#deps.clock.timer(() => this.#wire.destroy())
    this.#linger.arm(LINGER_MS)
    // So that it can be told that the caller has closed.
    this.#wire.resume()
  }

  #complete(failure: Failure | null, detail: string): void {
    const { exchange } = this
    this.#isOver = true
    exchange.endWait()
    exchange.failure = failure
    exchange.detail = detail
    exchange.completedAt = this.#deps.clock.now()
    this.#attempts.stop()
    if (this.#route !== null) add(this.#route.tcp.active, -1)
    this.#deps.onComplete(exchange)
  }
}
