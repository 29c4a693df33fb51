// What a visitor of the shop asks for: an order and what paying it costs, both from services that are called by name.
import { call, name, serve } from './serve.ts'

serve(async (path, from) => {
  if (path !== '/') return null
  const [order, payment] = await Promise.all([call('http://orders/orders/42', from), call('http://payments/quote', from)])
  return { from: name, order, payment }
})
