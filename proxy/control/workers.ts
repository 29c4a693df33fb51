import type { Snapshot } from '../../mesh-config/snapshot.ts'
import { CELL_MEMORY_BYTES } from '../core/cells.ts'
import type { Answer, DrainSide, Question, ToData, VirtualAddressEntry, WorkerData } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { takeEarly } from './early-thread.ts'
import { type DataThread, type Said, startDataThread } from './thread-handle.ts'

/** While another process serves there is time: it gives up on this one when that takes too long. */
const BESIDE_ANOTHER_MS = 60_000
/** A thread that ran this long was no part of a crash loop. */
const SETTLED_MS = 60_000
const FIRST_BACKOFF_MS = 200
const MAX_BACKOFF_MS = 10_000

export interface Reply {
  readonly thread: number
  /** Null: no answer in time. */
  readonly answer: Answer | null
}

export interface ThreadStatus {
  readonly thread: number
  readonly state: 'starting' | 'running' | 'ended'
  readonly forMs: number
  readonly restarts: number
  /** Why the one before it ended; empty: it is the first. */
  readonly lastEnd: string
}

/** The data threads: started together, fed the same snapshots, replaced when they end. */
export interface DataThreads {
  /** Once all answered: the reasons of those that refused, empty when all serve. */
  start(snapshot: Snapshot): Promise<readonly string[]>
  /** All or none: empty when every thread serves it, else the reasons, and every thread is back on what it had. */
  apply(snapshot: Snapshot): Promise<readonly string[]>
  ask(question: Question): Promise<readonly Reply[]>
  /**
   * How many requests were cut. After `all`, ended threads are not replaced any more. `handsOver`: another process
   * listens on the ports from now on.
   */
  drain(side: DrainSide, delayMs: number, timeoutMs: number, handsOver?: boolean): Promise<number>
  /** News for every data thread. */
  tell(message: Extract<ToData, { kind: 'endpoints' | 'origins' | 'span-agent' }>): void
  /** What one of them has said is news for the others. */
  tellOthers(thread: number, message: Extract<ToData, { kind: 'ejections' }>): void
  /** To one of them, about what it said. */
  answer(thread: number, message: Extract<ToData, { kind: 'log-credit' | 'span-credit' | 'unknown-service' }>): void
  /** True: every data thread, those that are starting too, knows these virtual addresses. */
  know(put: readonly VirtualAddressEntry[], drop: readonly string[]): Promise<boolean>
  listeners(): readonly string[]
  utilization(thread: number): number
  heapUsed(thread: number): number
  /** Milliseconds in which the event loops of those that run were busy. */
  busyMs(): number
  status(): readonly ThreadStatus[]
  restarts(): number
  stop(): Promise<void>
}

/**
 * With what changes without a new configuration: the endpoints in the snapshot, and what data threads are told of our
 * own service.
 */
export type FilledSnapshot = Pick<WorkerData, 'snapshot' | 'origins'>

export interface DataThreadsOptions {
  /** Of tests; null: the data thread of this program. */
  readonly entry: URL | null
  readonly count: number
  readonly clock: Clock
  readonly log: Log
  /** With the endpoints known now; what changes afterwards is told (`tell`). */
  readonly fill: (snapshot: Snapshot) => FilledSnapshot
  /** An agent takes spans. */
  readonly spanAgent: () => boolean
  /** All that `know` was told, for a thread that starts. */
  readonly virtualAddresses: () => readonly VirtualAddressEntry[]
  readonly said: (thread: number, message: Said) => void
  /** Before its successor starts. */
  readonly ended: (thread: number) => void
  /** What a process before this one leaves to a data thread: for those that start first. */
  readonly inherited?: (thread: number) => Pick<WorkerData, 'inherited' | 'learnt'>
}

/** Where one data thread after the other runs. */
interface Slot {
  thread: DataThread | null
  changedAt: number
  restarts: number
  lastEnd: string
  /** Ends in a row without a settled run between them. */
  crashes: number
}

export function dataThreads({
  entry,
  count,
  clock,
  log,
  fill,
  spanAgent,
  virtualAddresses,
  said,
  ended,
  inherited,
}: DataThreadsOptions): DataThreads {
  const slots: Slot[] = Array.from({ length: count }, () => ({
    thread: null,
    changedAt: clock.now(),
    restarts: 0,
    lastEnd: '',
    crashes: 0,
  }))
  const cells = count === 1 ? null : { memory: new SharedArrayBuffer(CELL_MEMORY_BYTES), threads: count }
  let current: Snapshot
  /** Messages told so far: a thread that was starting meanwhile has missed some. */
  let told = 0
  let stopping = false
  /** How long inbound may take to drain, where that has begun; null: it has not. */
  let leftWithinMs: number | null = null
  /** The sockets are there once. */
  let hasInherited = false

  function launch(index: number, started: (reasons: readonly string[]) => void): void {
    const slot = slots[index]!
    const snapshot = current
    const toldBefore = told
    slot.changedAt = clock.now()
    const thread = startDataThread({
      entry,
      booted: entry === null && index === 0 ? takeEarly() : null,
      workerData: {
        index,
        shared: count > 1,
        ...(cells === null ? {} : { cells }),
        spanAgent: spanAgent(),
        virtualAddresses: virtualAddresses(),
        ...fill(snapshot),
        ...(hasInherited ? {} : inherited?.(index)),
      },
      startMs: inherited === undefined || hasInherited ? undefined : BESIDE_ANOTHER_MS,
      clock,
      said: message => said(index, message),
      started(reasons) {
        slot.changedAt = clock.now()
        // A reload overtook its start, or news of endpoints.
        if (reasons.length === 0 && (snapshot !== current || told !== toldBefore)) void bringUp(thread).then(started)
        else started(reasons)
      },
      ended: reason => onEnded(index, reason, started),
    })
    slot.thread = thread
  }

  function onEnded(index: number, reason: string, started: (reasons: readonly string[]) => void): void {
    const slot = slots[index]!
    const ranMs = clock.now() - slot.changedAt
    slot.thread = null
    slot.changedAt = clock.now()
    ended(index)
    // Without effect where it had started already.
    started([`data thread ${index} ended: ${reason}`])
    if (stopping) return
    slot.lastEnd = reason
    slot.crashes = ranMs >= SETTLED_MS ? 1 : slot.crashes + 1
    const delayMs = slot.crashes === 1 ? 0 : Math.min(FIRST_BACKOFF_MS * 2 ** (slot.crashes - 2), MAX_BACKOFF_MS)
    log.error(`data thread ${index} ended and is replaced${delayMs === 0 ? '' : ` in ${delayMs} ms`}: ${reason}`, {
      thread: index,
      crashesInARow: slot.crashes,
    })
    clock.timer(() => replace(index)).arm(delayMs)
  }

  function replace(index: number): void {
    if (stopping) return
    const slot = slots[index]!
    slot.restarts++
    launch(index, reasons => {
      if (slot.thread !== null && reasons.length === 0 && leftWithinMs !== null)
        void slot.thread.drain('inbound', 0, leftWithinMs, false)
      if (reasons.length === 0) return log.info(`data thread ${index} serves again`, { thread: index })
      if (slot.thread === null) return
      log.error(`data thread ${index} could not take up its work: ${reasons.join('; ')}`, { thread: index })
      void slot.thread.terminate()
    })
  }

  function bringUp(thread: DataThread): Promise<readonly string[]> {
    const reasons = thread.apply(() => fill(current).snapshot)
    thread.tell({ kind: 'origins', zones: fill(current).origins })
    thread.tell({ kind: 'span-agent', isThere: spanAgent() })
    return reasons
  }

  function live(): DataThread[] {
    return slots.flatMap(({ thread }) => (thread?.running() === true ? [thread] : []))
  }

  async function applyTo(threads: readonly DataThread[], snapshot: Snapshot): Promise<readonly string[]> {
    return (await Promise.all(threads.map(thread => thread.apply(() => fill(snapshot).snapshot)))).flat()
  }

  return {
    async start(snapshot) {
      current = snapshot
      stopping = true // What fails now fails the start, and is not tried again.
      const answers = slots.map((_, index) => new Promise<readonly string[]>(resolve => launch(index, resolve)))
      hasInherited = true
      const reasons = (await Promise.all(answers)).flat()
      if (reasons.length === 0) stopping = false
      return [...new Set(reasons)]
    },
    async apply(snapshot) {
      const [first, ...others] = live()
      const before = current
      if (first === undefined) {
        // No data thread is left to ask; perhaps this ends a crash loop.
        current = snapshot
        return []
      }
      // One goes first: what it refuses reaches no other.
      const refused = await first.apply(() => fill(snapshot).snapshot)
      if (refused.length > 0) return refused
      // A thread that starts from here on starts with the new one.
      current = snapshot
      const reasons = await applyTo(others, snapshot)
      if (reasons.length === 0) return []
      current = before
      const undone = await applyTo(live(), before)
      if (undone.length > 0) log.error(`a data thread could not go back to its snapshot: ${undone.join('; ')}`)
      return [...new Set(reasons)]
    },
    ask: question =>
      Promise.all(live().map(async thread => ({ thread: thread.index, answer: await thread.ask(question) }))),
    async drain(side, delayMs, timeoutMs, handsOver = false) {
      stopping ||= side === 'all'
      if (side === 'inbound') leftWithinMs = timeoutMs
      const cut = await Promise.all(live().map(thread => thread.drain(side, delayMs, timeoutMs, handsOver)))
      return cut.reduce((sum, each) => sum + each, 0)
    },
    tell(message) {
      told++
      for (const thread of live()) thread.tell(message)
    },
    tellOthers(index, message) {
      for (const thread of live()) if (thread.index !== index) thread.tell(message)
    },
    answer: (index, message) => slots[index]?.thread?.tell(message),
    async know(put, drop) {
      const threads = slots.flatMap(({ thread }) => thread ?? [])
      return (await Promise.all(threads.map(thread => thread.know(put, drop)))).every(Boolean)
    },
    listeners: () => live()[0]?.listeners() ?? [],
    utilization: index => slots[index]?.thread?.utilization() ?? 0,
    busyMs: () => live().reduce((sum, thread) => sum + thread.busyMs(), 0),
    heapUsed: index => slots[index]?.thread?.heapUsed() ?? 0,
    status: () =>
      slots.map(({ thread, changedAt, restarts, lastEnd }, index) => ({
        thread: index,
        state: thread === null ? 'ended' : thread.running() ? 'running' : 'starting',
        forMs: clock.now() - changedAt,
        restarts,
        lastEnd,
      })),
    restarts: () => slots.reduce((sum, slot) => sum + slot.restarts, 0),
    async stop() {
      stopping = true
      await Promise.all(slots.map(({ thread }) => thread?.terminate()))
    },
  }
}
