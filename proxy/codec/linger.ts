import type { Wire } from '../core/wire.ts'

export const LINGER_MS = 1000

/**
 * After our last word: how long to wait until a slow reader has taken what it has not, so that the close does not
 * destroy it (RFC 9112 section 9.6 says why).
 */
export class Linger {
  until = 0
  readonly #wire: Wire
  #patienceMs = 0
  #stalledMs = 0
  #unsent = 0

  constructor(wire: Wire) {
    this.#wire = wire
  }

  /** `patienceMs`: given up when nothing has moved for so long. */
  begin(now: number, patienceMs: number): void {
    this.#patienceMs = patienceMs
    this.#unsent = this.#wire.unsent
    this.until = now + LINGER_MS
  }

  /** True: close now. */
  isOver(now: number): boolean {
    if (now < this.until) return false
    const { unsent } = this.#wire
    this.#stalledMs = unsent === this.#unsent ? this.#stalledMs + LINGER_MS : 0
    this.#unsent = unsent
    this.until = now + LINGER_MS
    return unsent === 0 || this.#stalledMs >= this.#patienceMs
  }
}
