import type { Clock, Timer } from '../core/clock.ts'
import type { Codec, DownstreamConnection, DownstreamOptions, UpgradeCodec } from '../core/codec.ts'
import { failures } from '../core/failure.ts'
import type { Opening } from '../core/listener.ts'
import type { Wire, WireHandler } from '../core/wire.ts'
import { type ClientHello, readClientHello } from './client-hello.ts'
import { type FirstBytes, type IsHttp2, lookAt, mayBeRequest, surely } from './first-bytes.ts'

/** The protocols of a listener. */
export interface Languages {
  readonly http1: Codec
  readonly http2: UpgradeCodec
  /** Whether these bytes, as far as they go, begin an HTTP/2 connection (RFC 9113 section 3.4). */
  readonly isHttp2: IsHttp2
}

/** What to detect. */
export interface Detection {
  /** The time to detect any protocol; 0: HTTP only. */
  readonly timeoutMs: number
  /** A connection that is neither HTTP nor TLS has a destination. */
  readonly mayBeTcp: boolean
  /** The time for the first byte of a redirected connection, which goes on as TCP after it. Absent: `timeoutMs`. */
  readonly firstByteMs?: number
  /** What may not be HTTP is TCP, and goes on to a server that knows what it is. */
  readonly isDoubtTcp?: boolean
}

/** Makes the connection of the detected protocol, which takes over. */
export interface Serve {
  http(codec: Codec, options: DownstreamOptions): DownstreamConnection
  tunnel(opening: Opening): DownstreamConnection
  /** For statistics; not called where only HTTP is accepted. */
  told(found: Exclude<FirstBytes, 'more'>): void
  timedOut(): void
}

const TLS_RECORD = 0x16

/**
 * A connection whose protocol is not detected yet. Nearly always the first read is enough. Until then everything else
 * is handled by HTTP/1, which answers as to a caller that has sent nothing, or half a request line.
 */
export class Detecting implements DownstreamConnection, WireHandler {
  readonly #wire: Wire
  readonly #options: DownstreamOptions
  readonly #languages: Languages
  readonly #detection: Detection
  readonly #serve: Serve
  readonly #timer: Timer
  /** The bytes so far, while they are too few: in a buffer that doubles, since they may come one by one. */
  #begun: Buffer | null = null
  #length = 0

  constructor(
    wire: Wire,
    options: DownstreamOptions,
    detection: Detection,
    clock: Clock,
    languages: Languages,
    serve: Serve,
  ) {
    this.#wire = wire
    this.#options = options
    this.#detection = detection
    this.#languages = languages
    this.#serve = serve
    this.#timer = clock.timer(() => this.#timedOut())
    // On a port for HTTP only a connection may be silent as long as between two requests: pools open connections ahead
    // of use.
    const limitMs = detection.mayBeTcp ? (detection.firstByteMs ?? detection.timeoutMs) : options.idleTimeoutMs
    if (limitMs > 0) this.#timer.arm(limitMs)
    wire.handler = this
  }

  bytes(chunk: Buffer, length: number): void {
    const isFirst = this.#begun === null
    if (!isFirst) {
      this.#keep(chunk, length)
      chunk = this.#begun!
      length = this.#length
    }
    const found = this.#look(chunk, length)
    if (found !== 'more') return this.#become(found, chunk, length)
    if (!isFirst) return
    this.#keep(chunk, length)
    const { timeoutMs, mayBeTcp, firstByteMs } = this.#detection
    if (timeoutMs === 0) this.#limit(this.#options.headTimeoutMs)
    else if (!mayBeTcp || firstByteMs !== undefined) this.#limit(timeoutMs)
  }

  #look(chunk: Buffer, length: number): FirstBytes {
    const { isHttp2 } = this.#languages
    const { timeoutMs, isDoubtTcp } = this.#detection
    if (timeoutMs !== 0) {
      const found = lookAt(chunk, length, isHttp2)
      return isDoubtTcp === true && found === 'http1' ? surely(chunk, length) : found
    }
    const answer = isHttp2(chunk, length)
    if (answer !== 'no') return answer === 'yes' ? 'http2' : 'more'
    // No request begins this way, and a TLS caller cannot read an answer in HTTP.
    return chunk[0] === TLS_RECORD ? 'tls' : 'http1'
  }

  #limit(milliseconds: number): void {
    if (milliseconds > 0) this.#timer.arm(milliseconds)
    else this.#timer.cancel()
  }

  #keep(chunk: Buffer, length: number): void {
    const needed = this.#length + length
    if (this.#begun === null || needed > this.#begun.length) {
      const larger = Buffer.allocUnsafe(Math.max(64, 2 * needed))
      this.#begun?.copy(larger, 0, 0, this.#length)
      this.#begun = larger
    }
    chunk.copy(this.#begun, this.#length, 0, length)
    this.#length = needed
  }

  #become(found: Exclude<FirstBytes, 'more'>, chunk: Buffer, length: number): void {
    const { http1, http2 } = this.#languages
    if (this.#detection.timeoutMs !== 0) this.#serve.told(found)
    if (found === 'http1' || found === 'http2') {
      this.#http(found === 'http2' ? http2 : http1, this.#options)
      this.#wire.handler?.bytes(chunk, length)
      return
    }
    this.#timer.cancel()
    this.#tunnel(found, chunk, length)
  }

  #tunnel(kind: 'tls' | 'tcp', chunk: Buffer, length: number): void {
    const { timeoutMs, mayBeTcp } = this.#detection
    if (timeoutMs === 0) {
      this.#serve.tunnel({ kind, serverName: '', bytes: null, refused: failures.tlsNotExpected, detail: '' })
      return
    }
    const bytes = Buffer.from(chunk.subarray(0, length))
    const hello = kind === 'tls' ? (readClientHello(bytes, length) as ClientHello) : null
    if (hello === null && !mayBeTcp) {
      this.#serve.tunnel({
        kind,
        serverName: '',
        bytes: null,
        refused: failures.noRoute,
        detail: 'neither HTTP nor TLS, and the port is for no one service',
      })
      return
    }
    const detail = hello === null || hello.alpn.length === 0 ? '' : `ALPN ${hello.alpn.join(', ')}`
    this.#serve.tunnel({ kind, serverName: hello === null ? '' : hello.serverName, bytes, refused: null, detail })
  }

  #http(codec: Codec, options: DownstreamOptions): DownstreamConnection {
    this.#timer.cancel()
    return this.#serve.http(codec, options)
  }

  /** Goes on as HTTP/1, with the bytes so far. */
  #giveUp(options: DownstreamOptions = this.#options): DownstreamConnection {
    const connection = this.#http(this.#languages.http1, options)
    if (this.#begun !== null) this.#wire.handler?.bytes(this.#begun, this.#length)
    return connection
  }

  #timedOut(): void {
    const { timeoutMs, mayBeTcp } = this.#detection
    if (timeoutMs !== 0 && (mayBeTcp || this.#begun !== null)) this.#serve.timedOut()
    // The time for the head has run out when the codec begins, so the caller gets the answer for half a head.
    if (this.#mayBeRequest()) this.#giveUp({ ...this.#options, headTimeoutMs: 1 })
    else if (timeoutMs === 0) this.destroy()
    else if (mayBeTcp) {
      const bytes = this.#begun === null ? null : Buffer.from(this.#begun.subarray(0, this.#length))
      this.#serve.tunnel({ kind: 'tcp', serverName: '', bytes, refused: null, detail: '' })
    } else if (this.#begun === null) this.destroy()
    else {
      const kind = this.#begun[0] === TLS_RECORD ? 'tls' : 'tcp'
      this.#serve.tunnel({
        kind,
        serverName: '',
        bytes: null,
        refused: failures.noRoute,
        detail: `said too little within ${timeoutMs} ms to tell where it goes`,
      })
    }
  }

  #mayBeRequest(): boolean {
    if (this.#begun === null || this.#detection.isDoubtTcp === true) return false
    return this.#detection.timeoutMs === 0 || mayBeRequest(this.#begun, this.#length, this.#languages.isHttp2)
  }

  drained(): void {}

  /** Half-closed: no further bytes can decide. */
  ended(): void {
    const { timeoutMs, mayBeTcp } = this.#detection
    if (timeoutMs !== 0 && mayBeTcp && this.#begun !== null && !this.#mayBeRequest())
      this.#tunnel('tcp', this.#begun, this.#length)
    else this.#giveUp()
    this.#timer.cancel()
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
