import type { Random } from '../core/clock.ts'
import type { Filter } from '../core/filter.ts'

/**
 * Keeps the caller's `x-request-id`, or sets one in the form of a UUID: 74 random bits of this data thread, then a
 * counter. Unique, and not a secret.
 */
export function requestId(random: Random): Filter {
  const hex = (digits: number) =>
    Math.floor(random() * 16 ** digits)
      .toString(16)
      .padStart(digits, '0')
  const prefix = `${hex(8)}-${hex(4)}-4${hex(3)}-${(8 + Math.floor(random() * 4)).toString(16)}${hex(3)}-`
  let count = Math.floor(random() * 2 ** 40)
  return {
    name: 'request-id',
    onRequest(exchange) {
      const { headers } = exchange.request
      const given = headers.get('x-request-id')
      if (given !== undefined && given !== '') exchange.requestId = given
      else {
        exchange.requestId = prefix + (++count).toString(16).padStart(12, '0')
        headers.set('x-request-id', exchange.requestId)
      }
      return undefined
    },
  }
}
