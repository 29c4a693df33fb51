// A small application that knows nothing of a mesh. It says who it is, and asks the service after it where there is one
// (NEXT). It passes the trace of its caller on (traceparent), as anything does that is to be traced.
import { createServer } from 'node:http'
import { hostname } from 'node:os'

const { PORT = '8080', NEXT } = process.env

createServer(async ({ headers: { traceparent } }, response) => {
  try {
    const next = NEXT === undefined ? {} : { next: await ask(NEXT, traceparent) }
    response.setHeader('content-type', 'application/json')
    response.end(`${JSON.stringify({ from: hostname(), ...next })}\n`)
  } catch (error) {
    response.statusCode = 502
    response.end(`${hostname()}: ${error.cause ?? error}\n`)
  }
}).listen(Number(PORT), () => console.log(`${hostname()} listens on ${PORT}`))

async function ask(url, traceparent) {
  const answer = await fetch(url, { headers: traceparent === undefined ? {} : { traceparent } })
  const body = await answer.text()
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}: ${body.trim()}`)
  return JSON.parse(body)
}

// As the first process of a container it would not hear of it otherwise.
process.on('SIGTERM', () => process.exit(0))
