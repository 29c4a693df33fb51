import type { RateLimitKeySpec } from '../../mesh-config/snapshot.ts'
import type { Exchange } from '../core/exchange.ts'
import { hashPrefix } from './address-prefix.ts'
import { KeyHash } from './key-hash.ts'

/** Of a value, so much counts. */
const LONGEST_VALUE = 256
const value = new Uint8Array(LONGEST_VALUE)

/** Several fields of a name. */
const SEVERAL = 1
const ABSENT = 2

/** Which bucket a request takes its token from: `high` and `low`, after `read`. */
export class RateLimitKey extends KeyHash {
  readonly #parts: readonly RateLimitKeySpec[]

  constructor(parts: readonly RateLimitKeySpec[]) {
    super()
    this.#parts = parts
  }

  read(exchange: Exchange, key0: number, key1: number): void {
    const parts = this.#parts
    this.begin()
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]!
      if (part.kind === 'header') this.#header(exchange, part.name)
      else if (part.kind === 'identity') this.text(exchange.request.source ?? '')
      else hashPrefix(this, exchange.peer.address, part.ipv4Bits, part.ipv6Bits)
    }
    this.end(key0, key1)
  }

  /** Callers without it share a bucket: to leave it out is no way around a limit. */
  #header({ request }: Exchange, name: string): void {
    if (name === 'host') return this.text(request.authority)
    const length = request.headers.copyValue(name, value)
    if (length >= 0) return this.bytes(value, Math.min(length, LONGEST_VALUE))
    const joined = request.headers.get(name)
    this.word(joined === undefined ? ABSENT : SEVERAL)
    if (joined !== undefined) this.text(joined.slice(0, LONGEST_VALUE))
  }
}
