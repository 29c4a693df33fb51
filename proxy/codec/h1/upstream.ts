import type { UpstreamConnection, UpstreamOptions, UpstreamOwner } from '../../core/codec.ts'
import { type Failure, failures } from '../../core/failure.ts'
import type { HeaderList } from '../../core/header-list.ts'
import type { Headers, Receiver, RequestHead, ResponseHead, UpstreamStream } from '../../core/message.ts'
import { opensTunnel, WEBSOCKET } from '../../core/tunnel.ts'
import { nextRead, type Wire, type WireHandler } from '../../core/wire.ts'
import { NO_BYTES } from '../bytes.ts'
import { INTERIM_OVERHEAD } from '../interim.ts'
import { acceptOf } from '../websocket.ts'
import { BodyReader, type BodySink } from './body-reader.ts'
import { KEEP_ALIVE } from './field-names.ts'
import { Gathered } from './gathered.ts'
import { Http1Head } from './head.ts'
import { DONE, MORE, type Outcome } from './outcome.ts'
import { type HeadLimits, parseResponse } from './parse.ts'
import { lengthOf, NO_BODY } from './serialize.ts'
import { Told } from './told.ts'
import { Http1Writer } from './writer.ts'

/**
 * One connection to an endpoint and, because HTTP/1.1 carries one exchange at a time, its stream as well. Pipelining
 * towards upstreams is not done: an answer lost in a pipeline cannot be told from one never given.
 */
export class Http1Upstream implements UpstreamConnection, UpstreamStream, WireHandler, BodySink {
  receiver: Receiver<ResponseHead> | null = null
  reused = false
  readonly #wire: Wire
  readonly #owner: UpstreamOwner
  readonly #writer: Http1Writer
  readonly #reader: BodyReader
  readonly #limits: HeadLimits
  readonly #head = new Http1Head()
  /** A response head that has not come whole. */
  #partial: Buffer = NO_BYTES
  readonly #gathered = new Gathered()
  #busy = false
  #requestDone = true
  #responseDone = true
  #headDone = false
  /** The endpoint has said that it is a sidecar. */
  #isSidecar = false
  readonly #told = new Told(bytes => this.#goOn(bytes))
  #interimBytes = 0
  #method = ''
  #keepAlive = true
  #closed = false
  #ended = false
  #paused = false
  #idleHint = 0
  /** What the request asks for; empty for nearly all. */
  #asked = ''
  /** The Sec-WebSocket-Accept that must come, where the key is ours and the caller cannot look. */
  #accept = ''
  /** It is no HTTP connection any more. */
  #isTunnel = false

  constructor(wire: Wire, owner: UpstreamOwner, options: UpstreamOptions) {
    this.#wire = wire
    this.#owner = owner
    this.#limits = { maxHeaders: options.maxHeaders, maxHeadBytes: options.maxHeadBytes, maxTargetBytes: 0 }
    this.#writer = new Http1Writer(wire)
    this.#reader = new BodyReader(this, this.#limits, false)
    wire.handler = this
    wire.bufferBytes = options.bufferBytes
  }

  get capacity(): number {
    return this.#busy || this.#closed || this.#isTunnel ? 0 : 1
  }

  get limit(): number {
    return 1
  }

  get worn(): boolean {
    return false
  }

  get hopThreads(): number {
    return 0
  }

  get carried(): boolean {
    return false
  }

  /** Its first answer says whether it is a sidecar. */
  get mayTellFailure(): boolean {
    return this.#isSidecar || !this.reused
  }

  get active(): number {
    return this.#busy ? 1 : 0
  }

  open(): UpstreamStream {
    this.#busy = true
    this.#requestDone = false
    this.#responseDone = false
    this.#headDone = false
    this.#interimBytes = 0
    this.#keepAlive = true
    this.#told.clear()
    return this
  }

  // ── what is sent ──

  head(head: RequestHead, end: boolean): void {
    this.#method = head.method
    this.#keepAlive = true
    this.#asked = head.upgrade
    if (head.upgrade === WEBSOCKET)
      this.#accept = head instanceof Http1Head ? '' : acceptOf(head.headers.get('sec-websocket-key') ?? '')
    const length = end ? NO_BODY : lengthOf(head)
    this.#writer.request(head, length, end)
    if (end) this.#requestDone = true
  }

  data(chunk: Buffer, end: boolean): boolean {
    if (this.#closed) return true
    const writable = this.#writer.data(chunk, end)
    if (end) this.#sent()
    return writable
  }

  trailers(trailers: Headers): void {
    if (this.#closed) return
    this.#writer.trailers(trailers)
    this.#sent()
  }

  #sent(): void {
    this.#requestDone = true
    // Less than its head said: the endpoint must not take what comes next for the rest.
    if (!this.#writer.complete) return this.#wire.reset()
    if (this.#isTunnel) this.#wire.end()
    if (this.#responseDone && this.#busy) this.#finish()
  }

  /** Cancels: the connection cannot carry anything else. */
  reset(_failure: Failure, _detail: string): void {
    this.receiver = null
    // The other end of a tunnel must see that it was cut.
    if (this.#isTunnel) this.#wire.reset()
    this.destroy()
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#wire.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#wire.resume()
  }

  destroy(): void {
    if (this.#closed) return
    const idle = !this.#busy
    this.#closed = true
    this.#wire.destroy()
    this.#owner.closed(this, idle)
  }

  // ── what is received ──

  bytes(chunk: Buffer, length: number): void {
    if (this.#closed) return
    // Bytes without a request: they must never be taken for the answer to the next one.
    if (!this.#busy) return this.destroy()
    // The peer is there, so no close from here on is that of an idle connection.
    this.reused = false
    if (this.#headDone) return this.#readBody(chunk, 0, length)
    if (this.#told.isWaiting) return this.#told.add(chunk, length)
    if (this.#partial.length === 0) return this.#readHead(chunk, length, false)
    const all = this.#gathered.append(this.#partial, chunk.subarray(0, length))
    this.#partial = NO_BYTES
    this.#readHead(all, all.length, true)
  }

  /** `own`: no other connection reads into the chunk. */
  #readHead(chunk: Buffer, length: number, own: boolean): void {
    const head = this.#head
    for (;;) {
      const outcome = parseResponse(head, chunk, length, this.#limits)
      if (outcome === MORE) {
        // Copied, and parsed on from where it stopped when more comes.
        this.#partial = own ? chunk.subarray(0, length) : Buffer.from(chunk.subarray(0, length))
        return
      }
      if (outcome !== DONE) return this.#malformed(outcome)
      if (head.status >= 200) break
      if (head.status === 101) {
        const wrong = this.#wrongSwitch()
        if (wrong !== '') return this.#protocolError(wrong)
        break
      }
      this.#interimBytes += head.end + INTERIM_OVERHEAD
      if (this.#interimBytes > this.#wire.bufferBytes)
        return this.#protocolError('interim heads without a final one (RFC 9110 section 15.2)')
      this.receiver?.head(head, false)
      const { end } = head
      head.clear()
      if (end === length) return
      chunk = chunk.subarray(end, length)
      length -= end
    }
    this.#isSidecar ||= head.offersHop
    if (head.offersHop) this.#owner.offered?.()
    if (head.claimedFailure !== '' && !this.#told.settles(head, chunk, length, this.#owner)) return this.#wire.pause()
    this.#headDone = true
    this.#keepAlive = head.keepAlive
    if (head.keepAlive) this.#readIdleHint()
    if (opensTunnel(this.#asked, head.status)) this.#openTunnel()
    else this.#beginBody()
    const end = this.#reader.done
    const { end: at } = head
    this.receiver?.head(head, end)
    head.clear()
    this.#gathered.clear()
    if (this.#closed) return
    if (end) {
      // More bytes than the answer has would be read as the next one's.
      if (at !== length) this.#keepAlive = false
      return this.#received()
    }
    if (at !== length) this.#readBody(chunk, at, length)
    else if (!this.#isTunnel) this.#wire.expect(this.#reader.expected)
  }

  #goOn(answer: Buffer): void {
    if (this.#closed) return
    if (!this.#paused) this.#wire.resume()
    this.#readHead(answer, answer.length, true)
  }

  /** What is wrong with a 101; empty: nothing. It must switch to what was asked for, and nothing else. */
  #wrongSwitch(): string {
    const head = this.#head
    if (!this.#requestDone) return '101 before the request was whole (RFC 9110 section 7.8)'
    if (this.#asked === '') return '101 without an Upgrade in the request (RFC 9110 section 15.2.2)'
    if (head.minorVersion === 0 || !head.mayUpgrade || head.upgrade !== this.#asked)
      return `101 that does not switch to ${this.#asked} (RFC 9110 section 7.8)`
    const isProven =
      this.#asked !== WEBSOCKET || this.#accept === '' || head.get('sec-websocket-accept') === this.#accept
    return isProven ? '' : '101 with another Sec-WebSocket-Accept than its key has (RFC 6455 section 4.1)'
  }

  #openTunnel(): void {
    this.#isTunnel = true
    this.#requestDone = false
    this.#keepAlive = false
    this.#reader.beginUntilClose()
    this.#writer.openTunnel()
  }

  /** Which body follows (RFC 9112 section 6.3). */
  #beginBody(): void {
    const head = this.#head
    const { status } = head
    if (this.#method === 'HEAD' || status === 304) this.#reader.beginLength(0)
    else if (status === 204) {
      // It may have no body; one announced all the same would be taken for the next answer.
      if (head.chunked || head.contentLength > 0) this.#keepAlive = false
      this.#reader.beginLength(0)
    } else if (head.chunked) this.#reader.beginChunked()
    else if (head.contentLength >= 0) this.#reader.beginLength(head.contentLength)
    else {
      this.#keepAlive = false
      this.#reader.beginUntilClose()
    }
  }

  #readBody(chunk: Buffer, from: number, length: number): void {
    const outcome = this.#reader.read(chunk, from, length)
    if (this.#closed) return
    if (outcome === MORE)
      return this.#wire.expect(this.#isTunnel ? nextRead(length, chunk.length) : this.#reader.expected)
    if (outcome !== DONE) return this.#malformed(outcome)
    if (this.#reader.at !== length) this.#keepAlive = false
    this.#received()
  }

  bodyData(chunk: Buffer, end: boolean): void {
    if (this.receiver !== null && !this.receiver.data(chunk, end) && !end) this.pause()
  }

  bodyTrailers(trailers: HeaderList): void {
    this.receiver?.trailers(trailers)
  }

  #received(): void {
    this.#wire.expect(0)
    this.#responseDone = true
    // The other direction goes on.
    if (this.#isTunnel && !this.#requestDone) return
    // An answer before the request was whole: what is still to be sent cannot be, so the connection is of no more use.
    if (!this.#requestDone) this.#keepAlive = false
    this.#finish()
  }

  #finish(): void {
    this.#busy = false
    this.reused = true
    this.receiver = null
    // Both directions have ended: it closes by itself when what it still has to send has left.
    if (this.#isTunnel && this.#wire.unsent > 0) return
    if (this.#keepAlive && !this.#ended) {
      this.resume()
      this.#owner.released(this)
    } else this.destroy()
  }

  #malformed(outcome: Outcome): void {
    this.#protocolError(outcome.detail)
  }

  #protocolError(detail: string): void {
    const failure = this.#headDone ? failures.resetAfterResponse : failures.upstreamProtocolError
    this.#fail(failure, detail)
  }

  #fail(failure: Failure, detail: string): void {
    const { receiver } = this
    this.receiver = null
    this.destroy()
    receiver?.reset(failure, detail)
  }

  drained(): void {
    this.#writer.drained()
    if (this.#busy) this.receiver?.writable()
  }

  ended(): void {
    this.#ended = true
    this.#told.giveUp()
    if (this.#closed) return
    if (!this.#busy) return this.destroy()
    if (this.#headDone && this.#reader.endsAtClose) {
      this.#keepAlive = false
      this.receiver?.data(NO_BYTES, true)
      if (!this.#closed) this.#received()
      return
    }
    this.#lost('the connection was closed')
  }

  closed(error: Error | null): void {
    this.#told.giveUp()
    if (this.#closed) return
    if (this.#busy) this.#lost(error === null ? 'the connection was closed' : error.message)
    else this.destroy()
  }

  #lost(detail: string): void {
    if (this.#headDone) this.#fail(failures.resetAfterResponse, detail)
    // A part of a head is no answer, and no proof that nothing was done.
    else
      this.#fail(
        failures.resetBeforeResponse,
        this.#partial.length === 0 ? detail : `${detail} inside the response head`,
      )
  }

  overflow(detail: string): void {
    if (this.#busy) this.#fail(failures.outOfRoom, detail)
    else this.destroy()
  }

  /** `Keep-Alive: timeout=5`: not a standard, yet what Node, Apache and nginx send. */
  #readIdleHint(): void {
    const head = this.#head
    for (let i = 0; i < head.count; i++) {
      if (head.ids[i] !== KEEP_ALIVE) continue
      const seconds = Number(/timeout=(\d{1,6})/i.exec(head.value(i))?.[1] ?? 0)
      if (seconds !== 0 && seconds !== this.#idleHint) {
        this.#idleHint = seconds
        this.#owner.idleHint(seconds * 1000)
      }
      return
    }
  }
}
