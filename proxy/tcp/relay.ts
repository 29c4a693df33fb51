import type { Clock, Timer } from '../core/clock.ts'
import type { Counter } from '../core/telemetry.ts'
import { nextRead, type Wire, type WireHandler } from '../core/wire.ts'

/** The tunnel that joined the two wires. */
export interface RelayOwner {
  /** The endpoint has said something: once, with the first bytes from it. */
  answered(): void
  /** The caller has said all. */
  downstreamEnded(): void
  /** Nothing has moved for the time it may take. */
  idled(): void
  /** Too much is held for it. */
  overflow(detail: string): void
  /**
   * A wire is gone before both directions had come to their end; the other is closed. `error`: what the system says.
   * Null where it was us.
   */
  broke(side: Side, error: Error | null): void
  /** Exactly once for each side. */
  gone(side: Side): void
}

/**
 * Two wires made one: what comes in on one leaves on the other, by reference; a side that may not write pauses the
 * other; one that ends ends the other. One of these objects for each end of a tunnel.
 */
export class Side implements WireHandler {
  readonly wire: Wire
  readonly relay: Relay
  /** Bytes that came from here. */
  total = 0
  /** Said all. */
  hasEnded = false
  isGone = false
  /** Set by the relay before anything is read. */
  other: Side
  readonly #counter: Counter

  constructor(wire: Wire, relay: Relay, counter: Counter) {
    this.wire = wire
    this.relay = relay
    this.other = this
    this.#counter = counter
  }

  bytes(chunk: Buffer, length: number): void {
    const { relay, wire } = this
    relay.moved()
    if (this.total === 0) relay.began(this)
    this.count(length)
    wire.expect(nextRead(length, chunk.length))
    if (!this.other.wire.write(length === chunk.length ? chunk : chunk.subarray(0, length))) wire.pause()
  }

  count(length: number): void {
    this.total += length
    const { values, index } = this.#counter
    values[index]! += length
  }

  drained(): void {
    this.relay.moved()
    this.other.wire.resume()
  }

  ended(): void {
    this.relay.moved()
    this.hasEnded = true
    this.relay.sideEnded(this)
    this.other.wire.end()
  }

  closed(error: Error | null): void {
    this.relay.sideClosed(this, error)
  }

  overflow(detail: string): void {
    this.relay.overflow(detail)
  }
}

/** The relay of one tunnel. Memory: at most a high watermark and a read in each direction (`limits.buffer`). */
export class Relay {
  readonly down: Side
  readonly up: Side
  readonly #owner: RelayOwner
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #idle: Timer
  #movedAt = 0

  /**
   * `received`, `sent`: where the bytes from and to the endpoint are counted. The wires are the relay's as soon as it
   * is made.
   */
  constructor(owner: RelayOwner, clock: Clock, down: Wire, up: Wire, idleMs: number, received: Counter, sent: Counter) {
    this.#owner = owner
    this.#clock = clock
    this.#idleMs = idleMs
    this.#idle = clock.timer(() => this.#idled())
    this.down = new Side(down, this, sent)
    this.up = new Side(up, this, received)
    this.down.other = this.up
    this.up.other = this.down
    this.moved()
    if (idleMs > 0) this.#idle.arm(idleMs)
    down.handler = this.down
    up.handler = this.up
  }

  /**
   * Bytes of the caller that were read before there was an endpoint to send them to; `hasEnded`: and nothing follows.
   */
  begin(bytes: Buffer | null, hasEnded: boolean): void {
    const { down, up } = this
    let writable = true
    if (bytes !== null) {
      down.count(bytes.length)
      writable = up.wire.write(bytes)
    }
    if (hasEnded) down.ended()
    // Also where all was said: only a wire that reads hears of a reset.
    if (writable) down.wire.resume()
  }

  overflow(detail: string): void {
    this.#owner.overflow(detail)
  }

  /** For the sides: bytes, or an end. */
  moved(): void {
    this.#movedAt = this.#clock.now()
  }

  began(side: Side): void {
    if (side === this.up) this.#owner.answered()
  }

  sideEnded(side: Side): void {
    if (side === this.down) this.#owner.downstreamEnded()
  }

  sideClosed(side: Side, error: Error | null): void {
    side.isGone = true
    const { other } = side
    if (!other.isGone && (error !== null || !side.hasEnded || !other.hasEnded)) {
      this.#owner.broke(side, error)
      other.wire.reset()
    }
    if (other.isGone) this.#idle.cancel()
    this.#owner.gone(side)
  }

  /** Closes both: to the peers a plain end, or a reset where some of what was said before is lost. */
  cut(): void {
    for (const { wire, isGone } of [this.down, this.up]) {
      if (isGone) continue
      if (wire.unsent > 0) wire.reset()
      else wire.destroy()
    }
  }

  #idled(): void {
    const left = this.#movedAt + this.#idleMs - this.#clock.now()
    if (left > 0) return this.#idle.arm(left)
    this.#owner.idled()
  }
}
