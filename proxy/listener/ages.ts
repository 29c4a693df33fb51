import type { Clock, Random, Timer } from '../core/clock.ts'
import type { DownstreamConnection } from '../core/codec.ts'

/**
 * The jitter, as a share of the age: connections that came together do not close together (gRPC has the same tenth).
 */
const JITTER = 0.1
/** How often in that time old connections are looked for: no connection has a timer of its own. */
const LOOKS = 50
const SHORTEST_LOOK_MS = 100

/** The connections of a listener, and when each is too old. */
export class Ages {
  /** When it is too old; `Infinity`: never, or it is told already. */
  readonly #due = new Map<DownstreamConnection, number>()
  readonly #clock: Clock
  readonly #random: Random
  readonly #timer: Timer
  #lookMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
    this.#timer = clock.timer(() => this.#look())
  }

  get size(): number {
    return this.#due.size
  }

  all(): DownstreamConnection[] {
    return [...this.#due.keys()]
  }

  /** `ageMs` 0: connections have no age limit. */
  add(connection: DownstreamConnection, ageMs: number): void {
    if (ageMs === 0) {
      this.#due.set(connection, Number.POSITIVE_INFINITY)
      return
    }
    this.#due.set(connection, this.#clock.now() + ageMs * (1 - JITTER + 2 * JITTER * this.#random()))
    const lookMs = Math.max(SHORTEST_LOOK_MS, ageMs / LOOKS)
    if (lookMs >= this.#lookMs) return
    this.#lookMs = lookMs
    this.#timer.arm(lookMs)
  }

  /** The connection is the same, as another object. */
  replace(connection: DownstreamConnection, by: DownstreamConnection): void {
    const due = this.#due.get(connection) ?? Number.POSITIVE_INFINITY
    this.#due.delete(connection)
    this.#due.set(by, due)
  }

  delete(connection: DownstreamConnection): boolean {
    return this.#due.delete(connection)
  }

  #look(): void {
    const now = this.#clock.now()
    let mayAge = false
    for (const [connection, due] of [...this.#due]) {
      if (due <= now) {
        this.#due.set(connection, Number.POSITIVE_INFINITY)
        connection.retire(0)
      } else if (due !== Number.POSITIVE_INFINITY) mayAge = true
    }
    if (mayAge) this.#timer.arm(this.#lookMs)
    else this.#lookMs = Number.POSITIVE_INFINITY
  }
}
