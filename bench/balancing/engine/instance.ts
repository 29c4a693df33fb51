import type { Random } from '../../../proxy/core/clock.ts'
import { HeaderList } from '../../../proxy/core/header-list.ts'
import type { ResponseHead } from '../../../proxy/core/message.ts'
import { exponential } from './chance.ts'
import type { EventQueue } from './event-queue.ts'
import type { Request } from './request.ts'

/** The properties of an instance. */
export interface InstanceSpec {
  /** Requests it handles at once; others wait in one queue. */
  readonly workers: number
  /** The factor on the duration of a request. */
  readonly slowness: number
  /** It answers every request with 503 after this time; null: it works. */
  readonly failsAfterMs: number | null
  /** Pauses of all its work (garbage collection): the mean time between them, and their length. */
  readonly stops: { readonly everyMs: number; readonly lengthMs: number } | null
  /** While its caches fill it is slower: by the factor at first, then less and less. */
  readonly cold: { readonly factor: number; readonly lengthMs: number } | null
  /** It is slower by the factor for a while; the times count from when it began. */
  readonly spell: { readonly fromMs: number; readonly lengthMs: number; readonly factor: number } | null
  /** Configured, in the registry. */
  readonly weight: number
  /** Answers carry a load report (ORCA). */
  readonly reports: boolean
  /** The observed instance: which share of the requests goes there? (With pauses: during a pause.) */
  readonly isBad: boolean
}

/** With a longer queue it answers 503 at once. */
const QUEUE_LENGTH = 100
const REFUSAL_MS = 1
const REPORT_MS = 1000

const OK: ResponseHead = { status: 200, headers: new HeaderList() }
const UNAVAILABLE: ResponseHead = { status: 503, headers: new HeaderList() }

/** A queueing server: workers, one bounded first-come-first-served queue, and the configured trouble. */
export class Instance {
  readonly name: string
  readonly spec: InstanceSpec
  /** Requests sent to it while it was observed. */
  requests = 0
  readonly #queue: EventQueue
  readonly #bornAt: number
  #busy = 0
  readonly #waiting: Request[] = []
  /** Index of the first in `#waiting`. */
  #head = 0
  /** All stops so far, and when the last one ends. */
  #stoppedMs = 0
  #stoppedUntil = 0
  readonly #report: LoadReport | null

  constructor(name: string, spec: InstanceSpec, queue: EventQueue, random: Random) {
    this.name = name
    this.spec = spec
    this.#queue = queue
    this.#bornAt = queue.now
    this.#report = spec.reports ? new LoadReport(queue, spec.workers) : null
    if (spec.stops !== null) this.#planStop(spec.stops, random)
  }

  /** Whether a request sent now counts as sent to the observed instance. */
  get isBad(): boolean {
    return this.spec.isBad || this.#queue.now < this.#stoppedUntil
  }

  take(request: Request): void {
    const { failsAfterMs, workers } = this.spec
    if (failsAfterMs !== null) this.#refuse(request, failsAfterMs)
    else if (this.#busy < workers) this.#begin(request)
    else if (this.#waiting.length - this.#head < QUEUE_LENGTH) this.#waiting.push(request)
    else this.#refuse(request, REFUSAL_MS)
  }

  /** The moment planned for a request has come. */
  isDone(request: Request): void {
    if (request.head === UNAVAILABLE) return request.answer(UNAVAILABLE)
    const late = this.#stoppedMs - request.stoppedMs
    if (late > 0) {
      // Work has paused since this was planned.
      request.stoppedMs = this.#stoppedMs
      return this.#queue.plan(this.#queue.now + late, request)
    }
    this.#busy--
    this.#report?.count(this.#busy)
    const next = this.#next()
    if (next !== null) this.#begin(next)
    request.answer(this.#report?.head ?? OK)
  }

  #begin(request: Request): void {
    this.#busy++
    this.#report?.note(this.#busy)
    const { now } = this.#queue
    request.stoppedMs = this.#stoppedMs
    this.#queue.plan(Math.max(now, this.#stoppedUntil) + request.workMs * this.#slowness(now), request)
  }

  #refuse(request: Request, afterMs: number): void {
    request.head = UNAVAILABLE
    this.#queue.plan(this.#queue.now + afterMs, request)
  }

  #next(): Request | null {
    if (this.#head === this.#waiting.length) return null
    const request = this.#waiting[this.#head++]!
    if (this.#head === this.#waiting.length) {
      this.#waiting.length = 0
      this.#head = 0
    }
    return request
  }

  #slowness(now: number): number {
    const { slowness, cold, spell } = this.spec
    const age = now - this.#bornAt
    if (spell !== null && age >= spell.fromMs && age < spell.fromMs + spell.lengthMs) return slowness * spell.factor
    if (cold === null) return slowness
    return slowness * (1 + (cold.factor - 1) * Math.max(0, 1 - age / cold.lengthMs))
  }

  #planStop(stops: NonNullable<InstanceSpec['stops']>, random: Random): void {
    const stop = {
      happen: () => {
        this.#stoppedMs += stops.lengthMs
        this.#stoppedUntil = this.#queue.now + stops.lengthMs
        this.#queue.plan(this.#stoppedUntil + exponential(random, stops.everyMs), stop)
      },
    }
    this.#queue.plan(this.#queue.now + exponential(random, stops.everyMs), stop)
  }
}

/** The report of an instance, once a second: requests a second, and the utilisation of its workers. */
class LoadReport {
  head: ResponseHead = OK
  readonly #queue: EventQueue
  #busy = 0
  #since: number
  #usedMs = 0
  #done = 0

  constructor(queue: EventQueue, workers: number) {
    this.#queue = queue
    this.#since = queue.now
    const report = {
      happen: () => {
        this.note(this.#busy)
        const [rps, utilization] = [(this.#done * 1000) / REPORT_MS, this.#usedMs / (REPORT_MS * workers)]
        this.head = {
          status: 200,
          headers: new HeaderList([
            'endpoint-load-metrics',
            `TEXT rps_fractional=${rps}, application_utilization=${utilization}`,
          ]),
        }
        this.#usedMs = 0
        this.#done = 0
        queue.plan(queue.now + REPORT_MS, report)
      },
    }
    queue.plan(queue.now + REPORT_MS, report)
  }

  /** Sets the number of busy workers from now on. */
  note(busy: number): void {
    this.#usedMs += this.#busy * (this.#queue.now - this.#since)
    this.#since = this.#queue.now
    this.#busy = busy
  }

  /** The same, and one request is done. */
  count(busy: number): void {
    this.note(busy)
    this.#done++
  }
}
