import type { Clock, Timer } from '../../../proxy/core/clock.ts'

/** An event at a moment: a request that ends, a timer. */
export interface Due {
  happen(): void
}

/**
 * Virtual time: it jumps from event to event. Events at the same moment run in the order in which they were planned, so
 * a seed always gives the same run. An event allocates nothing: a fleet has millions of them.
 */
export class EventQueue {
  /** Milliseconds. Not 0 at first, which the proxy takes for "never". */
  now = 1_000_000
  #times = new Float64Array(1024)
  /** Number of planning, to keep the order of equals. */
  #orders = new Float64Array(1024)
  readonly #whats: Due[] = []
  #planned = 0

  plan(at: number, what: Due): void {
    const n = this.#whats.length
    if (n === this.#times.length) this.#grow()
    this.#whats.push(what)
    this.#rise(n, Math.max(at, this.now), this.#planned++, what)
  }

  /** Runs all events up to that moment, and those they cause. */
  runUntil(end: number): void {
    while (this.#whats.length !== 0 && this.#times[0]! <= end) {
      this.now = this.#times[0]!
      this.#take().happen()
    }
    this.now = end
  }

  #take(): Due {
    const whats = this.#whats
    const first = whats[0]!
    const last = whats.pop()!
    const n = whats.length
    if (n !== 0) this.#sink(n, this.#times[n]!, this.#orders[n]!, last)
    return first
  }

  #rise(from: number, at: number, order: number, what: Due): void {
    const times = this.#times
    let i = from
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (times[parent]! <= at) break
      this.#move(parent, i)
      i = parent
    }
    this.#put(i, at, order, what)
  }

  #sink(n: number, at: number, order: number, what: Due): void {
    let i = 0
    for (let child = 1; child < n; child = 2 * i + 1) {
      if (child + 1 < n && this.#isBefore(child + 1, this.#times[child]!, this.#orders[child]!)) child++
      if (!this.#isBefore(child, at, order)) break
      this.#move(child, i)
      i = child
    }
    this.#put(i, at, order, what)
  }

  #isBefore(i: number, at: number, order: number): boolean {
    const time = this.#times[i]!
    return time < at || (time === at && this.#orders[i]! < order)
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#times[from]!, this.#orders[from]!, this.#whats[from]!)
  }

  #put(i: number, at: number, order: number, what: Due): void {
    this.#times[i] = at
    this.#orders[i] = order
    this.#whats[i] = what
  }

  #grow(): void {
    const times = new Float64Array(2 * this.#times.length)
    const orders = new Float64Array(2 * this.#orders.length)
    times.set(this.#times)
    orders.set(this.#orders)
    this.#times = times
    this.#orders = orders
  }
}

const EPOCH = Date.UTC(2026, 0, 1)

/** The proxy's clock over virtual time. */
export function clockOf(queue: EventQueue): Clock {
  return {
    now: () => queue.now,
    wallTime: () => EPOCH + queue.now,
    timer: callback => new QueueTimer(queue, callback),
  }
}

class QueueTimer implements Timer, Due {
  readonly #queue: EventQueue
  readonly #callback: () => void
  /** An event planned for another moment is outdated. */
  #dueAt = -1

  constructor(queue: EventQueue, callback: () => void) {
    this.#queue = queue
    this.#callback = callback
  }

  arm(delayMs: number): void {
    this.#dueAt = this.#queue.now + Math.max(0, delayMs)
    this.#queue.plan(this.#dueAt, this)
  }

  cancel(): void {
    this.#dueAt = -1
  }

  happen(): void {
    if (this.#queue.now !== this.#dueAt) return
    this.#dueAt = -1
    this.#callback()
  }
}
