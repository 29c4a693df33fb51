import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Counters } from './counters.ts'
import { MAX_REQUEST_BYTES } from './grpc-in.ts'
import type { Intake, Received } from './intake.ts'
import { lanes } from './lanes.ts'
import { encodeAnswer, encodeStatus, jsonToProtobuf } from './otlp-json.ts'
import { Malformed } from './wire.ts'

const unzip = promisify(gunzip)

/** Of all requests that are being read, so that many senders at once cannot fill the memory. */
const MAX_READING_BYTES = 4 * MAX_REQUEST_BYTES
/** Requests whose unpacked bytes are in memory at a time: the others wait as they came, small. */
const MAX_UNPACKING = 4
const MAX_CONNECTIONS = 1_000
/** google.rpc.Code */
const INVALID_ARGUMENT = 3
const NOT_FOUND = 5
const UNAVAILABLE = 14

export interface HttpInOptions {
  readonly host: string
  readonly port: number
  readonly receive: Intake
  readonly counters: Counters
}

/** Why a request gets no other answer than this. */
interface Refusal {
  readonly status: number
  readonly code: number
  readonly message: string
}

/** OTLP over HTTP: https://opentelemetry.io/docs/specs/otlp/#otlphttp */
export async function listenHttp(options: HttpInOptions): Promise<{ port: number; stop: () => void }> {
  const { host, port, receive, counters } = options
  const unpacking = lanes(MAX_UNPACKING)
  let reading = 0

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
    const isJson = type === 'application/json'
    const refused = refusalOf(request, type)
    if (refused !== null) return refuse(response, isJson, refused)
    const held = { bytes: 0 }
    try {
      const body = await read(request, held)
      if (!Buffer.isBuffer(body)) return refuse(response, isJson, body)
      const taken = (plain: Buffer) => receive(isJson ? jsonToProtobuf(plain) : plain, 'http')
      const isPacked = (request.headers['content-encoding'] ?? 'identity') !== 'identity'
      reply(response, isJson, isPacked ? await unpacking(async () => taken(await unpack(body))) : await taken(body))
    } catch (error) {
      if (!(error instanceof Malformed)) throw error
      counters.refusedRequests.malformed++
      refuse(response, isJson, { status: 400, code: INVALID_ARGUMENT, message: error.message })
    } finally {
      reading -= held.bytes
    }
  }

  async function read(request: IncomingMessage, held: { bytes: number }): Promise<Buffer | Refusal> {
    const parts: Buffer[] = []
    for await (const part of request as AsyncIterable<Buffer>) {
      held.bytes += part.length
      reading += part.length
      parts.push(part)
      if (held.bytes > MAX_REQUEST_BYTES) {
        counters.refusedRequests.too_large++
        return tooLarge()
      }
      if (reading > MAX_READING_BYTES) {
        counters.refusedRequests.busy++
        return { status: 503, code: UNAVAILABLE, message: 'the agent reads as much as it may: send this again' }
      }
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }

  /** A small body can become a large one: no more is unpacked than may come unpacked. */
  async function unpack(body: Buffer): Promise<Buffer> {
    try {
      return await unzip(body, { maxOutputLength: MAX_REQUEST_BYTES })
    } catch (error) {
      const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
      throw new Malformed(isTooLarge ? tooLarge().message : `its gzip is broken: ${(error as Error).message}`)
    }
  }

  const server = createServer({ requestTimeout: 60_000, headersTimeout: 10_000 }, (request, response) => {
    answer(request, response).catch((error: Error) => {
      // The sender has gone in the middle, or this is a defect.
      if (!response.headersSent) refuse(response, false, { status: 500, code: 13, message: error.message })
    })
  })
  server.maxConnections = MAX_CONNECTIONS
  server.keepAliveTimeout = 120_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function refusalOf(request: IncomingMessage, type: string): Refusal | null {
  const path = (request.url ?? '/').split('?')[0]!
  if (path !== '/v1/traces') {
    const signal = /^\/v1\/(metrics|logs)$/.exec(path)?.[1]
    const message =
      signal === undefined
        ? 'there is /v1/traces here'
        : `the agent takes traces only: set OTEL_${signal.toUpperCase()}_EXPORTER=none, or another endpoint for them`
    return { status: 404, code: NOT_FOUND, message }
  }
  if (request.method !== 'POST') return { status: 405, code: INVALID_ARGUMENT, message: 'spans are sent by POST' }
  if (type !== 'application/x-protobuf' && type !== 'application/json')
    return {
      status: 415,
      code: INVALID_ARGUMENT,
      message: 'the content-type of OTLP is application/x-protobuf or application/json',
    }
  const encoding = request.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity' && encoding !== 'gzip')
    return { status: 415, code: INVALID_ARGUMENT, message: 'of content encodings there is gzip' }
  return Number(request.headers['content-length'] ?? 0) > MAX_REQUEST_BYTES ? tooLarge() : null
}

function tooLarge(): Refusal {
  const message = `a request has at most ${MAX_REQUEST_BYTES / 1024 / 1024} MiB, unpacked: send the spans in several`
  return { status: 413, code: INVALID_ARGUMENT, message }
}

function reply(response: ServerResponse, isJson: boolean, received: Received): void {
  if (received.outcome === 'taken')
    send(response, 200, isJson, encodeAnswer(isJson, received.rejected, received.message))
  else if (received.outcome === 'malformed')
    refuse(response, isJson, { status: 400, code: INVALID_ARGUMENT, message: received.message })
  else
    refuse(response, isJson, {
      status: 503,
      code: UNAVAILABLE,
      message: 'the agent has too many spans: send these again',
    })
}

function refuse(response: ServerResponse, isJson: boolean, { status, code, message }: Refusal): void {
  if (status === 503) response.setHeader('retry-after', '1')
  if (status === 405) response.setHeader('allow', 'POST')
  // What is left of the body is not read.
  if (!response.req.complete) response.setHeader('connection', 'close')
  send(response, status, isJson, encodeStatus(isJson, code, message))
}

function send(response: ServerResponse, status: number, isJson: boolean, body: Buffer): void {
  response.writeHead(status, {
    'content-type': isJson ? 'application/json' : 'application/x-protobuf',
    'content-length': body.length,
  })
  response.end(body)
}
