// What a Node user would write first: node:http in front, undici behind, least-request of two draws. No retries, no
// statistics.
// Usage: node undici-proxy.ts LISTEN UPSTREAM...
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Dispatcher, Pool } from 'undici'

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const [listen, ...ports] = process.argv.slice(2).map(Number)
const upstreams = ports.map(port => ({
  pool: new Pool(`http://127.0.0.1:${port}`, { connections: 128, pipelining: 1 }),
  inFlight: 0,
}))
type Upstream = (typeof upstreams)[number]

createServer((request, response) => {
  const upstream = pick()
  upstream.inFlight++
  upstream.pool.dispatch(
    {
      path: request.url ?? '/',
      method: request.method as Dispatcher.HttpMethod,
      headers: endToEnd(request.rawHeaders),
      body:
        request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
          ? request
          : null,
    },
    relay(request, response, upstream),
  )
}).listen(listen, '127.0.0.1', 4096)

function pick(): Upstream {
  const a = upstreams[Math.floor(Math.random() * upstreams.length)] as Upstream
  const b = upstreams[Math.floor(Math.random() * upstreams.length)] as Upstream
  return a.inFlight <= b.inFlight ? a : b
}

function relay(request: IncomingMessage, response: ServerResponse, upstream: Upstream): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller) {
      response.on('drain', () => controller.resume())
      response.on('close', () => {
        if (!response.writableEnded) controller.abort(new Error('downstream gone'))
      })
    },
    onResponseStart(controller, status) {
      const raw = controller.rawHeaders as Buffer[]
      response.writeHead(status, endToEnd(raw.map(item => item.toString('latin1'))))
    },
    onResponseData(controller, chunk) {
      if (!response.write(chunk)) controller.pause()
    },
    onResponseEnd() {
      upstream.inFlight--
      response.end()
    },
    onResponseError() {
      upstream.inFlight--
      if (response.headersSent) response.destroy()
      else response.writeHead(503, { 'content-length': 12 }).end('unavailable\n')
      request.resume()
    },
  }
}

function endToEnd(raw: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    if (!HOP_BY_HOP.has(name.toLowerCase())) kept.push(name, raw[i + 1] as string)
  }
  return kept
}
