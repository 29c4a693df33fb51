import type { Clock, Timer } from '../../core/clock.ts'
import { type Failure, failures } from '../../core/failure.ts'
import type { Account, Holding } from '../../core/ledger.ts'
import type { RoundTask, TurnTask } from '../../core/turn.ts'
import { nextRead, type Wire, type WireHandler } from '../../core/wire.ts'
import { LINGER_MS, Linger } from '../linger.ts'
import { BY_LOSS, BY_RULE, BY_US, type Cause } from './cause.ts'
import { ControlFrames } from './control-frames.ts'
import { DataFrames } from './data-frames.ts'
import { ENHANCE_YOUR_CALM, NO_ERROR, PROTOCOL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED } from './frame.ts'
import { FrameReader, type FrameSink } from './frame-reader.ts'
import { FrameWriter } from './frame-writer.ts'
import { Budget, ClosedStreams } from './guards.ts'
import { listHoldings, shed, shedLongest } from './holdings.ts'
import { Decoder } from './hpack/decoder.ts'
import { KeepAlive } from './keep-alive.ts'
import type { Guard, Http2Options, Rate } from './options.ts'
import { DRAIN_PING, pingBytes, WINDOW_PING } from './pings.ts'
import { PREFACE } from './preface.ts'
import { ReceiveFlow } from './receive-flow.ts'
import { SendLine } from './send-line.ts'
import { PeerSettings } from './settings.ts'
import type { Side } from './side.ts'
import type { Http2Stream } from './stream.ts'

const OPEN = 0
/** We have said all; what still comes is read and dropped, so that the close does not destroy what we said last. */
const CLOSING = 1
const CLOSED = 2

/**
 * What both ends of a connection share: frames in and out, windows, guards, the streams and their end. What differs is
 * the `Side`. Each field is written here alone; its parts keep their own.
 */
export class Http2Connection implements WireHandler, FrameSink, TurnTask, RoundTask {
  readonly wire: Wire
  readonly options: Http2Options
  readonly clock: Clock
  readonly side: Side
  readonly writer: FrameWriter
  readonly decoder: Decoder
  readonly peer = new PeerSettings()
  readonly flow: ReceiveFlow
  readonly streams = new Map<number, Http2Stream>()
  readonly closedStreams = new ClosedStreams()
  readonly chatter: Budget
  readonly line: SendLine
  standsForMany = false
  reads = 0
  served = false
  /** Streams ran when it ended. */
  wasBusy = false
  #resets: Budget
  readonly #control: ControlFrames
  readonly #data: DataFrames
  /** Null: not configured. */
  #keepAlive: KeepAlive | null = null
  readonly #reader: FrameReader
  readonly #linger: Linger
  readonly #timer: Timer
  #state = OPEN
  #queued = false
  /** What was written leaves when the round ends. */
  #leaves = false
  /** How much of the preface has come; all of it where none is expected. */
  #preface: number
  #resumed: Http2Stream[] = []
  #replies = 0
  #wakeAt = Number.POSITIVE_INFINITY

  constructor(
    wire: Wire,
    side: Side,
    options: Http2Options,
    clock: Clock,
    maxBlockBytes: number,
    maxFrameBytes: number,
    expectsPreface: boolean,
  ) {
    this.wire = wire
    this.side = side
    this.options = options
    this.clock = clock
    this.writer = new FrameWriter(wire, options.headerTableBytes, side.isClient)
    this.decoder = new Decoder(options.headerTableBytes)
    this.flow = new ReceiveFlow(options, wire.bufferBytes)
    this.#resets = new Budget(options.resets, clock)
    this.chatter = new Budget(options.chatter, clock)
    this.line = new SendLine(this, options.maxHeldBytes)
    this.#control = new ControlFrames(this, maxBlockBytes, clock.now() + options.settingsTimeoutMs)
    this.#data = new DataFrames(this)
    this.#reader = new FrameReader(this, maxFrameBytes)
    this.#linger = new Linger(wire)
    this.#timer = clock.timer(() => this.#woken())
    this.#preface = expectsPreface ? 0 : PREFACE.length
    wire.handler = this
  }

  /** Our first frames: the preface where we are the client, SETTINGS, and the window of the connection. */
  begin(first: Buffer): void {
    this.out().raw(first)
    this.creditConnection()
    const now = this.clock.now()
    this.wake(now + this.options.settingsTimeoutMs)
    if (this.options.keepAliveIntervalMs > 0) this.#keepAlive = new KeepAlive(this, now)
  }

  /** Its streams are those of many callers. `resets`: how many of them may be given up; null: as of one caller. */
  standForMany(resets: Rate | null): void {
    this.standsForMany = true
    if (resets !== null) this.#resets = new Budget(resets, this.clock)
  }

  get isOpen(): boolean {
    return this.#state === OPEN
  }

  /** A head began that is not whole. */
  get isInBlock(): boolean {
    return this.#control.isInBlock
  }

  get hasPreface(): boolean {
    return this.#preface === PREFACE.length
  }

  out(): FrameWriter {
    if (!this.#queued) {
      this.#queued = true
      this.wire.turns.atEnd(this)
    }
    return this.writer
  }

  turnEnded(): void {
    this.#queued = false
    while (this.#resumed.length !== 0) {
      const resumed = this.#resumed
      this.#resumed = []
      for (const stream of resumed) stream.input.deliverHeld()
    }
    this.side.turnEnded()
    if (this.line.isTooLong) shedLongest(this)
    if (this.writer.isEmpty || this.#leaves) return
    // Others may have something to add before the round ends; a stream that is alone need not wait for that.
    if (this.streams.size < 2) return this.roundEnded()
    this.#leaves = true
    this.wire.turns.atRoundEnd(this)
  }

  roundEnded(): void {
    this.#leaves = false
    if (this.#state === OPEN) this.writer.flush()
    else this.writer.drop()
  }

  // ── what comes ──

  bytes(chunk: Buffer, length: number): void {
    if (this.#state !== OPEN) return
    this.reads++
    this.wire.expect(nextRead(length, chunk.length))
    let from = 0
    while (this.#preface < PREFACE.length) {
      if (from === length) return
      if (chunk[from++] !== PREFACE[this.#preface++])
        return this.connectionError(PROTOCOL_ERROR, 'no connection preface (RFC 9113 section 3.4)', null)
      if (this.hasPreface) this.line.letGo()
    }
    this.#reader.read(chunk, from, length)
  }

  frame(type: number, flags: number, id: number, b: Buffer, from: number, to: number): void {
    this.#control.frame(type, flags, id, b, from, to)
  }

  dataBegun(flags: number, id: number, length: number): void {
    this.#data.begun(flags, id, length, this.#control.mayHaveData())
  }

  dataPiece(b: Buffer, from: number, to: number, last: boolean): void {
    this.#data.piece(b, from, to, last)
  }

  brokenFrame(code: number, detail: string): void {
    this.connectionError(code, detail, null)
  }

  /** Late, wrong, or of a stream that never was. */
  closedStreamFrame(id: number, what: string): void {
    if (this.side.isIdle(id))
      return this.connectionError(PROTOCOL_ERROR, `${what} on a stream that is idle (RFC 9113 section 5.1)`, null)
    // A frame of a stream that we reset, now or long ago, was on its way; one behind the peer's own end is an error.
    if (this.closedStreams.find(id) !== 'ended' || !this.mayReset()) return
    this.reply().reset(id, STREAM_CLOSED)
  }

  mayChat(): boolean {
    if (this.chatter.take()) return true
    this.connectionError(ENHANCE_YOUR_CALM, 'too many frames that carry nothing', 'chatter')
    return false
  }

  mayReset(): boolean {
    if (this.#resets.take()) return true
    this.connectionError(ENHANCE_YOUR_CALM, 'too many streams were reset', 'resets')
    return false
  }

  /** A peer that takes nothing of what we answer cannot make us keep any number of answers. */
  reply(): FrameWriter {
    if (!this.writer.full) this.#replies = 0
    else if (++this.#replies > this.options.maxReplies)
      this.connectionError(ENHANCE_YOUR_CALM, 'too many answers wait to be read', 'replies')
    return this.out()
  }

  // ── windows ──

  creditConnection(): void {
    const due = this.#state === OPEN ? this.flow.credit() : 0
    if (due !== 0) this.out().windowUpdate(0, due)
  }

  creditStream({ id, input }: Http2Stream): void {
    const due = this.#state === OPEN ? this.flow.creditStream(input, input.length, this.wire.ledger.mark) : 0
    if (due === 0) return
    this.out().windowUpdate(id, due)
    if (!this.flow.maySample) return
    this.flow.beginSample()
    this.ping(WINDOW_PING)
  }

  watch(stream: Http2Stream): void {
    stream.movedAt = this.clock.now()
    this.wake(stream.movedAt + LINGER_MS)
  }

  drained(): void {
    this.writer.drained()
    this.#replies = 0
    this.line.pump()
    for (const stream of this.streams.values()) {
      if (this.writer.full) return
      if (stream.stalled && stream.pending === null) stream.tellWritable()
    }
  }

  // ── streams ──

  putOff(stream: Http2Stream): void {
    this.#resumed.push(stream)
    this.out()
  }

  /** The peer broke a rule of one stream; the others go on. */
  streamError(stream: Http2Stream, code: number, detail: string): void {
    // An endpoint breaks no more streams than we have opened.
    if (!this.side.isClient && !this.mayReset()) return
    this.reply().reset(stream.id, code)
    stream.broken(detail)
  }

  /** The object may serve another one. */
  finish(stream: Http2Stream, byUs: boolean): void {
    if (this.streams.get(stream.id) !== stream) return
    this.streams.delete(stream.id)
    this.closedStreams.add(stream.id, byUs)
    if (stream.isWhole) this.#resets.give(1)
    this.served = true
    stream.clear()
    this.flow.ended(stream.input)
    this.side.finished(stream)
  }

  holdings(account: Account, list: Holding[]): void {
    listHoldings(this, account, list)
  }

  shed(detail: string): void {
    for (const stream of [...this.streams.values()]) shed(stream, detail)
    this.destroy(BY_US, detail)
  }

  // ── the end ──

  /** GOAWAY with an error; nothing that comes after is read (RFC 9113 section 5.4.1). */
  connectionError(code: number, detail: string, guard: Guard | null, failure: Failure = failures.badRequest): void {
    if (this.#state !== OPEN) return
    if (guard !== null) this.tripped(guard, detail)
    this.side.refused(failure, detail)
    this.out().goaway(this.side.lastId, code, detail)
    this.#failStreams(BY_RULE, code, detail)
    this.finishWriting(LINGER_MS)
  }

  /** The peer went beyond a limit that none goes beyond in good faith. */
  tripped(guard: Guard, detail: string): void {
    this.options.onGuard(guard, detail, this.wire.peer)
  }

  #failStreams(cause: Cause, code: number, detail: string): void {
    this.#state = CLOSING
    this.#reader.stop()
    this.wasBusy = this.streams.size !== 0
    for (const stream of [...this.streams.values()]) {
      // All of its message came before the end did: it is still handed on.
      if (stream.input.holdsEnd && this.side.isClient) continue
      stream.fail(this.side.failure(stream, cause, code), detail, false)
    }
  }

  /** All is said: closes when it has left, or when nothing of it has moved for so long. */
  finishWriting(patienceMs: number): void {
    if (this.#state === CLOSED) return
    this.#state = CLOSING
    this.#reader.stop()
    this.writer.flush()
    // An endpoint does not wait to read our last frames, and its pool wants the permit.
    if (this.side.isClient) return this.#close(false)
    this.wire.end()
    this.#linger.begin(this.clock.now(), patienceMs)
    this.wake(this.#linger.until)
  }

  ended(): void {
    // HTTP/2 has no half-closed connections: a peer that closes its side has gone.
    if (this.#state === OPEN) this.lost('the connection was closed')
    else if (this.#state === CLOSING && this.wire.unsent === 0) this.#close(false)
  }

  closed(error: Error | null): void {
    if (this.#state !== CLOSED) this.lost(error === null ? 'the connection was closed' : error.message)
  }

  lost(detail: string): void {
    const { farewell } = this.side
    if (this.#state === OPEN)
      this.#failStreams(BY_LOSS, NO_ERROR, farewell === '' ? detail : `${detail} after ${farewell}`)
    this.#close(this.wire.unsent > 0)
  }

  /** At once; the caller of this has told the streams. */
  #close(cut: boolean): void {
    if (this.#state === CLOSED) return
    this.#state = CLOSED
    this.#timer.cancel()
    this.#reader.stop()
    if (cut) this.wire.reset()
    else this.wire.destroy()
    this.side.closed()
  }

  /** Ends all that runs. */
  destroy(cause: Cause, detail: string): void {
    if (this.#state === CLOSED) return
    if (this.#state === OPEN) {
      this.out().goaway(this.side.lastId, NO_ERROR, detail)
      this.writer.flush()
      this.#failStreams(cause, NO_ERROR, detail)
    }
    this.#close(this.wire.unsent > 0)
  }

  // ── time ──

  /** The timer fires at `at` at the latest. It is never put back: what it was armed for is looked at again. */
  wake(at: number): void {
    if (at >= this.#wakeAt || this.#state === CLOSED) return
    this.#wakeAt = at
    this.#timer.arm(at - this.clock.now())
  }

  #woken(): void {
    this.#wakeAt = Number.POSITIVE_INFINITY
    const now = this.clock.now()
    if (this.#state === CLOSING)
      return this.#linger.isOver(now) ? this.#close(this.wire.unsent > 0) : this.wake(this.#linger.until)
    if (this.#control.isSettingsLate(now))
      return this.connectionError(SETTINGS_TIMEOUT, 'SETTINGS were not acknowledged', 'settings')
    this.#keepAlive?.sweep(now)
    if (this.#state === OPEN) this.side.sweep(now)
  }

  /** `kind`: of pings.ts. */
  ping(kind: number): void {
    this.out().ping(pingBytes[kind]!, 0, false)
  }

  pingAnswered(kind: number): void {
    if (kind === WINDOW_PING && this.flow.isSampling) this.flow.endSample()
    else if (kind === DRAIN_PING) this.side.drainAnswered()
  }
}
