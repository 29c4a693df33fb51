import { type Failure, failures } from '../../core/failure.ts'
import type { Headers, Receiver, RequestHead, ResponseHead, Stream } from '../../core/message.ts'
import { NO_BYTES } from '../bytes.ts'
import type { ByteQueue } from './byte-queue.ts'
import type { Http2Connection } from './connection.ts'
import { CANCEL, errorName, FLOW_CONTROL_ERROR, MAX_WINDOW, NO_ERROR, PROTOCOL_ERROR } from './frame.ts'
import type { Http2Head } from './head.ts'
import { HeldInput } from './held-input.ts'
import { BY_RESET, BY_RULE } from './side.ts'
import { DROPPED, NO_TUNNEL, OPEN, SHUT } from './tunnel-state.ts'

/**
 * One stream, on either side. The object serves stream after stream of its connection; downstream it keeps its
 * receiver, so that what was made for one request serves the next one, as on HTTP/1.
 */
export class Http2Stream implements Stream<Http2Head, RequestHead | ResponseHead> {
  receiver: Receiver<Http2Head> | null = null
  readonly connection: Http2Connection
  /** The head the peer sends. */
  readonly incoming: Http2Head
  id = 0
  closed = true
  method = ''
  /** When something moved last, for timeouts of the codec. */
  movedAt = 0
  /** Its sender may say nothing for as long as it likes: no time for the body runs. */
  mayBeQuiet = false
  // What comes.
  headReceived = false
  /** END_STREAM has come. */
  remoteEnded = false
  /** Bytes the peer may still send. */
  window = 0
  /** See receive-flow.ts. */
  extra = 0
  /** Content-Length; -1: none. */
  expected = -1
  received = 0
  paused = false
  readonly #held: HeldInput

  // What goes.
  headSent = false
  /** No body goes with this head, whatever its maker writes. */
  bodiless = false
  /** Who writes has written all. */
  sendDone = true
  /** Our END_STREAM is out. */
  localEnded = false
  sendWindow = 0
  /** What waits for a window or for the wire. */
  pending: ByteQueue | null = null
  pendingTrailers: Headers | null = null
  pendingSince = 0
  /** It was told to stop, and waits for `writable`. */
  stalled = false
  /** In the connection's line of streams that may send. */
  isReady = false
  readsAtOpen = 0
  openedAt = 0
  interimBytes = 0
  /** What its request asks for; empty for nearly all. */
  upgrade = ''
  /** Of tunnel-state.ts. */
  tunnel = NO_TUNNEL
  /** Nothing more of what comes is handed on. */
  #deaf = false

  constructor(connection: Http2Connection, incoming: Http2Head) {
    this.connection = connection
    this.incoming = incoming
    this.#held = new HeldInput(connection)
  }

  open(id: number): void {
    const { connection } = this
    this.id = id
    this.closed = false
    this.mayBeQuiet = false
    this.headReceived = false
    this.remoteEnded = false
    this.window = connection.flow.streamWindow
    this.expected = -1
    this.received = 0
    this.paused = false
    this.headSent = false
    this.bodiless = false
    this.sendDone = false
    this.localEnded = false
    this.sendWindow = connection.peer.windowBytes
    this.stalled = false
    this.readsAtOpen = connection.reads
    this.interimBytes = 0
    this.upgrade = ''
    this.tunnel = NO_TUNNEL
    this.#deaf = false
  }

  /** `ended`: the caller has ended its direction with the head. */
  shut(ended: boolean): void {
    this.tunnel = SHUT
    this.#held.end = ended
    this.expected = -1
  }

  openTunnel(): void {
    this.tunnel = OPEN
    this.expected = -1
    if (this.#held.length !== 0 || this.#held.end) this.connection.putOff(this)
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
    if (this.closed || this.sendDone) return
    // What follows a head that asks for a tunnel is no body.
    if (this.connection.side.isClient && (head as RequestHead).upgrade !== '')
      return this.connection.side.writeHead(this, head, end)
    if (end) this.sendDone = true
    this.connection.side.writeHead(this, head, end)
    if (end) this.#sent()
  }

  data(chunk: Buffer, end: boolean): boolean {
    if (this.closed || this.sendDone) return true
    if (end) this.sendDone = true
    const { connection } = this
    if (this.tunnel === DROPPED) {
      if (end) this.#sent()
      return true
    }
    if (this.bodiless) chunk = NO_BYTES
    const { length } = chunk
    if (this.pending === null) {
      const room = Math.min(this.sendWindow, connection.sendWindow)
      if (length === 0 || (length <= room && !connection.writer.full)) {
        this.wrote(length)
        if (length !== 0 || end) connection.out().data(this.id, chunk, 0, length, end)
        if (end) this.#sent()
        this.stalled = connection.writer.full
        return !this.stalled
      }
      const now = connection.writer.full ? 0 : Math.max(0, room)
      if (now !== 0) {
        this.wrote(now)
        connection.out().data(this.id, chunk, 0, now, false)
        chunk = chunk.subarray(now)
      }
    }
    if (length !== 0) connection.line.keep(this, chunk)
    if (end) this.connection.watch(this)
    this.stalled = true
    return false
  }

  trailers(trailers: Headers): void {
    if (this.closed || this.sendDone) return
    this.sendDone = true
    if (this.pending !== null) {
      this.pendingTrailers = trailers
      this.connection.watch(this)
      return
    }
    this.connection.out().trailers(this.id, trailers, this.carried)
    this.#sent()
  }

  get hasPending(): boolean {
    return this.pending !== null
  }

  get pendingBytes(): number {
    return this.pending === null ? 0 : this.pending.length
  }

  /** All that waited has gone. */
  sentPending(): void {
    const { connection } = this
    this.pending = null
    if (!this.sendDone) {
      if (!connection.writer.full) this.tellWritable()
      return
    }
    if (this.pendingTrailers !== null) connection.out().trailers(this.id, this.pendingTrailers, this.carried)
    this.pendingTrailers = null
    this.#sent()
  }

  /** From the event loop only. */
  tellWritable(): void {
    if (!this.stalled || this.sendDone) return
    this.stalled = false
    this.receiver?.writable()
  }

  /** A frame more is out: its receiver may answer with a WINDOW_UPDATE or two. */
  wrote(bytes: number): void {
    const { connection } = this
    this.sendWindow -= bytes
    connection.sendWindow -= bytes
    connection.chatter.give(4)
  }

  #sent(): void {
    this.localEnded = true
    this.connection.side.sent(this)
  }

  reset(failure: Failure, _detail: string): void {
    if (!this.closed) this.connection.side.reset(this, failure)
  }

  /** False: the window is larger than any may be (RFC 9113 section 6.9.1). */
  addSendWindow(bytes: number): boolean {
    this.sendWindow += bytes
    if (this.sendWindow > MAX_WINDOW) return false
    if (this.pending !== null && this.sendWindow > 0) this.connection.line.add(this)
    return true
  }

  // ── what comes ──

  /** A piece of DATA that lies in a read buffer. */
  receive(b: Buffer, from: number, to: number, end: boolean): void {
    const length = to - from
    this.received += length
    if (this.expected >= 0 && (this.received > this.expected || (end && this.received !== this.expected)))
      return this.connection.streamError(
        this,
        PROTOCOL_ERROR,
        'Content-Length is not the length of the body (RFC 9113 section 8.1.1)',
      )
    if (end) this.remoteEnded = true
    // Nothing but padding.
    if (length === 0 && !end) return this.#mustHold ? undefined : this.#credit()
    if (!this.#mustHold) return this.#deliver(b.subarray(from, to), end)
    this.#held.end = end
    this.#held.add(b.subarray(from, to))
  }

  get #mustHold(): boolean {
    return this.paused || this.tunnel === SHUT || this.#held.length !== 0
  }

  #deliver(chunk: Buffer, end: boolean): void {
    const { side } = this.connection
    // An answer that is whole ends the interest in the rest of the request.
    const writable = this.receiver === null || this.#deaf || side.isOver(this) || this.receiver.data(chunk, end)
    if (this.closed) return
    if (end) return side.received(this)
    if (!writable) this.paused = true
    else if (!this.paused) this.#credit()
  }

  /** Lets the peer send more; not what is left of a body that fits already. */
  #credit(): void {
    if (this.remoteEnded || (this.expected >= 0 && this.expected - this.received <= this.window)) return
    this.connection.creditStream(this, this.#held.length)
  }

  /** `trailers` may be empty. */
  receiveTrailers(trailers: Headers): void {
    if (this.expected >= 0 && this.received !== this.expected)
      return this.connection.streamError(
        this,
        PROTOCOL_ERROR,
        'Content-Length is not the length of the body (RFC 9113 section 8.1.1)',
      )
    this.remoteEnded = true
    if (this.#mustHold) this.#held.trailers = trailers
    else this.#deliverTrailers(trailers)
  }

  #deliverTrailers(trailers: Headers): void {
    const { side } = this.connection
    if (!this.#deaf && !side.isOver(this)) this.receiver?.trailers(trailers)
    if (!this.closed) side.received(this)
  }

  pause(): void {
    if (!this.closed) this.paused = true
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    if (this.closed) return
    this.connection.watch(this)
    // Nothing is delivered inside this call.
    if (this.#held.length !== 0 || this.remoteEnded) this.connection.putOff(this)
    else this.#credit()
  }

  /** When the turn ends in which it was resumed. */
  deliverHeld(): void {
    const held = this.#held
    while (!this.closed && !this.paused && this.tunnel !== SHUT && held.length !== 0) {
      const chunk = held.take()
      const end = held.end && held.length === 0
      if (end) held.end = false
      this.#deliver(chunk, end)
    }
    if (this.closed || this.#mustHold) return
    const { trailers } = held
    if (trailers !== null) {
      held.trailers = null
      this.#deliverTrailers(trailers)
    } else if (held.end) {
      held.end = false
      this.#deliver(NO_BYTES, true)
    }
  }

  /** The receiver has the peer's end, or gets it just now. */
  get handedEnd(): boolean {
    return this.remoteEnded && this.#held.length === 0 && !this.holdsEnd
  }

  /** Its end has come and waits for the receiver. */
  get holdsEnd(): boolean {
    return this.#held.hasEnd
  }

  // ── how it ends ──

  /** RST_STREAM came. */
  peerReset(code: number): void {
    // All it has to say is here, and it wants no more of ours (RFC 9113 section 8.1): so node:http2 ends what it has
    // answered.
    if (code === NO_ERROR && this.headReceived && (this.holdsEnd || (this.tunnel === OPEN && this.remoteEnded))) {
      this.connection.line.forget(this)
      if (this.tunnel === NO_TUNNEL) this.sendDone = this.localEnded = true
      else this.tunnel = DROPPED
      return this.tunnel === DROPPED && this.sendDone ? this.#sent() : this.tellWritable()
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
    const isOver = this.#deaf || connection.side.isOver(this)
    this.closed = true
    if (!isOver) receiver?.reset(failure, detail)
    connection.finish(this, byUs)
  }

  /** Lets go of what it holds. */
  clear(): void {
    this.closed = true
    this.sendDone = true
    this.connection.line.forget(this)
    this.#held.clear()
  }

  /** Its bytes that wait on this connection, both ways. */
  get waiting(): number {
    return this.pendingBytes + this.#held.length
  }

  /** Since when, as the ledger counts. */
  get waitingSince(): number {
    return this.#held.length === 0 ? this.pendingSince : this.#held.since
  }

  /**
   * Its bytes are wanted back: it is given up, and its receiver told. A caller that was not answered yet still gets an
   * answer.
   */
  shed(detail: string): void {
    const { connection, receiver } = this
    const { side } = connection
    const isTold = !this.#deaf && !side.isOver(this)
    if (side.isClient) {
      if (connection.isOpen) connection.out().reset(this.id, CANCEL)
      return this.fail(failures.outOfRoom, detail, true)
    }
    this.#deaf = true
    this.paused = false
    if (this.headSent) connection.line.forget(this)
    this.#held.clear()
    if (isTold) receiver?.reset(failures.outOfRoom, detail)
    if (this.closed || (isTold && this.tunnel < OPEN)) return
    connection.out().reset(this.id, CANCEL)
    connection.finish(this, true)
  }
}
