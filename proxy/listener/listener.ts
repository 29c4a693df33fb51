import type { ListenerSpec } from '../../mesh-config/snapshot.ts'
import type { Clock, Random, Timer } from '../core/clock.ts'
import type { DownstreamConnection, DownstreamOptions, Refusal } from '../core/codec.ts'
import { failures } from '../core/failure.ts'
import type { ListenerRuntime, Opening } from '../core/listener.ts'
import type { DownstreamStream, Protocol, RequestHead } from '../core/message.ts'
import { add, type Counter } from '../core/telemetry.ts'
import type { SecureWire, Wire } from '../core/wire.ts'
import { Ages } from './ages.ts'
import { Detecting, type Detection, type Languages } from './detect.ts'
import type { FirstBytes } from './first-bytes.ts'
import { Securing } from './securing.ts'

export interface ListenerStats {
  readonly accepted: Counter
  readonly active: Counter
  readonly overflow: Counter
  /** Counts connections by detected protocol. */
  detected(found: FirstBytes): void
  detectionTimedOut(): void
  /** Of a listener with TLS: counts connections by what came of them. */
  secured(how: 'tls' | 'plain' | 'refused' | 'failed'): void
}

export interface ListenerDeps extends Languages {
  readonly clock: Clock
  readonly random: Random
  readonly stats: ListenerStats
  onStream(stream: DownstreamStream, wire: Wire, protocol: Protocol, listener: Listener): void
  onRefused(refusal: Refusal, listener: Listener): void
  /** Ends the tunnels whose protocol allows a polite end. */
  leave(): void
  /** Passes a connection on byte for byte; `onClosed` when it is over. */
  tunnel(
    wire: Wire,
    opening: Opening,
    onClosed: (connection: DownstreamConnection) => void,
    listener: Listener,
  ): DownstreamConnection
}

/** The connection is a tunnel from the start. */
const UNREAD: Opening = { kind: 'tcp', serverName: '', bytes: null, refused: null, detail: '' }

const HTTP_ONLY = { timeoutMs: 0, mayBeTcp: false }

/** The time before the end of the drain for a Close frame to go there and back. */
const LEAVE_MS = 1000

/**
 * A kept connection of a listener that was handed over is closed when it was idle for so long: a caller that uses it
 * often has sent a request meanwhile, whose answer was its last.
 */
const IDLE_MS = 5_000

/** The connections accepted on one address. Its policy (`runtime`) may change; open connections go on. */
export class Listener {
  runtime: ListenerRuntime
  readonly #deps: ListenerDeps
  readonly #connections: Ages
  #options: DownstreamOptions
  #draining = false
  #isHandedOver = false

  constructor(runtime: ListenerRuntime, deps: ListenerDeps) {
    this.runtime = runtime
    this.#deps = deps
    this.#connections = new Ages(deps.clock, deps.random)
    this.#options = this.#optionsOf(runtime.spec)
  }

  configure(runtime: ListenerRuntime): void {
    const turnsTcp = runtime.spec.protocol === 'tcp' && this.runtime.spec.protocol !== 'tcp'
    this.runtime = runtime
    this.#options = this.#optionsOf(runtime.spec)
    // The requests of these connections have no route any more and would get 404: closing makes callers connect again,
    // which then become tunnels. Tunnels have no drain.
    if (turnsTcp) for (const connection of this.#connections.all()) connection.drain()
  }

  #optionsOf({ limits, timeouts, h2cUpgrade, multiplex }: ListenerSpec): DownstreamOptions {
    return {
      maxHeaders: limits.headers,
      maxHeadBytes: limits.headBytes,
      maxTargetBytes: limits.targetBytes,
      maxStreams: limits.streams,
      headTimeoutMs: timeouts.headMs,
      bodyTimeoutMs: timeouts.bodyMs,
      idleTimeoutMs: timeouts.idleMs,
      hopThreads: multiplex,
      onRefused: refusal => this.#deps.onRefused(refusal, this),
      onClosed: connection => this.#closed(connection),
      onUpgrade: (connection, request, wire) => h2cUpgrade && this.#upgrade(connection, request, wire),
    }
  }

  /** Only HTTP/2 may replace the protocol of a whole connection; tunnels are handled by the codec. */
  #upgrade(connection: DownstreamConnection, request: RequestHead, wire: Wire): boolean {
    const { clock, http2, onStream } = this.#deps
    const served = http2.upgrade(
      request,
      wire,
      stream => onStream(stream, wire, http2.protocol, this),
      this.#options,
      clock,
    )
    if (served === null) return false
    this.#connections.replace(connection, served)
    return true
  }

  accept(wire: Wire): void {
    const { stats } = this.#deps
    if (this.#connections.size >= this.runtime.spec.limits.connections) {
      add(stats.overflow, 1)
      wire.destroy()
      return
    }
    add(stats.accepted, 1)
    add(stats.active, 1)
    wire.bufferBytes = this.runtime.spec.limits.bufferBytes
    const { secure } = this.runtime
    const connection = secure === null ? this.#serve(wire) : this.#secure(wire, secure)
    this.#connections.add(connection, this.runtime.spec.timeouts.connectionAgeMs)
    if (this.#draining && !this.#isHandedOver) connection.drain()
  }

  #serve(wire: Wire): DownstreamConnection {
    return this.#isTunnel(wire) ? this.#tunnel(wire, UNREAD) : this.#detect(wire)
  }

  #secure(wire: Wire, secure: SecureWire): DownstreamConnection {
    const { timeouts, tls } = this.runtime.spec
    const { clock, stats } = this.#deps
    const options = {
      secure,
      isStrict: tls!.isStrict,
      idleMs: timeouts.idleMs,
      handshakeMs: timeouts.headMs,
    }
    const connection: Securing = new Securing(wire, options, clock, {
      serve: served => {
        stats.secured(served.peer.tls === undefined ? 'plain' : 'tls')
        served.bufferBytes = wire.bufferBytes
        served.ledger = wire.ledger
        const by = this.#serve(served)
        this.#connections.replace(connection, by)
        return by
      },
      refused: (failure, detail, peer) => {
        stats.secured(failure === failures.tlsRequired ? 'refused' : 'failed')
        this.#deps.onRefused({ failure, detail, peer, protocol: 'http/1.1' }, this)
      },
      closed: () => this.#closed(connection),
    })
    return connection
  }

  #isTunnel(wire: Wire): boolean {
    const { spec, byAddress } = this.runtime
    // Asked for first: what the peer is asked for later has it.
    const original = spec.transparent === undefined ? null : wire.original()
    return spec.protocol === 'tcp' || (original !== null && byAddress?.isOpaque(original) === true)
  }

  #tunnel(wire: Wire, opening: Opening): DownstreamConnection {
    return this.#deps.tunnel(wire, opening, this.#options.onClosed, this)
  }

  #detect(wire: Wire): DownstreamConnection {
    const { clock, onStream, stats } = this.#deps
    const detection = this.#detection(wire)
    const takesPlace = (served: DownstreamConnection): DownstreamConnection => {
      this.#connections.replace(connection, served)
      if (this.#draining) served.retire(IDLE_MS)
      return served
    }
    const connection: Detecting = new Detecting(wire, this.#optionsFor(wire), detection, clock, this.#deps, {
      http: (codec, options) =>
        takesPlace(codec.serve(wire, stream => onStream(stream, wire, codec.protocol, this), options, clock)),
      tunnel: opening => takesPlace(this.#tunnel(wire, opening)),
      told: found => stats.detected(found),
      timedOut: () => stats.detectionTimedOut(),
    })
    return connection
  }

  /** HTTP/1.1 is not carried as HTTP/2 over TLS: the handshake says what is spoken. */
  #optionsFor({ peer }: Wire): DownstreamOptions {
    return this.runtime.secure === null || peer.tls === undefined ? this.#options : { ...this.#options, hopThreads: 0 }
  }

  #detection(wire: Wire): Detection {
    const { spec, byAddress } = this.runtime
    const { protocol, timeouts, service, transparent } = spec
    if (protocol !== 'detect') return HTTP_ONLY
    const original = transparent === undefined ? null : wire.original()
    if (original === null || byAddress === null) return { timeoutMs: timeouts.detectMs, mayBeTcp: service !== null }
    return {
      timeoutMs: timeouts.detectMs,
      mayBeTcp: true,
      firstByteMs: transparent!.firstByteMs,
      isDoubtTcp: !byAddress.isKnown(original),
    }
  }

  #closed(connection: DownstreamConnection): void {
    const { active } = this.#deps.stats
    if (!this.#connections.delete(connection)) return
    add(active, -1)
    if (this.#connections.size === 0) this.#onEmpty?.()
  }

  #onEmpty: (() => void) | null = null

  /**
   * Closes each connection after its present exchange; exchanges that run after `timeoutMs` are cut. Resolves with the
   * number cut.
   */
  drain(timeoutMs: number): Promise<number> {
    this.#draining = true
    for (const connection of this.#connections.all()) connection.drain()
    return this.#empty(timeoutMs)
  }

  /**
   * The same where another process goes on accepting here, and callers must not notice: an idle HTTP/1 connection waits
   * for its next request for a while, because a close would race with it.
   */
  handOver(timeoutMs: number): Promise<number> {
    this.#draining = true
    this.#isHandedOver = true
    for (const connection of this.#connections.all()) connection.retire(IDLE_MS)
    return this.#empty(timeoutMs)
  }

  #empty(timeoutMs: number): Promise<number> {
    if (this.#connections.size === 0) return Promise.resolve(0)
    return new Promise(resolve => {
      let cut = 0
      let left = timeoutMs <= LEAVE_MS
      if (left) this.#deps.leave()
      const timer: Timer = this.#deps.clock.timer(() => {
        if (!left) {
          left = true
          this.#deps.leave()
          return timer.arm(LEAVE_MS)
        }
        cut = this.#connections.size
        for (const connection of this.#connections.all()) connection.destroy()
      })
      timer.arm(left ? timeoutMs : timeoutMs - LEAVE_MS)
      this.#onEmpty = () => {
        timer.cancel()
        resolve(cut)
      }
    })
  }
}
