import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import type { Timer } from '../core/clock.ts'
import type { Codec, UpstreamConnection, UpstreamOwner } from '../core/codec.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { Headers, Receiver, RequestHead, ResponseHead, UpstreamStream } from '../core/message.ts'
import type { Wire } from '../core/wire.ts'
import { type Checker, type CheckerDeps, dialFailed, type Outcome, tooLate } from './checker.ts'

/** What is asked over a stream, and what the answer means. */
export interface Question {
  readonly codec: Pick<Codec, 'connect'>
  readonly head: RequestHead
  /** Null: none. */
  readonly body: Buffer | null
  /** A connection is kept for the next check. */
  readonly reuse: boolean
  /** 0: the timeout alone counts. */
  readonly maxResponseMs: number
  /** What the peer is expected to speak. */
  readonly spoken: string
  /** For what is asked: `GET http://10.0.0.1/healthz`. */
  words(trouble: string): string
  /** Of a new check. */
  begin(): AnswerReader
}

/** Reads one answer. Each part may decide: null while it does not. What ends undecided is asked for by `ended`. */
export interface AnswerReader {
  head(head: ResponseHead): Outcome | null
  data(chunk: Buffer): Outcome | null
  /** Its end; with trailers, where there were any. */
  ended(trailers: Headers | null): Outcome
}

const LIMITS = { bufferBytes: 256 * 1024, maxHeaders: 100, maxHeadBytes: 16 * 1024 }
/** The codec takes it for a cancel, whatever it says. */
const NO_FAILURE = {} as Failure

/** Asks over HTTP, by the codecs of the proxy: a hostile answer is cut where theirs would be. */
export class StreamChecker implements Checker, UpstreamOwner, Receiver<ResponseHead> {
  readonly #address: AddressSpec
  readonly #question: Question
  readonly #deps: CheckerDeps
  readonly #timer: Timer
  #timeoutMs = 0
  #done: ((outcome: Outcome) => void) | null = null
  #cancelDial: (() => void) | null = null
  #connection: UpstreamConnection | null = null
  /** It counts among the connections that are kept. */
  #isKept = false
  #stream: UpstreamStream | null = null
  #reader: AnswerReader | null = null
  #askedAt = 0

  constructor(address: AddressSpec, question: Question, deps: CheckerDeps) {
    this.#address = address
    this.#question = question
    this.#deps = deps
    this.#timer = deps.clock.timer(() => this.#settle(tooLate(this.#timeoutMs), true))
  }

  check(timeoutMs: number, done: (outcome: Outcome) => void): void {
    this.#timeoutMs = timeoutMs
    this.#done = done
    this.#timer.arm(timeoutMs)
    if (this.#connection !== null && this.#connection.capacity > 0) return this.#ask(this.#connection)
    this.#drop()
    this.#dial()
  }

  stop(): void {
    this.#done = null
    this.#timer.cancel()
    this.#cancelDial?.()
    this.#cancelDial = null
    this.#drop()
  }

  #dial(): void {
    const { address, port } = this.#address
    this.#cancelDial = this.#deps.dial(address, port, {
      connected: wire => this.#connected(wire),
      failed: code => {
        this.#cancelDial = null
        this.#settle(dialFailed(code), false)
      },
    })
  }

  #connected(wire: Wire): void {
    this.#cancelDial = null
    this.#connection = this.#question.codec.connect(wire, this, LIMITS)
    this.#ask(this.#connection)
  }

  #ask(connection: UpstreamConnection): void {
    const { head, body } = this.#question
    this.#reader = this.#question.begin()
    this.#askedAt = this.#deps.clock.now()
    const stream = connection.open()
    this.#stream = stream
    stream.receiver = this
    stream.head(head, body === null)
    if (body !== null) stream.data(body, true)
  }

  // ── the answer ──

  head(head: ResponseHead, end: boolean): void {
    if (head.status < 200) return
    const outcome = this.#reader?.head(head) ?? null
    if (end) this.#settle(outcome ?? this.#reader!.ended(null), false)
    else if (outcome !== null) this.#settle(outcome, true)
  }

  data(chunk: Buffer, end: boolean): boolean {
    const outcome = this.#reader?.data(chunk) ?? null
    if (end) this.#settle(outcome ?? this.#reader!.ended(null), false)
    else if (outcome !== null) this.#settle(outcome, true)
    return true
  }

  trailers(trailers: Headers): void {
    this.#settle(this.#reader!.ended(trailers), false)
  }

  reset(failure: Failure, detail: string): void {
    const isStale = this.#stream?.reused === true && this.#done !== null
    this.#stream = null
    // Its peer closed a connection that was idle: that says nothing.
    if (isStale) {
      this.#drop()
      return this.#dial()
    }
    this.#settle({ kind: 'failed', trouble: this.#troubleOf(failure, detail) }, false)
  }

  writable(): void {}

  #troubleOf(failure: Failure, detail: string): string {
    if (failure === failures.upstreamProtocolError)
      return detail.startsWith('too many ')
        ? `its answer is too long: ${detail}`
        : `the answer is not ${this.#question.spoken}: ${detail}`
    if (failure === failures.resetBeforeResponse) return 'it closed the connection without an answer'
    return detail === '' ? failure.reason : `${failure.reason} (${detail})`
  }

  /** `isCut`: the stream is not over. */
  #settle(outcome: Outcome, isCut: boolean): void {
    this.#timer.cancel()
    this.#cancelDial?.()
    this.#cancelDial = null
    const stream = this.#stream
    this.#stream = null
    this.#reader = null
    if (isCut) {
      stream?.reset(NO_FAILURE, '')
      this.#drop()
    }
    const done = this.#done
    this.#done = null
    done?.(this.#worded(this.#timely(outcome)))
  }

  #timely(outcome: Outcome): Outcome {
    const { maxResponseMs } = this.#question
    const tookMs = Math.round(this.#deps.clock.now() - this.#askedAt)
    if (outcome.kind !== 'healthy' || maxResponseMs === 0 || tookMs <= maxResponseMs) return outcome
    return { kind: 'failed', trouble: `the answer took ${tookMs} ms, and at most ${maxResponseMs} ms are good` }
  }

  #worded(outcome: Outcome): Outcome {
    return outcome.trouble === '' ? outcome : { ...outcome, trouble: this.#question.words(outcome.trouble) }
  }

  // ── the connection ──

  released(connection: UpstreamConnection): void {
    if (connection !== this.#connection || this.#isKept || connection.active > 0) return
    if (this.#question.reuse && this.#deps.kept.take()) this.#isKept = true
    else this.#drop()
  }

  closed(connection: UpstreamConnection): void {
    if (connection !== this.#connection) return
    this.#connection = null
    this.#letGo()
  }

  idleHint(): void {}

  #drop(): void {
    const connection = this.#connection
    this.#connection = null
    this.#letGo()
    connection?.destroy()
  }

  #letGo(): void {
    if (this.#isKept) this.#deps.kept.give()
    this.#isKept = false
  }
}
