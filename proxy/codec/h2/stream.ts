import type { Failure } from '../../core/failure.ts'
import type { Headers, Receiver, RequestHead, ResponseHead, Stream } from '../../core/message.ts'
import { NO_BYTES } from '../bytes.ts'
import type { ByteQueue } from './byte-queue.ts'
import { BY_RESET, BY_RULE, type Cause } from './cause.ts'
import { errorName, FLOW_CONTROL_ERROR, NO_ERROR } from './frame.ts'
import type { FrameWriter } from './frame-writer.ts'
import type { Http2Head } from './head.ts'
import { Input, type InputHost, type InputOwner } from './input.ts'
import type { ReceiveFlow } from './receive-flow.ts'
import type { Sender, SendLine } from './send-line.ts'
import {
  afterFrame,
  afterStep,
  ENDED,
  GONE,
  HEAD_DUE,
  IGNORED,
  mayWrite,
  OVER,
  REFUSE_REST,
  REFUSE_TUNNEL,
  SEND_END,
  SENT,
  UNBEGUN,
  UNWANTED,
  WRITE_END,
  WRITING,
  WRITTEN,
} from './stream-state.ts'
import { NO_TUNNEL, OPEN, SHUT } from './tunnel-state.ts'

/** What a stream needs of the side its connection is on. */
export interface StreamSide {
  readonly isClient: boolean
  /** Writes the head, or has it wait, and tells the stream which (`step`). */
  writeHead(stream: Http2Stream, head: RequestHead | ResponseHead, end: boolean): void
  /** Our END_STREAM is out. */
  sent(stream: Http2Stream): void
  /** The end of the peer's message was handed on. */
  received(stream: Http2Stream): void
  /** Its receiver wants to hear nothing more. */
  isOver(stream: Http2Stream): boolean
  /** The user of the stream gives it up. */
  reset(stream: Http2Stream, failure: Failure): void
  /** What to tell the receiver; `code` of RST_STREAM or GOAWAY. */
  failure(stream: Http2Stream, cause: Cause, code: number): Failure
}

/** What a stream needs of its connection. */
export interface StreamHost extends InputHost {
  readonly side: StreamSide
  readonly flow: ReceiveFlow
  readonly line: SendLine
  readonly writer: FrameWriter
  readonly isOpen: boolean
  /** How often something was read. */
  readonly reads: number
  /** A stream was served before. */
  readonly served: boolean
  /** What the peer's streams may be sent to begin with. */
  readonly peer: { readonly windowBytes: number }
  readonly options: { readonly carriesHttp1: boolean }
  /** The writer, to be flushed when the turn ends. */
  out(): FrameWriter
  /** `deliverHeld` when the turn ends. */
  putOff(stream: Http2Stream): void
  /** Something of the stream was taken: more may come. */
  creditStream(stream: Http2Stream): void
  /** Something of the stream is late from now on. */
  watch(stream: Http2Stream): void
  streamError(stream: Http2Stream, code: number, detail: string): void
  /** It is over. `byUs`: by a RST_STREAM of ours. */
  finish(stream: Http2Stream, byUs: boolean): void
}

/**
 * One stream, on either side. The object serves stream after stream of its connection; downstream it keeps its
 * receiver, so that what was made for one request serves the next one, as on HTTP/1.
 */
export class Http2Stream implements Stream<Http2Head, RequestHead | ResponseHead>, InputOwner, Sender {
  receiver: Receiver<Http2Head> | null = null
  readonly connection: StreamHost
  /** The head the peer sends. */
  readonly incoming: Http2Head
  id = 0
  method = ''
  /** When something moved last, for timeouts of the codec. */
  movedAt = 0
  /** Its sender may say nothing for as long as it likes: no time for the body runs. */
  mayBeQuiet = false
  /** What comes. */
  readonly input: Input

  // What goes.
  /** Of stream-state.ts. */
  goes = GONE
  sendWindow = 0
  pending: ByteQueue | null = null
  isReady = false
  #pendingTrailers: Headers | null = null
  /** It was told to stop, and waits for `writable`. */
  stalled = false
  readsAtOpen = 0
  openedAt = 0
  interimBytes = 0
  /** What its request asks for; empty for nearly all. */
  upgrade = ''
  /** Of tunnel-state.ts. */
  tunnel = NO_TUNNEL
  /** Nothing more of what comes is handed on. */
  #deaf = false

  constructor(connection: StreamHost, incoming: Http2Head) {
    this.connection = connection
    this.incoming = incoming
    this.input = new Input(this)
  }

  open(id: number): void {
    const { connection } = this
    this.id = id
    this.mayBeQuiet = false
    this.input.open(connection.flow.streamWindow)
    this.goes = UNBEGUN
    this.sendWindow = connection.peer.windowBytes
    this.stalled = false
    this.readsAtOpen = connection.reads
    this.interimBytes = 0
    this.upgrade = ''
    this.tunnel = NO_TUNNEL
    this.#deaf = false
  }

  // ── its state ──

  get closed(): boolean {
    return this.goes === GONE
  }

  get headReceived(): boolean {
    return this.input.state !== HEAD_DUE
  }

  /** END_STREAM has come. */
  get remoteEnded(): boolean {
    return this.input.state === ENDED
  }

  get headSent(): boolean {
    return this.goes >= WRITING
  }

  /** Its writer has written all. */
  get sendDone(): boolean {
    return this.goes >= WRITTEN
  }

  /** Our END_STREAM is out. */
  get localEnded(): boolean {
    return this.goes >= SENT
  }

  /** Both messages are whole. */
  get isWhole(): boolean {
    return this.input.state === ENDED && this.goes === SENT
  }

  /** The rule of stream-state.ts that a HEADERS or DATA frame breaks now; 0: none. */
  ruleBrokenBy(frame: number): number {
    const after = afterFrame(this.input.state, frame)
    return after > OVER ? after : 0
  }

  /** False: it comes too early or too late, and nothing is done. */
  step(step: number): boolean {
    const after = afterStep(this.goes, step)
    if (after === IGNORED) return false
    this.goes = after
    return true
  }

  /** `ended`: the caller has ended its direction with the head. */
  shut(ended: boolean): void {
    this.tunnel = SHUT
    this.input.shut(ended)
  }

  openTunnel(): void {
    this.tunnel = OPEN
    this.input.expected = -1
    if (this.input.length !== 0 || this.input.holdsEnd) this.connection.putOff(this)
  }

  /** Its connection served a stream before, and nothing has come since this one was opened. */
  get reused(): boolean {
    return this.connection.served && this.connection.reads === this.readsAtOpen
  }

  get carried(): boolean {
    return this.connection.side.isClient ? this.connection.options.carriesHttp1 : this.incoming.names !== null
  }

  // ── what goes ──

  head(head: RequestHead | ResponseHead, end: boolean): void {
    if (this.sendDone) return
    this.connection.side.writeHead(this, head, end)
    // What follows a head that asks for a tunnel is no body; and one that waits is not out.
    if (!end || !this.headSent || (this.connection.side.isClient && this.upgrade !== '')) return
    this.step(WRITE_END)
    this.#sent()
  }

  data(chunk: Buffer, end: boolean): boolean {
    const { goes, connection } = this
    if (!mayWrite(goes)) return true
    if (end) this.step(WRITE_END)
    if (goes === UNWANTED) {
      if (end) this.#sent()
      return true
    }
    if (goes !== WRITING) chunk = NO_BYTES
    const { length } = chunk
    if (this.pending === null) {
      const room = Math.min(this.sendWindow, connection.line.window)
      if (length === 0 || (length <= room && !connection.writer.full)) {
        connection.line.spend(this, length)
        if (length !== 0 || end) connection.out().data(this.id, chunk, 0, length, end)
        if (end) this.#sent()
        this.stalled = connection.writer.full
        return !this.stalled
      }
      const now = connection.writer.full ? 0 : Math.max(0, room)
      if (now !== 0) {
        connection.line.spend(this, now)
        connection.out().data(this.id, chunk, 0, now, false)
        chunk = chunk.subarray(now)
      }
    }
    if (length !== 0) connection.line.keep(this, chunk)
    if (end) connection.watch(this)
    this.stalled = true
    return false
  }

  trailers(trailers: Headers): void {
    if (!mayWrite(this.goes)) return
    this.step(WRITE_END)
    if (this.pending !== null) {
      this.#pendingTrailers = trailers
      this.connection.watch(this)
      return
    }
    this.connection.out().trailers(this.id, trailers, this.carried)
    this.#sent()
  }

  get endsWithData(): boolean {
    return this.goes === WRITTEN && this.#pendingTrailers === null
  }

  get pendingBytes(): number {
    return this.pending === null ? 0 : this.pending.length
  }

  sentPending(): void {
    const { connection } = this
    if (!this.sendDone) {
      if (!connection.writer.full) this.tellWritable()
      return
    }
    if (this.#pendingTrailers !== null) connection.out().trailers(this.id, this.#pendingTrailers, this.carried)
    this.#pendingTrailers = null
    this.#sent()
  }

  /** From the event loop only. */
  tellWritable(): void {
    if (!this.stalled || this.sendDone) return
    this.stalled = false
    this.receiver?.writable()
  }

  #sent(): void {
    this.step(SEND_END)
    this.connection.side.sent(this)
  }

  /** What still waits is not wanted any more. */
  #forget(): void {
    this.#pendingTrailers = null
    this.connection.line.forget(this)
  }

  reset(failure: Failure, _detail: string): void {
    if (!this.closed) this.connection.side.reset(this, failure)
  }

  // ── what comes ──

  pause(): void {
    if (!this.closed) this.input.paused = true
  }

  resume(): void {
    this.input.resume()
  }

  get isHeard(): boolean {
    return !this.#deaf && !this.connection.side.isOver(this)
  }

  taken(): void {
    this.connection.creditStream(this)
  }

  putOff(): void {
    this.connection.putOff(this)
  }

  watch(): void {
    this.connection.watch(this)
  }

  wrong(code: number, detail: string): void {
    this.connection.streamError(this, code, detail)
  }

  handedOn(): void {
    this.connection.side.received(this)
  }

  // ── how it ends ──

  /** RST_STREAM came. */
  peerReset(code: number): void {
    // All it has to say is here, and it wants no more of ours (RFC 9113 section 8.1): so node:http2 ends what it has
    // answered.
    const isAllHere =
      this.remoteEnded && (this.tunnel === OPEN || (this.connection.side.isClient && this.input.holdsEnd))
    if (code === NO_ERROR && isAllHere && this.goes !== UNWANTED) {
      this.#forget()
      if (this.tunnel === NO_TUNNEL) this.step(REFUSE_REST)
      else if (this.step(REFUSE_TUNNEL) && this.goes === UNWANTED) this.tellWritable()
      else this.connection.side.sent(this)
      return
    }
    this.fail(this.connection.side.failure(this, BY_RESET, code), `RST_STREAM ${errorName(code)}`, false)
  }

  /** The peer broke a rule of this stream. */
  broken(detail: string): void {
    this.fail(this.connection.side.failure(this, BY_RULE, FLOW_CONTROL_ERROR), detail, true)
  }

  /** The peer's message did not come in time; an answer may still say so. */
  timedOut(failure: Failure, detail: string): void {
    this.#deaf = true
    this.movedAt = Number.POSITIVE_INFINITY
    this.receiver?.reset(failure, detail)
  }

  /** Over, and its receiver is told, unless it has said and heard all. `byUs`: our RST_STREAM tells the peer. */
  fail(failure: Failure, detail: string, byUs: boolean): void {
    const { receiver, connection } = this
    const { isHeard } = this
    this.input.state = OVER
    this.goes = GONE
    if (isHeard) receiver?.reset(failure, detail)
    connection.finish(this, byUs)
  }

  /** Lets go of what it holds. */
  clear(): void {
    this.input.state = OVER
    this.goes = GONE
    this.#forget()
    this.input.clear()
  }

  /** Its bytes that wait on this connection, both ways. */
  get waiting(): number {
    return this.pendingBytes + this.input.length
  }

  /** Since when, as the ledger counts. */
  get waitingSince(): number {
    return this.input.length === 0 ? (this.pending?.since ?? 0) : this.input.since
  }

  /** Nothing more of what comes is handed on, and what is held goes; so does an answer that has begun and waits. */
  silence(): void {
    this.#deaf = true
    this.input.paused = false
    this.input.clear()
    if (this.headSent) this.#forget()
  }
}
