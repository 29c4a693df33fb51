import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer, type Server as SecureServer } from 'node:https'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import type { Counts } from './counts.ts'
import { answerReview, type ReviewOptions } from './review.ts'
import type { Held } from './rotation.ts'

/** An object of Kubernetes has 1.5 MiB at most, and a review may have two of them. */
const MAX_REVIEW_BYTES = 4 * 1024 ** 2
const MAX_CONNECTIONS = 200

export interface WebhookFacts {
  readonly counts: Counts
  /** Read for each review: it may have changed. */
  options(): ReviewOptions
  failed(message: string): void
}

/** The port that the API server calls: `POST /mutate` and nothing else. */
export function webhookServer(held: Held, facts: WebhookFacts): SecureServer {
  const server = createServer(
    { ...contextOf(held), minVersion: 'TLSv1.2' },
    (request, response) => void answer(request, response, facts),
  )
  bound(server)
  server.on('tlsClientError', () => facts.counts.count('refused'))
  return server
}

export function contextOf({ certificate, key, authorities }: Held): { cert: string; key: string; ca: string } {
  return { cert: certificate, key, ca: authorities }
}

function bound(server: Server | SecureServer): void {
  server.headersTimeout = 5_000
  server.requestTimeout = 10_000
  server.keepAliveTimeout = 90_000
  server.maxConnections = MAX_CONNECTIONS
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { counts, options, failed }: WebhookFacts,
): Promise<void> {
  const refuse = (status: number, text: string) => {
    counts.count('refused')
    response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' })
    response.end(`${text}\n`)
  }
  if (request.url?.split('?')[0] !== '/mutate') return refuse(404, 'POST /mutate is served here')
  if (request.method !== 'POST') return refuse(405, 'only POST is possible here')
  const begin = performance.now()
  try {
    const body = await bodyOf(request)
    if (body === null) return refuse(413, `a review has ${MAX_REVIEW_BYTES} bytes at most`)
    const answered = await answerReview(parsed(body), options())
    if (answered === null) return refuse(400, 'this is no AdmissionReview of admission.k8s.io/v1')
    counts.count(answered.verdict.result)
    counts.took((performance.now() - begin) / 1000)
    const text = JSON.stringify(answered.body)
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    response.end(text)
  } catch (error) {
    failed(`a review failed: ${(error as Error).stack ?? String(error)}`)
    if (!response.headersSent) refuse(500, 'this review cannot be answered: the log of the injector says why')
  }
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return null
  }
}

/** Null: it is too large. */
function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= MAX_REVIEW_BYTES) return void chunks.push(chunk)
      chunks.length = 0
      request.pause()
      resolve(null)
    })
    request.on('end', () => resolve(Buffer.concat(chunks)))
    request.on('error', reject)
  })
}

export interface ProbePages {
  /** Why the webhook is not ready; empty: it is. */
  ready(): readonly string[]
  metrics(): string
}

/** The port of the kubelet and of Prometheus. */
export function probeServer(pages: ProbePages): Server {
  const server = createHttpServer((request, response) => {
    const say = (status: number, text: string) => {
      response.writeHead(status, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
      response.end(text)
    }
    const path = request.url?.split('?')[0]
    if (path === '/healthz') return say(200, 'alive\n')
    if (path === '/metrics') return say(200, pages.metrics())
    if (path !== '/readyz') return say(404, '/healthz, /readyz and /metrics are served here\n')
    const reasons = pages.ready()
    say(reasons.length === 0 ? 200 : 503, reasons.length === 0 ? 'ready\n' : `not ready: ${reasons.join('; ')}\n`)
  })
  bound(server)
  return server
}

export function listen(server: Server | SecureServer, { address, port }: AddressSpec): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', error => reject(new Error(`cannot listen on ${address}:${port}: ${error.message}`)))
    server.listen(port, address, () => {
      const bound = server.address()
      resolve(typeof bound === 'object' && bound !== null ? bound.port : port)
    })
  })
}
