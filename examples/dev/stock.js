// Knows what is left of everything.
import { createServer } from 'node:http'

const { PORT, OUTRIGGER_INSTANCE } = process.env

createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  const { traceparent } = request.headers
  response.end(JSON.stringify({ from: OUTRIGGER_INSTANCE, traceparent, left: 17 }))
}).listen(Number(PORT), '127.0.0.1', () => console.log(`stock listens on ${PORT}`))
