import type { Timer } from '../core/clock.ts'
import type { Turns } from '../core/turn.ts'

const TICK_MS = 10
/** 4,096 slots: one round is 41 s; a longer timer is passed over once a round. */
const SLOTS = 4096
const MASK = SLOTS - 1
/** Later than this: the thread was held up, and what its timers wait for may have come meanwhile. */
const HELD_UP_MS = 50

/** Starts one wake-up of the system; the returned function cancels it. */
export type Wake = (callback: () => void, delayMs: number) => () => void

/**
 * A hashed timer wheel (Varghese and Lauck 1987, scheme 6): arming and cancelling are O(1) and allocate nothing, and
 * all timers share one wake-up of the system.
 */
export function timerWheel(now: () => number, wake: Wake, turns: Turns): (callback: () => void) => Timer {
  const slots: (WheelTimer | null)[] = new Array(SLOTS).fill(null)
  const origin = now()
  /** The next tick to process: all before it are done. */
  let tick = 0
  let armed = 0
  let wakeTick = Number.POSITIVE_INFINITY
  let takeBack: (() => void) | null = null
  /** The thread was held up, and has looked at what came since. */
  let hasLooked = false

  class WheelTimer implements Timer {
    readonly callback: () => void
    dueTick = -1
    previous: WheelTimer | null = null
    next: WheelTimer | null = null

    constructor(callback: () => void) {
      this.callback = callback
    }

    arm(delayMs: number): void {
      if (this.dueTick >= 0) unlink(this)
      const at = now() - origin
      // Nothing is armed, so the wheel may be set to the present without processing the ticks between. Never back: a
      // timer that its own callback arms for at once would fire again in the same turn, for ever.
      if (armed === 0) tick = Math.max(tick, Math.floor(at / TICK_MS))
      const due = Math.max(Math.ceil((at + Math.max(delayMs, 0)) / TICK_MS), tick)
      this.dueTick = due
      const slot = due & MASK
      const head = slots[slot]!
      this.next = head
      if (head !== null) head.previous = this
      slots[slot] = this
      armed++
      if (due < wakeTick) schedule(due, at)
    }

    cancel(): void {
      if (this.dueTick >= 0) unlink(this)
    }
  }

  function unlink(timer: WheelTimer): void {
    if (timer.previous === null) slots[timer.dueTick & MASK] = timer.next
    else timer.previous.next = timer.next
    if (timer.next !== null) timer.next.previous = timer.previous
    timer.previous = null
    timer.next = null
    timer.dueTick = -1
    armed--
  }

  function schedule(due: number, at: number): void {
    takeBack?.()
    wakeTick = due
    takeBack = wake(turn, Math.max(0, Math.ceil(due * TICK_MS - at)))
  }

  function turn(): void {
    takeBack = null
    const at = now() - origin
    // The event loop runs timers before it reads: a connection that was made in time would count as too late.
    if (!hasLooked && at - wakeTick * TICK_MS > HELD_UP_MS) {
      hasLooked = true
      takeBack = wake(turn, 0)
      return
    }
    hasLooked = false
    wakeTick = Number.POSITIVE_INFINITY
    const last = Math.floor(at / TICK_MS)
    turns.enter()
    // After a long stall every slot is processed at most once.
    const from = Math.max(tick, last - SLOTS + 1)
    tick = last + 1
    for (let t = from; t <= last && armed !== 0; t++) fireSlot(t & MASK, last)
    turns.leave()
    if (armed !== 0) scheduleNext()
  }

  /**
   * Firing may arm and cancel others, also in this slot: so the search begins anew after each, bounded by the timers
   * that were due when the turn began.
   */
  function fireSlot(slot: number, last: number): void {
    for (;;) {
      let timer = slots[slot]!
      while (timer !== null && timer.dueTick > last) timer = timer.next!
      if (timer === null) return
      unlink(timer)
      timer.callback()
    }
  }

  function scheduleNext(): void {
    for (let t = tick; t < tick + SLOTS; t++) {
      if (slots[t & MASK] !== null) {
        if (t < wakeTick) schedule(t, now() - origin)
        return
      }
    }
  }

  return callback => new WheelTimer(callback)
}
