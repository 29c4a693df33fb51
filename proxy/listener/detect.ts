import type { Clock, Timer } from '../core/clock.ts'
import type { Codec, DownstreamConnection, DownstreamOptions, UpgradeCodec } from '../core/codec.ts'
import type { Wire, WireHandler } from '../core/wire.ts'

/** What a listener speaks. */
export interface Languages {
  readonly http1: Codec
  readonly http2: UpgradeCodec
  /** Do these bytes, as far as they go, begin an HTTP/2 connection (RFC 9113 section 3.4)? */
  isHttp2(bytes: Buffer, length: number): 'yes' | 'no' | 'more'
}

/**
 * A connection whose first bytes have not said yet which protocol it speaks. Nearly always the first read says; whatever else happens before is for HTTP/1, which
 * answers as it does to a caller that has said nothing, or half a request line.
 */
export class Detecting implements DownstreamConnection, WireHandler {
  readonly #wire: Wire
  readonly #options: DownstreamOptions
  readonly #languages: Languages
  readonly #serve: (codec: Codec, options: DownstreamOptions) => DownstreamConnection
  readonly #timer: Timer
  /** What came, as long as it is less than tells. */
  #begun: Buffer | null = null

  /** `serve` makes the connection that takes this one's place. */
  constructor(
    wire: Wire,
    options: DownstreamOptions,
    clock: Clock,
    languages: Languages,
    serve: (codec: Codec, options: DownstreamOptions) => DownstreamConnection,
  ) {
    this.#wire = wire
    this.#options = options
    this.#languages = languages
    this.#serve = serve
    this.#timer = clock.timer(() => this.#timedOut())
    if (options.idleTimeoutMs > 0) this.#timer.arm(options.idleTimeoutMs)
    wire.handler = this
  }

  bytes(chunk: Buffer, length: number): void {
    const { http1, http2, isHttp2 } = this.#languages
    const isFirst = this.#begun === null
    if (this.#begun !== null) {
      chunk = Buffer.concat([this.#begun, chunk.subarray(0, length)])
      length = chunk.length
    }
    const answer = isHttp2(chunk, length)
    if (answer === 'more') {
      this.#begun = Buffer.from(chunk.subarray(0, length))
      if (!isFirst) return
      if (this.#options.headTimeoutMs > 0) this.#timer.arm(this.#options.headTimeoutMs)
      else this.#timer.cancel()
      return
    }
    this.#become(answer === 'yes' ? http2 : http1, this.#options)
    this.#wire.handler?.bytes(chunk, length)
  }

  #become(codec: Codec, options: DownstreamOptions): DownstreamConnection {
    this.#timer.cancel()
    return this.#serve(codec, options)
  }

  /** It is HTTP/1 then, with what has come. */
  #giveUp(options: DownstreamOptions = this.#options): DownstreamConnection {
    const begun = this.#begun
    const connection = this.#become(this.#languages.http1, options)
    if (begun !== null) this.#wire.handler?.bytes(begun, begun.length)
    return connection
  }

  #timedOut(): void {
    // The time for the head is over as soon as it begins: the answer is the one that half a head gets.
    if (this.#begun !== null) this.#giveUp({ ...this.#options, headTimeoutMs: 1 })
    else this.destroy()
  }

  drained(): void {}

  ended(): void {
    this.#giveUp()
    this.#wire.handler?.ended()
  }

  closed(error: Error | null): void {
    this.#giveUp()
    this.#wire.handler?.closed(error)
  }

  drain(): void {
    this.#giveUp().drain()
  }

  retire(): void {}

  destroy(): void {
    this.#giveUp().destroy()
  }
}
