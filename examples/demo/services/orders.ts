// Knows the orders; asks stock whether what was ordered is there, and prices, over gRPC, what it costs.
import { pricesAt } from './prices-client.ts'
import { call, name, serve, sidecar } from './serve.ts'

/** One connection to the sidecar for all calls: it is the sidecar that shares them out, call by call. */
const prices = pricesAt(sidecar, 'prices')

serve(async path => {
  const order = /^\/orders\/(\d+)$/.exec(path)?.[1]
  if (order === undefined) return null
  const [stock, price] = await Promise.all([call('http://stock/items/tea'), prices('Get', { name: 'tea' })])
  return { from: name, order: Number(order), item: 'tea', stock, price }
})
