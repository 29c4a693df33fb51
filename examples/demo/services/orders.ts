// Knows the orders, and asks stock whether what was ordered is there.
import { call, name, serve } from './serve.ts'

serve(async (path, from) => {
  const order = /^\/orders\/(\d+)$/.exec(path)?.[1]
  if (order === undefined) return null
  return { from: name, order: Number(order), item: 'tea', stock: await call('http://stock/items/tea', from) }
})
