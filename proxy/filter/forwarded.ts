import type { Exchange } from '../core/exchange.ts'
import { failures } from '../core/failure.ts'
import type { Filter, Refusal } from '../core/filter.ts'

/** More proxies than any real request passes. */
const MOST_PROXIES = 64
/** The shortest text with this many addresses: nearly all lists are shorter and need no count. */
const SHORTEST = 2 * MOST_PROXIES
const SHOWN = 4

/**
 * Appends the address of the caller to `x-forwarded-for`, and sets `x-forwarded-proto` where no earlier proxy did.
 * Applications read these (hardly any reads `Forwarded` of RFC 7239). As each sidecar appends to the list, its length
 * also shows a loop.
 */
export const forwarded: Filter = {
  name: 'forwarded',
  onRequest(exchange) {
    const { headers, scheme } = exchange.request
    const { tls } = exchange.peer
    const before = headers.get('x-forwarded-for')
    if (before !== undefined && before.length > SHORTEST && before.split(',', MOST_PROXIES + 1).length > MOST_PROXIES)
      return inACircle(exchange, before)
    headers.set(
      'x-forwarded-for',
      before === undefined || before === '' ? exchange.peer.address : `${before}, ${exchange.peer.address}`,
    )
    if (headers.get('x-forwarded-proto') === undefined)
      headers.set('x-forwarded-proto', tls === undefined ? scheme : 'https')
    return undefined
  },
}

function inACircle(exchange: Exchange, before: string): Refusal {
  const last = [...before.slice(-256).split(',').slice(-SHOWN), exchange.peer.address].map(name => name.trim())
  return {
    failure: failures.loop,
    detail: `through more than ${MOST_PROXIES} proxies (x-forwarded-for), the last of them ${last.join(', ')}`,
  }
}
