import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import { jsonText } from '../mesh-config/agent/printable.ts'
import type { AddressSpec } from '../mesh-config/snapshot.ts'
import type { AgentMetrics } from './metrics.ts'

export interface AdminPages {
  readonly metrics: AgentMetrics
  /** Why the agent is not ready; empty: it is. */
  ready(): readonly string[]
  /** For `/status`. */
  status(): object
}

/** The agent's own port: `/metrics`, `/ready` and `/status`. Rejects where it cannot listen. */
export async function openAdmin({ address, port }: AddressSpec, pages: AdminPages): Promise<Server> {
  const server = createServer((request, response) => void answer(request, response, pages))
  server.headersTimeout = 5_000
  server.requestTimeout = 10_000
  server.maxConnections = 100
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, resolve)
  })
  return server
}

async function answer(request: IncomingMessage, response: ServerResponse, pages: AdminPages): Promise<void> {
  const say = (status: number, type: string, text: string) => {
    response.writeHead(status, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store' })
    response.end(request.method === 'HEAD' ? undefined : text)
  }
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return say(405, 'text/plain', 'only GET is possible here\n')
  // A page of another site may name this port by a name of its own (DNS rebinding).
  if (!isOwnHost(request.headers.host ?? '')) return say(403, 'text/plain', 'this host name is not served here\n')
  const path = (request.url ?? '').split('?')[0]
  if (path === '/metrics') return say(200, 'text/plain; version=0.0.4', await pages.metrics.text())
  if (path === '/status') return say(200, 'application/json', `${jsonText(pages.status())}\n`)
  if (path === '/ready') {
    const reasons = pages.ready()
    if (reasons.length === 0) return say(200, 'text/plain', 'ready\n')
    return say(503, 'text/plain', `not ready\n${reasons.map(reason => `  ${reason}\n`).join('')}`)
  }
  return say(
    path === '/' ? 200 : 404,
    'text/plain',
    '/metrics  series for Prometheus\n/ready    200 or 503\n/status   JSON\n',
  )
}

function isOwnHost(host: string): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  return name === 'localhost' || isIP(name) !== 0
}
