// Asks orders, at the address that outrigger dev gives.
import { createServer } from 'node:http'

const { PORT, ORDERS_URL, OUTRIGGER_INSTANCE } = process.env

createServer(async (_request, response) => {
  const order = await fetch(`${ORDERS_URL}/orders/42`)
  response.writeHead(order.status, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify({ from: OUTRIGGER_INSTANCE, order: await order.json().catch(() => null) })}\n`)
}).listen(Number(PORT), '127.0.0.1', () => console.log(`web listens on ${PORT}`))
