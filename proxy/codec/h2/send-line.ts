import type { Clock } from '../../core/clock.ts'
import type { Wire } from '../../core/wire.ts'
import { ByteQueue } from './byte-queue.ts'
import { DEFAULT_WINDOW, MAX_WINDOW, MIN_MAX_FRAME } from './frame.ts'
import type { FrameWriter } from './frame-writer.ts'
import type { Budget } from './guards.ts'

/** Of one stream, before the next one in line may send. */
const QUANTUM = MIN_MAX_FRAME
/** Places that were served are dropped from the line when they are so many, and more than half of it. */
const DROPPED_AT_ONCE = 64

/** What the line needs of its connection. */
export interface LineHost {
  readonly isOpen: boolean
  readonly wire: Wire
  readonly clock: Clock
  readonly writer: FrameWriter
  /** Each frame sent allows the peer some more of its own. */
  readonly chatter: Budget
  /** The writer, to be flushed when the turn ends. */
  out(): FrameWriter
}

/** A stream, as the line knows it. */
export interface Sender {
  readonly id: number
  readonly closed: boolean
  /** What waits is the end of its message: the last DATA frame ends the stream. */
  readonly endsWithData: boolean
  /** When something of it moved last. */
  movedAt: number
  // The rest is written by the line alone.
  /** Bytes the peer still lets it send. */
  sendWindow: number
  /** What waits for a window or for the wire. */
  pending: ByteQueue | null
  /** It stands in line. */
  isReady: boolean
  /** All that waited has gone. */
  sentPending(): void
}

/** What is sent of an upgraded answer before the caller has said a word of HTTP/2. */
const BEFORE_PREFACE = 16_384

/**
 * What a connection may send, and the streams that have something to send and a window to send it in, in the order they
 * will.
 */
export class SendLine {
  /** Bytes the peer lets us send on the connection. */
  window = DEFAULT_WINDOW
  /** Bytes that wait, over all streams. */
  bytes = 0
  /** Of the window, until the preface is here. */
  #held = 0
  readonly #host: LineHost
  readonly #maxHeldBytes: number
  readonly #ready: Sender[] = []
  /** The first that has not been served. */
  #first = 0

  constructor(host: LineHost, maxHeldBytes: number) {
    this.#host = host
    this.#maxHeldBytes = maxHeldBytes
  }

  /** More waits than may. */
  get isTooLong(): boolean {
    return this.bytes > this.#maxHeldBytes
  }

  /** Behind a 101, until the preface is here: curl 7 drops what is more than 32 KiB in one read with the 101. */
  holdBack(): void {
    this.#held = DEFAULT_WINDOW - BEFORE_PREFACE
    this.window -= this.#held
  }

  /** The preface is here. */
  letGo(): void {
    if (this.#held === 0) return
    this.window += this.#held
    this.#held = 0
    this.pump()
  }

  /** The connection's window grows; false: beyond what any may be (RFC 9113 section 6.9.1). */
  grow(bytes: number): boolean {
    this.window += bytes
    return this.window <= MAX_WINDOW
  }

  /** The same for one stream; its window may also shrink. */
  growStream(stream: Sender, bytes: number): boolean {
    stream.sendWindow += bytes
    if (stream.sendWindow > MAX_WINDOW) return false
    if (stream.pending !== null && stream.sendWindow > 0) this.#add(stream)
    return true
  }

  /** So many bytes of the stream go out, in a frame more: its receiver may answer with a WINDOW_UPDATE or two. */
  spend(stream: Sender, bytes: number): void {
    stream.sendWindow -= bytes
    this.window -= bytes
    this.#host.chatter.give(4)
  }

  #add(stream: Sender): void {
    if (stream.isReady) return
    stream.isReady = true
    this.#ready.push(stream)
  }

  /** Bytes of a stream that cannot go now; copied, because they lie in a buffer that is read into again. */
  keep(stream: Sender, chunk: Buffer): void {
    const { wire } = this.#host
    stream.pending ??= new ByteQueue(wire.ledger.next())
    stream.pending.append(chunk)
    this.bytes += chunk.length
    wire.account.add(chunk.length)
    if (stream.sendWindow > 0) this.#add(stream)
    // The bound is looked at when the turn ends: nothing may come back inside a call on the stream.
    if (this.isTooLong) this.#host.out()
  }

  #gone(bytes: number): void {
    this.bytes -= bytes
    this.#host.wire.account.add(-bytes)
  }

  /** What the stream still had to send is not wanted any more. */
  forget(stream: Sender): void {
    const { pending } = stream
    if (pending === null) return
    stream.pending = null
    if (pending.length !== 0) this.#gone(pending.length)
  }

  /**
   * More may be sent: those that wait do, in turns. Where it ends for want of a window it goes on the next time, so
   * that small windows serve all alike.
   */
  pump(): void {
    const host = this.#host
    const ready = this.#ready
    while (this.#first < ready.length && this.window > 0 && !host.writer.full && host.isOpen) {
      const stream = ready[this.#first++]!
      stream.isReady = false
      if (!stream.closed && stream.pending !== null) {
        this.#send(stream, stream.pending)
        if (!stream.closed && stream.pending !== null && stream.sendWindow > 0) this.#add(stream)
      }
      if (this.#first >= DROPPED_AT_ONCE && this.#first * 2 > ready.length) this.#drop()
    }
    if (this.#first === ready.length) this.#drop()
  }

  /** A quantum of what waits, or what the windows allow. */
  #send(stream: Sender, pending: ByteQueue): void {
    const chunk = pending.first()
    const length = Math.min(chunk.length, QUANTUM, stream.sendWindow, this.window)
    if (length <= 0) return
    const isLast = length === pending.length
    this.spend(stream, length)
    stream.movedAt = this.#host.clock.now()
    pending.drop(length)
    this.#gone(length)
    this.#host.out().data(stream.id, chunk, 0, length, isLast && stream.endsWithData)
    if (!isLast) return
    stream.pending = null
    stream.sentPending()
  }

  #drop(): void {
    this.#ready.splice(0, this.#first)
    this.#first = 0
  }
}
