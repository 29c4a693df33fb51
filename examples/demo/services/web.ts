// What a visitor of the shop asks for: an order and what paying it costs, both from services that are called by name.
// And the shop's page, which hears of orders by a WebSocket.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type WebSocket, WebSocketServer } from 'ws'
import { call, name, serve } from './serve.ts'

const EVERY_MS = 250

const server = serve(async path => {
  if (path === '/shop') return page
  return path === '/' ? await order() : null
})

async function order(): Promise<object> {
  const [order, payment] = await Promise.all([call('http://orders/orders/42'), call('http://payments/quote')])
  return { from: name, order, payment }
}

const page = readFileSync(resolve(import.meta.dirname, 'shop.html'))

/** Whoever looks at the page orders something, four times a second, and is told who all did their part. */
const visitors = new Set<WebSocket>()
new WebSocketServer({ server, path: '/live', maxPayload: 1024 }).on('connection', visitor => {
  visitors.add(visitor)
  visitor.on('close', () => visitors.delete(visitor))
  visitor.on('error', () => visitor.terminate())
})

setInterval(async () => {
  if (visitors.size === 0) return
  const news = await order().catch((error: Error) => ({ from: name, error: error.message }))
  for (const visitor of visitors) visitor.send(JSON.stringify(news))
}, EVERY_MS)
