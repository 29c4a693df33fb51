import type { Random } from '../core/clock.ts'
import type { Filter } from '../core/filter.ts'

/**
 * Keeps the caller's `x-request-id`, or sets one in the form of a UUID: 74 random bits of this data thread, then a
 * counter. Unique, and not a secret.
 */
export function requestId(random: Random): Filter & Required<Pick<Filter, 'onRequest'>> {
  const hex = (digits: number) =>
    Math.floor(random() * 16 ** digits)
      .toString(16)
      .padStart(digits, '0')
  const prefix = `${hex(8)}-${hex(4)}-4${hex(3)}-${(8 + Math.floor(random() * 4)).toString(16)}${hex(3)}-`
  const count = Math.floor(random() * 2 ** 40)
    .toString(16)
    .padStart(COUNTED, '0')
  const id = Buffer.from(prefix + count, 'latin1')
  return {
    name: 'request-id',
    onRequest(exchange) {
      const { headers } = exchange.request
      const given = headers.get('x-request-id')
      if (given !== undefined && given !== '') exchange.requestId = given
      else {
        countUp(id)
        exchange.requestId = id.latin1Slice(0, id.length)
        headers.set('x-request-id', exchange.requestId)
      }
      return undefined
    },
  }
}

const [ZERO, NINE, A, F] = [0x30, 0x39, 0x61, 0x66] as const

/** Digits of the counter. */
const COUNTED = 12

/** In place: to make a text of a number costs more than all else here. */
function countUp(digits: Buffer): void {
  for (let i = digits.length - 1; i >= digits.length - COUNTED; i--) {
    const digit = digits[i]!
    if (digit === F) digits[i] = ZERO
    else {
      digits[i] = digit === NINE ? A : digit + 1
      return
    }
  }
}
