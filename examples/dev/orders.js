// Knows the orders, and asks stock what is left. GET /crash ends it, to see what happens.
import { createServer } from 'node:http'

const { PORT, STOCK_URL, OUTRIGGER_INSTANCE, CURRENCY } = process.env

createServer(async (request, response) => {
  if (request.url === '/crash') throw new Error('asked to crash')
  const stock = await fetch(`${STOCK_URL}/items/tea`)
  const { traceparent } = request.headers
  const order = {
    from: OUTRIGGER_INSTANCE,
    traceparent,
    item: 'tea',
    price: `4.20 ${CURRENCY}`,
    stock: await stock.json(),
  }
  response.writeHead(stock.status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(order))
}).listen(Number(PORT), '127.0.0.1', () => console.log(`orders listens on ${PORT}`))
