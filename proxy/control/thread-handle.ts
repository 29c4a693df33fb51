import type { Worker } from 'node:worker_threads'
import type { Snapshot } from '../../mesh-config/snapshot.ts'
import type {
  Answer,
  DrainSide,
  Question,
  ToControl,
  ToData,
  VirtualAddressEntry,
  WorkerData,
} from '../core/channel.ts'
import type { Clock, Timer } from '../core/clock.ts'
import { bootDataThread } from './early-thread.ts'
import { sentSnapshot } from './sent-snapshot.ts'

/**
 * How long a data thread may take to answer a question of the admin port, and to build and open what a snapshot says.
 */
export const ANSWER_MS = 2_000
export const APPLY_MS = 10_000

/** What a data thread says of its own accord. */
export type Said = Exclude<ToControl, { readonly kind: 'ack' | 'nack' | 'answer' | 'drained' | 'addresses-known' }>

/** One data thread from start to end; its successor is another object. */
export interface DataThread {
  readonly index: number
  readonly startedAt: number
  /** Set by the first `ack`. */
  running(): boolean
  /** Addresses it listens on, as its last `ack` had them. */
  listeners(): readonly string[]
  /**
   * Reasons why not; empty: applied. One after the other; `snapshot` is asked for when it is sent, so it has the
   * endpoints of that moment.
   */
  apply(snapshot: () => Snapshot): Promise<readonly string[]>
  /** Null: no answer in time, or the thread has ended. */
  ask(question: Question): Promise<Answer | null>
  /** How many requests were cut. */
  drain(side: DrainSide, delayMs: number, timeoutMs: number, handsOver: boolean): Promise<number>
  tell(message: Exclude<ToData, { readonly kind: 'snapshot' | 'ask' | 'drain' | 'virtual-addresses' }>): void
  /** False: it has not said in time that it knows them. One that has ended needs to know nothing. */
  know(put: readonly VirtualAddressEntry[], drop: readonly string[]): Promise<boolean>
  /** Share of the time since the last call in which its event loop was busy. */
  utilization(): number
  /** Milliseconds in which its event loop was busy, since its start. */
  busyMs(): number
  /** Bytes of JavaScript heap in use, as of the call before: the thread is asked now, and answers later. */
  heapUsed(): number
  terminate(): Promise<unknown>
}

export interface DataThreadOptions {
  /** Null: the data thread of this program. */
  readonly entry: URL | null
  /** One that has booted, or is about to, and waits for its work; null: another one is made. */
  readonly booted: Worker | null
  readonly workerData: WorkerData
  /** How long its start may take. */
  readonly startMs?: number | undefined
  readonly clock: Clock
  readonly said: (message: Said) => void
  /** The answer to the snapshot it was started with: empty, or why it could not. Not called when it ends before. */
  readonly started: (reasons: readonly string[]) => void
  /** Exactly once. */
  readonly ended: (reason: string) => void
}

interface Waiting<Result> {
  readonly resolve: (result: Result) => void
  readonly timer: Timer
}

export function startDataThread(options: DataThreadOptions): DataThread {
  const { entry, booted, workerData, startMs = APPLY_MS, clock, said, started, ended } = options
  const { index } = workerData
  const { version } = workerData.snapshot
  /** An explanation may wait for a look-up, as the request would. */
  let lookUpMs = workerData.snapshot.onDemandMs
  const worker = booted ?? bootDataThread(index, workerData, entry ?? undefined)
  booted?.postMessage(workerData)
  const startedAt = clock.now()
  const sent = sentSnapshot()
  /** The snapshot that is being applied, and those behind it; null: none. */
  let last: Promise<readonly string[]> | null = null
  const questions = new Map<number, Waiting<Answer | null>>()
  const addresses = new Map<number, Waiting<boolean>>()
  let nextQuestion = 0
  let applying: (Waiting<readonly string[]> & { readonly version: string }) | null = null
  const draining = new Map<DrainSide, Waiting<number>>()
  let running = false
  let over = false
  let listeners: readonly string[] = []
  let failure = ''
  let heapUsed = 0
  let lastUtilization = worker.performance.eventLoopUtilization()
  const tooLate = clock.timer(() => started([`data thread ${index} was not ready within ${startMs / 1000} s`]))
  tooLate.arm(startMs)

  worker.on('message', (message: ToControl) => {
    if (message.kind === 'ack' || message.kind === 'nack') answered(message)
    else if (message.kind === 'answer')
      settle(questions.get(message.id), message.answer, () => questions.delete(message.id))
    else if (message.kind === 'addresses-known')
      settle(addresses.get(message.id), true, () => addresses.delete(message.id))
    else if (message.kind === 'drained')
      settle(draining.get(message.side), message.cut, () => draining.delete(message.side))
    else said(message)
  })
  worker.on('messageerror', error => (failure = `a message could not be read: ${error.message}`))
  worker.on('error', (error: unknown) => (failure = describe(error)))
  worker.on('exit', code => {
    over = true
    running = false
    tooLate.cancel()
    for (const waiting of questions.values()) settle(waiting, null)
    for (const waiting of addresses.values()) settle(waiting, true)
    settle(applying, [`data thread ${index} ended while it applied the snapshot`])
    for (const waiting of draining.values()) settle(waiting, 0)
    ended(failure || `it exited with code ${code}`)
  })

  function answered(message: Extract<ToControl, { kind: 'ack' | 'nack' }>): void {
    const reasons = message.kind === 'ack' ? [] : message.reasons
    if (message.kind === 'ack') listeners = message.listeners
    if (applying !== null && applying.version === message.version)
      return settle(applying, reasons, () => (applying = null))
    if (running || message.version !== version) return
    tooLate.cancel()
    running = message.kind === 'ack'
    if (running) sent.taken(workerData.snapshot)
    started(reasons)
  }

  function send(message: ToData): void {
    worker.postMessage(message)
  }

  function expect<Result>(
    timeoutMs: number,
    late: Result,
    keep: (waiting: Waiting<Result>) => void,
    forget: () => void,
  ): Promise<Result> {
    return new Promise(resolve => {
      const timer = clock.timer(() => {
        forget()
        resolve(late)
      })
      timer.arm(timeoutMs)
      keep({ resolve, timer })
    })
  }

  async function apply(snapshot: Snapshot): Promise<readonly string[]> {
    if (over) return [`data thread ${index} has ended`]
    const late = [`data thread ${index} did not answer within ${APPLY_MS / 1000} s`]
    const reasons = expect<readonly string[]>(
      APPLY_MS,
      late,
      waiting => (applying = { ...waiting, version: snapshot.version }),
      () => {
        applying = null
        sent.forget()
      },
    )
    lookUpMs = snapshot.onDemandMs
    send(sent.message(snapshot))
    const refused = await reasons
    if (refused.length === 0) sent.taken(snapshot)
    return refused
  }

  return {
    index,
    startedAt,
    running: () => running,
    listeners: () => listeners,
    apply(snapshot) {
      const reasons = last === null ? apply(snapshot()) : last.then(() => apply(snapshot()))
      last = reasons
      void reasons.then(() => {
        if (last === reasons) last = null
      })
      return reasons
    },
    ask(question) {
      if (over) return Promise.resolve(null)
      const id = nextQuestion++
      const answer = expect<Answer | null>(
        ANSWER_MS + (question.what === 'explain' ? lookUpMs : 0),
        null,
        waiting => questions.set(id, waiting),
        () => questions.delete(id),
      )
      send({ kind: 'ask', id, question })
      return answer
    },
    drain(side, delayMs, timeoutMs, handsOver) {
      if (over) return Promise.resolve(0)
      const cut = expect(
        delayMs + timeoutMs + 1_000,
        0,
        waiting => draining.set(side, waiting),
        () => draining.delete(side),
      )
      send({ kind: 'drain', side, delayMs, timeoutMs, handsOver })
      return cut
    },
    tell(message) {
      if (message.kind === 'endpoints') sent.told(message.service)
      send(message)
    },
    know(put, drop) {
      if (over) return Promise.resolve(true)
      const id = ++nextQuestion
      const known = expect<boolean>(
        ANSWER_MS,
        false,
        waiting => addresses.set(id, waiting),
        () => addresses.delete(id),
      )
      send({ kind: 'virtual-addresses', id, put, drop })
      return known
    },
    utilization() {
      const now = worker.performance.eventLoopUtilization()
      const { utilization } = worker.performance.eventLoopUtilization(now, lastUtilization)
      lastUtilization = now
      return Number.isFinite(utilization) ? utilization : 0
    },
    busyMs: () => worker.performance.eventLoopUtilization().active,
    heapUsed() {
      if (!over)
        worker.getHeapStatistics().then(
          ({ used_heap_size }) => (heapUsed = used_heap_size),
          () => {}, // It ended meanwhile.
        )
      return heapUsed
    },
    terminate: () => worker.terminate(),
  }
}

function settle<Result>(waiting: Waiting<Result> | null | undefined, result: Result, forget?: () => void): void {
  if (waiting === null || waiting === undefined) return
  waiting.timer.cancel()
  forget?.()
  waiting.resolve(result)
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const frames = (error.stack ?? '').split('\n').filter(line => line.trimStart().startsWith('at '))
  return [`${error.name}: ${error.message}`, ...frames.slice(0, 4).map(frame => frame.trim())].join(' ')
}
