interface Event {
  readonly at: number
  readonly order: number
  callback: (() => void) | null
}

/** More steps than this at one moment are an endless loop. */
const MAX_EVENTS_AT_ONCE = 2_000_000

/**
 * The one event loop of a test. Time moves only on request, and events at one moment run in the order in which they
 * were scheduled. So a test of timeouts takes no time and always runs the same way.
 */
export class EventLoop {
  /** Not 0, which the code under test takes for "never". */
  now = 1_000_000
  readonly #heap: Event[] = []
  #order = 0

  /** The returned function cancels it. */
  after(delayMs: number, callback: () => void): () => void {
    const event: Event = { at: this.now + Math.max(0, delayMs), order: this.#order++, callback }
    this.#push(event)
    return () => {
      event.callback = null
    }
  }

  /** Runs what is due now, and what that schedules for now. */
  settle(): void {
    this.advance(0)
  }

  /** Lets time pass, and runs what becomes due. */
  advance(milliseconds: number): void {
    const until = this.now + milliseconds
    let count = 0
    for (let event = this.#heap[0]; event !== undefined && event.at <= until; event = this.#heap[0]) {
      this.#pop()
      if (event.at > this.now) {
        this.now = event.at
        count = 0
      }
      if (++count > MAX_EVENTS_AT_ONCE) throw new Error('the event loop does not come to rest')
      event.callback?.()
    }
    this.now = until
  }

  #push(event: Event): void {
    const heap = this.#heap
    let i = heap.length
    heap.push(event)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!before(event, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
