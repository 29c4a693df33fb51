interface Event {
  readonly at: number
  readonly order: number
  callback: (() => void) | null
}

/** More than this without the time moving on is a loop, not work. */
const MAX_EVENTS_AT_ONCE = 2_000_000

/**
 * The one event loop of a test: time moves only when told to, and what is due at one moment runs in the order it was
 * put off. So a test of timeouts takes no time, and the same test always takes the same course.
 */
export class EventLoop {
  /** Not 0, which the code under test takes for "never". */
  now = 1_000_000
  readonly #heap: Event[] = []
  #order = 0

  /** The returned function takes it back. */
  after(delayMs: number, callback: () => void): () => void {
    const event: Event = { at: this.now + Math.max(0, delayMs), order: this.#order++, callback }
    this.#push(event)
    return () => {
      event.callback = null
    }
  }

  /** Runs what is due now, and what that puts off to now. */
  settle(): void {
    this.advance(0)
  }

  /** Lets time pass, running what falls due on the way. */
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
