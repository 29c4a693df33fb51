import { ByteQueue } from './byte-queue.ts'
import type { Http2Connection } from './connection.ts'
import { MIN_MAX_FRAME } from './frame.ts'
import type { Http2Stream } from './stream.ts'

/** Of one stream, before the next one in line may send. */
const QUANTUM = MIN_MAX_FRAME
/** Places that were served are dropped from the line when they are so many, and more than half of it. */
const DROPPED_AT_ONCE = 64

/**
 * The streams of a connection that have something to send and a window to send it in, in the order they will; and how
 * much it is.
 */
export class SendLine {
  /** Bytes that wait, over all streams. */
  bytes = 0
  readonly #connection: Http2Connection
  readonly #ready: Http2Stream[] = []
  /** The first that has not been served. */
  #first = 0

  constructor(connection: Http2Connection) {
    this.#connection = connection
  }

  add(stream: Http2Stream): void {
    if (stream.isReady) return
    stream.isReady = true
    this.#ready.push(stream)
  }

  /** Bytes of a stream that cannot go now; copied, because they lie in a buffer that is read into again. */
  keep(stream: Http2Stream, chunk: Buffer): void {
    const connection = this.#connection
    if (stream.pending === null) {
      stream.pending = new ByteQueue()
      stream.pendingSince = connection.wire.ledger.next()
    }
    stream.pending.append(chunk)
    this.bytes += chunk.length
    connection.wire.account.add(chunk.length)
    if (stream.sendWindow > 0) this.add(stream)
    // The bound is looked at when the turn ends: nothing may come back inside a call on the stream.
    if (this.bytes > connection.options.maxHeldBytes) connection.out()
  }

  #gone(bytes: number): void {
    this.bytes -= bytes
    this.#connection.wire.account.add(-bytes)
  }

  /** What the stream still had to send is not wanted any more. */
  forget(stream: Http2Stream): void {
    const { pendingBytes } = stream
    stream.pending = null
    stream.pendingTrailers = null
    if (pendingBytes !== 0) this.#gone(pendingBytes)
  }

  /**
   * More may be sent: those that wait do, in turns. Where it ends for want of a window it goes on the next time, so
   * that small windows serve all alike.
   */
  pump(): void {
    const connection = this.#connection
    const ready = this.#ready
    while (this.#first < ready.length && connection.sendWindow > 0 && !connection.writer.full && connection.isOpen) {
      const stream = ready[this.#first++]!
      stream.isReady = false
      if (!stream.closed && stream.hasPending) {
        this.#send(stream)
        if (!stream.closed && stream.hasPending && stream.sendWindow > 0) this.add(stream)
      }
      if (this.#first >= DROPPED_AT_ONCE && this.#first * 2 > ready.length) this.#drop()
    }
    if (this.#first === ready.length) this.#drop()
  }

  /** A quantum of what waits, or what the windows allow. */
  #send(stream: Http2Stream): void {
    const connection = this.#connection
    const pending = stream.pending!
    const chunk = pending.first()
    const length = Math.min(chunk.length, QUANTUM, stream.sendWindow, connection.sendWindow)
    if (length <= 0) return
    const isLast = length === pending.length
    stream.wrote(length)
    stream.movedAt = connection.clock.now()
    pending.drop(length)
    this.#gone(length)
    connection.out().data(stream.id, chunk, 0, length, isLast && stream.sendDone && stream.pendingTrailers === null)
    if (isLast) stream.sentPending()
  }

  /** More waits than may: the streams with the most pay for it, and the others go on. */
  cut(): void {
    const { streams, options } = this.#connection
    while (this.bytes > options.maxHeldBytes) {
      let most: Http2Stream | null = null
      for (const stream of streams.values())
        if (stream.pendingBytes > (most === null ? 0 : most.pendingBytes)) most = stream
      if (most === null) return
      const detail = `${most.pendingBytes} bytes wait for its window, and more than ${options.maxHeldBytes} for those of the connection`
      this.#connection.tripped('held-bytes', detail)
      most.shed(detail)
    }
  }

  #drop(): void {
    this.#ready.splice(0, this.#first)
    this.#first = 0
  }
}
