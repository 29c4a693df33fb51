import type { Clock, Random, Timer } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { DownstreamStream, Headers, Receiver, RequestHead, ResponseHead, UpstreamStream } from '../core/message.ts'
import { WEBSOCKET } from '../core/tunnel.ts'
import type { Attempts } from './attempts.ts'
import { closeFrame, WebSocketFrames } from './websocket-frames.ts'

/** The exchange that has become a tunnel. */
export interface TunnelOwner {
  readonly exchange: Exchange
  readonly stream: DownstreamStream
  readonly attempts: Attempts
  fail(failure: Failure, detail: string): void
  complete(failure: Failure | null, detail: string): void
}

export interface TunnelDeps {
  readonly clock: Clock
  readonly random: Random
}

/** The stream bytes go to; what comes from there is let go by `resume`. */
type End = Pick<DownstreamStream, 'data' | 'resume'>

/**
 * An exchange after its switch: what comes on one side goes out on the other, and each direction ends on its own. It
 * takes the place of both receivers, so an exchange that never becomes a tunnel pays nothing for it.
 */
export class Tunnel {
  /** What comes from the caller, and what comes from the endpoint. */
  readonly up: Way
  readonly down: Way
  movedAt: number
  readonly #owner: TunnelOwner
  readonly #clock: Clock
  readonly #random: Random
  readonly #idle: Timer
  /** It was asked to leave, and has. */
  #left = false
  /** The attempt is over already. */
  #isCutOff = false
  /** The exchange is complete; a stream may still send what it has. */
  isOver = false

  constructor(owner: TunnelOwner, upstream: UpstreamStream, deps: TunnelDeps) {
    const { exchange, stream } = owner
    const isWebSocket = exchange.request.upgrade === WEBSOCKET
    this.#owner = owner
    this.#clock = deps.clock
    this.#random = deps.random
    this.up = new Way(this, upstream, isWebSocket ? new WebSocketFrames(true) : null)
    this.down = new Way(this, stream, isWebSocket ? new WebSocketFrames(false) : null)
    this.movedAt = deps.clock.now()
    this.#idle = deps.clock.timer(() => this.#idled())
    const { tunnelIdleMs } = exchange.route!
    if (tunnelIdleMs > 0) this.#idle.arm(tunnelIdleMs)
  }

  moved(way: Way, bytes: number): void {
    const { exchange } = this.#owner
    this.movedAt = this.#clock.now()
    if (way === this.up) exchange.bytesIn += bytes
    else exchange.bytesOut += bytes
  }

  /** One direction is over. */
  ended(way: Way): void {
    const { attempts, exchange } = this.#owner
    if (way === this.up) exchange.requestEndedAt = this.#clock.now()
    if (!this.up.isEnded || !this.down.isEnded) return
    const failure = this.#left ? failures.drained : null
    const detail = this.#left ? 'both sides were told 1001 (going away)' : ''
    if (!this.#isCutOff) attempts.ended(failure, detail)
    this.#owner.complete(failure, detail)
  }

  broken(way: Way, failure: Failure, detail: string): void {
    const { attempts, stream } = this.#owner
    // Both have said Close: how the connection comes down after that says nothing.
    if (this.up.isClosing && this.down.isClosing && !way.isEnded) return this.#cameDown(way, failure)
    if (way === this.up) attempts.cancel(failure)
    else {
      attempts.ended(failure, detail)
      stream.reset(failure, detail)
    }
    this.#owner.complete(failure, detail)
  }

  /** Neither stream is touched again once it is over: it may serve another exchange. */
  #cameDown(way: Way, failure: Failure): void {
    const { attempts } = this.#owner
    if (way === this.up) {
      attempts.cancel(failure)
      return this.#owner.complete(null, '')
    }
    // As Envoy ends each WebSocket. The caller must still hear what was said.
    attempts.ended(null, '')
    this.#isCutOff = true
    this.up.cutOff()
    way.end()
  }

  /**
   * The drain time is nearly over: a WebSocket is told so, on both sides, where its present frame ends (RFC 6455
   * section 5.5.1). One that is closing already has said all there is to say; of what other tunnels carry nothing is
   * known.
   */
  leave(): void {
    const { up, down } = this
    if (!up.mayLeave || !down.mayLeave) return
    this.#left = true
    const mask = Buffer.alloc(4)
    for (let i = 0; i < 4; i++) mask[i] = Math.floor(this.#random() * 256)
    down.leave(closeFrame(null))
    up.leave(closeFrame(mask))
  }

  stop(): void {
    this.isOver = true
    this.#idle.cancel()
  }

  #idled(): void {
    const { tunnelIdleMs } = this.#owner.exchange.route!
    const left = this.movedAt + tunnelIdleMs - this.#clock.now()
    if (left > 0) this.#idle.arm(left)
    else this.#owner.fail(failures.tunnelIdle, `nothing moved for ${tunnelIdleMs} ms`)
  }
}

/** One direction of a tunnel: the receiver of the side it comes from. */
class Way implements Receiver<RequestHead | ResponseHead> {
  isEnded = false
  readonly #tunnel: Tunnel
  readonly #to: End
  readonly #frames: WebSocketFrames | null
  /** What is to be said before this direction ends, at the next boundary. */
  #farewell: Buffer | null = null
  /** It is said: what comes now is dropped. */
  #isShut = false
  /** The side it goes to has gone. */
  #isCutOff = false

  constructor(tunnel: Tunnel, to: End, frames: WebSocketFrames | null) {
    this.#tunnel = tunnel
    this.#to = to
    this.#frames = frames
  }

  /** A tunnel has no heads. */
  head(): void {}

  data(chunk: Buffer, end: boolean): boolean {
    if (this.#tunnel.isOver) return true
    this.#tunnel.moved(this, chunk.length)
    const frames = this.#frames
    let writable = true
    if (!this.#isShut && !this.#isCutOff) {
      if (frames === null) writable = this.#to.data(chunk, end)
      else if (this.#farewell === null) {
        frames.skip(chunk)
        writable = this.#to.data(chunk, end)
      } else writable = this.#lastData(chunk, end, frames)
    }
    if (end) this.#end()
    return writable
  }

  #lastData(chunk: Buffer, end: boolean, frames: WebSocketFrames): boolean {
    const length = frames.toBoundary(chunk)
    const writable = this.#to.data(chunk.subarray(0, length), end)
    if (!end) this.#sayFarewell()
    return writable
  }

  #sayFarewell(): void {
    const frames = this.#frames!
    if (!frames.atBoundary) return
    this.#isShut = true
    // The end of a frame that turns out to be a Close needs no other one.
    this.#to.data(frames.closing ? NOTHING : this.#farewell!, true)
  }

  /** HTTP/2 refuses them before (RFC 9113 section 8.5); whatever they are, the direction is over. */
  trailers(_trailers: Headers): void {
    this.end()
  }

  /** As if its side had ended it. */
  end(): void {
    this.data(NOTHING, true)
  }

  cutOff(): void {
    this.#isCutOff = true
  }

  /** A Close frame has gone by. */
  get isClosing(): boolean {
    return this.#frames?.closing === true
  }

  #end(): void {
    this.isEnded = true
    this.#tunnel.ended(this)
  }

  reset(failure: Failure, detail: string): void {
    if (!this.#tunnel.isOver) this.#tunnel.broken(this, failure, detail)
  }

  /** The side that this is the receiver of may be written again, so the other one may send. */
  writable(): void {
    if (!this.#tunnel.isOver && !this.#isCutOff) this.#to.resume()
  }

  get mayLeave(): boolean {
    return (
      this.#frames !== null && !this.#frames.isLost && !this.#frames.closing && !this.isEnded && this.#farewell === null
    )
  }

  /** Says `farewell` at the next boundary, and ends. */
  leave(farewell: Buffer): void {
    this.#farewell = farewell
    this.#sayFarewell()
  }
}

const NOTHING = Buffer.alloc(0)
