import { createServer, type Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { get, keepAliveAgent } from '../../support/get.ts'

/** What the service says to a path: a page, or what becomes JSON; null: it has nothing there. */
export type Handler = (path: string) => Promise<Buffer | object | null>

const { NAME = 'a-service', PORT = '', SIDECAR = '' } = process.env
export const name = NAME
/** The port of the sidecar beside this service where it calls others. */
export const sidecar = Number(SIDECAR)

/**
 * Milliseconds that every answer takes longer: how the director makes an instance slow. Try it: curl -X POST
 * '127.0.0.1:<port>/slow?ms=400'
 */
let slowMs = 0

export function serve(handler: Handler): Server {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    if (request.method === 'POST' && url.pathname === '/slow') {
      slowMs = Math.min(Number(url.searchParams.get('ms')) || 0, 10_000)
      response.end(`${NAME} takes ${slowMs} ms longer from now on\n`)
      return
    }
    try {
      if (slowMs > 0) await sleep(slowMs)
      const answer = await handler(url.pathname)
      response.statusCode = answer === null ? 404 : 200
      response.setHeader('content-type', Buffer.isBuffer(answer) ? 'text/html; charset=utf-8' : 'application/json')
      if (Buffer.isBuffer(answer)) response.end(answer)
      else response.end(`${JSON.stringify(answer ?? { error: `${NAME} has nothing at ${url.pathname}` })}\n`)
    } catch (error) {
      response.statusCode = 502
      response.setHeader('content-type', 'application/json')
      response.end(`${JSON.stringify({ from: NAME, error: error instanceof Error ? error.message : String(error) })}\n`)
    }
  })
  // Longer than any sidecar keeps its connections: the side that calls closes first.
  server.keepAliveTimeout = 600_000
  server.listen(Number(PORT), '127.0.0.1', () => console.log(`${NAME} listens on 127.0.0.1:${PORT}`))
  return server
}

const agent = keepAliveAgent()

/**
 * Calls another service by its name, through the sidecar beside this one: the sidecar reads the name from Host and does
 * the rest. The trace and the id of the request that is served go along by themselves (`--import outrigger/propagate`,
 * see mesh/instance.ts).
 */
export async function call(url: string): Promise<object> {
  const { host, pathname } = new URL(url)
  const { status, body } = await get(sidecar, pathname, {
    headers: { host },
    agent,
    timeoutMs: 60_000,
  })
  if (status !== 200) throw new Error(`${url} was answered ${status}: ${body.trim().slice(0, 300)}`)
  return JSON.parse(body) as object
}

/** The work of a service that has a database to ask: some milliseconds, never quite the same. */
export function work(milliseconds: number): Promise<void> {
  return sleep(milliseconds * (0.5 + Math.random()))
}
