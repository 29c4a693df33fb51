import type { Http2Connection } from './connection.ts'
import { MIN_MAX_FRAME } from './frame.ts'
import type { Http2Stream } from './stream.ts'

/** Of one stream, before the next one in line may send. */
const QUANTUM = MIN_MAX_FRAME

/** The streams of a connection that have something to send and a window to send it in, in the order they will; and how much it is. */
export class SendLine {
  /** Bytes that wait, over all streams. */
  bytes = 0
  readonly #connection: Http2Connection
  #ready: Http2Stream[] = []

  constructor(connection: Http2Connection) {
    this.#connection = connection
  }

  add(stream: Http2Stream): void {
    if (stream.isReady) return
    stream.isReady = true
    this.#ready.push(stream)
  }

  /** More may be sent: those who wait do, in turns. */
  pump(): void {
    const connection = this.#connection
    while (this.#ready.length !== 0 && connection.sendWindow > 0 && !connection.writer.full && connection.isOpen) {
      const ready = this.#ready
      this.#ready = []
      for (const stream of ready) {
        stream.isReady = false
        if (stream.closed || !stream.hasPending) continue
        if (connection.sendWindow > 0 && !connection.writer.full) stream.sendPending(QUANTUM)
        if (!stream.closed && stream.hasPending && stream.sendWindow > 0) this.add(stream)
      }
    }
  }
}
