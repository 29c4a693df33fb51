import type { Clock, Timer } from '../core/clock.ts'
import type { DownstreamConnection } from '../core/codec.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { Peer, SecureWire, Wire, WireHandler } from '../core/wire.ts'

const TLS_RECORD = 0x16

export interface SecuringOptions {
  readonly secure: SecureWire
  /** Callers that speak no TLS are refused. */
  readonly isStrict: boolean
  /** Without a byte; 0: no limit. */
  readonly idleMs: number
  /** From the first byte to the end of the handshake; 0: no limit. */
  readonly handshakeMs: number
}

/** What becomes of the connection. */
export interface Secured {
  /** The handshake is done, or the caller speaks no TLS and may: what serves it takes over. */
  serve(wire: Wire): DownstreamConnection
  refused(failure: Failure, detail: string, peer: Peer): void
  closed(): void
}

/** A connection whose caller is to speak TLS: until its handshake is done. */
export class Securing implements DownstreamConnection, WireHandler {
  readonly #wire: Wire
  readonly #options: SecuringOptions
  readonly #to: Secured
  readonly #timer: Timer
  /** The handshake runs: what gives it up. */
  #giveUp: (() => void) | null = null
  #isDraining = false

  constructor(wire: Wire, options: SecuringOptions, clock: Clock, to: Secured) {
    this.#wire = wire
    this.#options = options
    this.#to = to
    this.#timer = clock.timer(() => this.#late())
    if (options.idleMs > 0) this.#timer.arm(options.idleMs)
    wire.handler = this
  }

  bytes(chunk: Buffer, length: number): void {
    const wire = this.#wire
    if (chunk[0] === TLS_RECORD) return this.#begin(Buffer.from(chunk.subarray(0, length)))
    this.#timer.cancel()
    if (this.#options.isStrict) {
      this.#to.refused(failures.tlsRequired, '', wire.peer)
      return wire.destroy()
    }
    this.#serve(wire)
    wire.handler?.bytes(chunk, length)
  }

  #begin(bytes: Buffer): void {
    const { secure, handshakeMs } = this.#options
    const wire = this.#wire
    // Its peer is known only as long as it is open.
    const { peer } = wire
    if (handshakeMs > 0) this.#timer.arm(handshakeMs)
    wire.pause()
    this.#giveUp = () => {}
    const giveUp = secure(wire, bytes, {
      done: secured => {
        this.#timer.cancel()
        this.#giveUp = null
        this.#serve(secured)
      },
      failed: reason => {
        this.#giveUp = null
        this.#over(reason, peer)
      },
    })
    if (this.#giveUp !== null) this.#giveUp = giveUp
  }

  #serve(wire: Wire): void {
    const connection = this.#to.serve(wire)
    if (this.#isDraining) connection.drain()
  }

  #over(reason: string, peer: Peer): void {
    this.#timer.cancel()
    this.#to.refused(failures.tlsHandshakeFailed, reason, peer)
    this.#to.closed()
  }

  #late(): void {
    if (this.#giveUp === null) return this.#wire.destroy()
    this.#cut(`the handshake took longer than ${this.#options.handshakeMs} ms`)
  }

  #cut(reason: string): void {
    const giveUp = this.#giveUp!
    this.#giveUp = null
    giveUp()
    this.#over(reason, this.#wire.peer)
  }

  drained(): void {}

  ended(): void {
    this.#wire.destroy()
  }

  closed(): void {
    this.#timer.cancel()
    this.#to.closed()
  }

  /** A handshake that runs goes on: its caller has a request. */
  drain(): void {
    this.#isDraining = true
    if (this.#giveUp === null) this.#wire.destroy()
  }

  retire(idleMs: number): void {
    this.#isDraining = true
    if (idleMs > 0 && this.#giveUp === null) this.#timer.arm(idleMs)
  }

  destroy(): void {
    if (this.#giveUp === null) this.#wire.destroy()
    else this.#cut('the proxy stopped')
  }
}
