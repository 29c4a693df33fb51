import type { Filter } from '../core/filter.ts'

/**
 * `x-forwarded-for` gets the address of the caller at its end; `x-forwarded-proto` is set where no proxy before us has said it. Both are what the field agrees on
 * (RFC 7239 knows `Forwarded`, which hardly any application reads).
 */
export const forwarded: Filter = {
  name: 'forwarded',
  onRequest(exchange) {
    const { headers, scheme } = exchange.request
    const before = headers.get('x-forwarded-for')
    headers.set('x-forwarded-for', before === undefined || before === '' ? exchange.peer.address : `${before}, ${exchange.peer.address}`)
    if (headers.get('x-forwarded-proto') === undefined) headers.set('x-forwarded-proto', scheme)
    return undefined
  },
}
