import { Turns, type TurnTask } from './turn.ts'
import type { Wire } from './wire.ts'

/** Something that can be given up to get room: an exchange, or all that a connection still has to send. */
export interface Holding {
  readonly bytes: number
  /** What was held longer without a break has the lower number. */
  readonly since: number
  /** Gives it up. What it held is released inside this call. */
  cut(detail: string): void
}

/**
 * Above half of the limit no writer holds more than this before its source is stopped, and no window of HTTP/2 grows
 * beyond it.
 */
const PRESSED_MARK = 64 * 1024
/** After a cut there is room for a tenth of the limit. */
const ROOM = 0.1
/** Whole powers of two: small differences do not decide. */
const rank = (bytes: number) => 31 - Math.clz32(bytes)

/**
 * What a data thread holds of bodies, over all connections: bytes that a socket has not taken, that came for a stream
 * which was stopped, that wait for a window, that are kept to be sent again. Above half of the limit each may hold
 * less. Above the limit those that hold the most are cut, and of those that hold much alike the ones that have held it
 * longest.
 */
export class Ledger implements TurnTask {
  held = 0
  /** What a writer may hold before its source is stopped, whatever its own bound is. */
  mark = Number.POSITIVE_INFINITY
  readonly #turns: Turns
  readonly #onCut: (count: number, detail: string) => void
  readonly #accounts = new Set<Account>()
  #limit = Number.POSITIVE_INFINITY
  /** Where something changes as `held` grows, and as it falls. */
  #above = Number.POSITIVE_INFINITY
  #below = 0
  #opened = 0
  #isQueued = false

  /** `onCut`: what was given up, at the end of a turn. */
  constructor(turns: Turns, onCut: (count: number, detail: string) => void) {
    this.#turns = turns
    this.#onCut = onCut
  }

  limitTo(bytes: number): void {
    this.#limit = bytes
    this.#relax()
    if (this.held > this.#above) this.#press()
  }

  /** For `since`. */
  next(): number {
    return this.#opened++
  }

  opened(account: Account): void {
    account.since = this.next()
    this.#accounts.add(account)
  }

  closed(account: Account): void {
    this.#accounts.delete(account)
  }

  add(bytes: number): void {
    this.held += bytes
    if (this.held > this.#above) this.#press()
    else if (this.held < this.#below) this.#relax()
  }

  #press(): void {
    this.mark = PRESSED_MARK
    this.#above = this.#limit
    this.#below = this.#limit * 0.4
    if (this.held <= this.#limit || this.#isQueued) return
    // Nothing comes back inside the call that holds something.
    this.#isQueued = true
    this.#turns.atEnd(this)
  }

  #relax(): void {
    this.mark = Number.POSITIVE_INFINITY
    this.#above = this.#limit / 2
    this.#below = 0
  }

  turnEnded(): void {
    this.#isQueued = false
    if (this.held <= this.#limit) return
    const detail = `${this.held} bytes of bodies held by the data thread, of ${this.#limit} (\`buffers\`)`
    const holdings: Holding[] = []
    for (const account of this.#accounts) account.list(holdings)
    holdings.sort((a, b) => rank(b.bytes) - rank(a.bytes) || a.since - b.since)
    const goal = this.#limit * (1 - ROOM)
    let cut = 0
    for (; cut < holdings.length && this.held > goal; cut++) holdings[cut]!.cut(detail)
    if (cut !== 0) this.#onCut(cut, detail)
  }
}

/** What is held for one connection: by its wire, by its codec, and by the exchanges on it. */
export class Account {
  bytes = 0
  since = 0
  readonly #ledger: Ledger
  readonly #wire: Wire | null

  /** `wire`: null where there is none to cut. */
  constructor(ledger: Ledger, wire: Wire | null) {
    this.#ledger = ledger
    this.#wire = wire
  }

  /** `bytes` more, or less where it is negative. */
  add(bytes: number): void {
    if (this.bytes === 0) this.#ledger.opened(this)
    this.bytes += bytes
    if (this.bytes === 0) this.#ledger.closed(this)
    this.#ledger.add(bytes)
  }

  /** What of it can be given up. */
  list(holdings: Holding[]): void {
    const wire = this.#wire
    if (wire === null) return
    const { handler } = wire
    if (handler?.holdings !== undefined) handler.holdings(this, holdings)
    else if (handler?.overflow === undefined)
      holdings.push({ bytes: this.bytes, since: this.since, cut: () => wire.reset() })
    else holdings.push({ bytes: this.bytes, since: this.since, cut: detail => wire.handler?.overflow?.(detail) })
  }
}

/** Of wires that no data thread looks after. */
export const UNLIMITED = new Ledger(new Turns(null), () => {})
