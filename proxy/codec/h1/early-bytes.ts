import type { Wire } from '../../core/wire.ts'
import { NO_BYTES } from '../bytes.ts'
import { Gathered } from './gathered.ts'

/**
 * Bytes of a connection that came before their time: a head that is not whole, or requests behind the one that runs.
 */
export class EarlyBytes {
  readonly #wire: Wire
  readonly #gathered = new Gathered()
  #bytes: Buffer = NO_BYTES

  constructor(wire: Wire) {
    this.#wire = wire
  }

  get length(): number {
    return this.#bytes.length
  }

  /** `own`: no other connection reads into their memory. */
  keep(bytes: Buffer, own: boolean): void {
    if (this.#bytes.length !== 0) this.#bytes = this.#gathered.append(this.#bytes, bytes)
    else this.#bytes = own ? bytes : Buffer.from(bytes)
    this.#wire.account.add(bytes.length)
  }

  /** All of it, which is kept no longer. */
  take(): Buffer {
    const bytes = this.#bytes
    this.#bytes = NO_BYTES
    if (bytes.length !== 0) this.#wire.account.add(-bytes.length)
    return bytes
  }

  /** The same, with what came just now behind it. */
  takeWith(more: Buffer): Buffer {
    this.keep(more, false)
    return this.take()
  }

  /** The memory that is gathered in is let go as well. */
  forget(): void {
    this.#gathered.clear()
  }
}
