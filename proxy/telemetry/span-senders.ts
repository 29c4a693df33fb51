import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import type { AgentLink } from '../core/agent-link.ts'
import type { Clock } from '../core/clock.ts'
import { readPartialSuccess } from './otlp.ts'
import type { SendSpans, Sent } from './span-sink.ts'

const METHOD = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
/** Codes of gRPC after which a batch may be sent again (opentelemetry.io/docs/specs/otlp, "Failures"). */
const AGAIN = new Set([1, 4, 8, 10, 11, 14, 15])

/** To the agent, over the one connection with it. */
export function sendToAgent(link: () => AgentLink | null): SendSpans {
  return (request, done) => {
    const isTaken = link()?.call(METHOD, request, status => {
      if (status === 0) done({ kind: 'taken', rejected: 0, why: '' })
      else if (AGAIN.has(status)) done({ kind: 'again', afterMs: null, why: `the agent answers ${status}` })
      else done({ kind: 'refused', why: `the agent answers ${status}` })
    })
    if (isTaken !== true) done({ kind: 'again', afterMs: null, why: 'there is no agent now' })
  }
}

export interface HttpExport {
  readonly url: string
  /** Name, value, name, value ... */
  readonly secretHeaders: readonly string[]
  readonly gzip: boolean
  readonly timeoutMs: number
}

/** More of an answer is not read. */
const MOST_ANSWER = 64 * 1024
const STATUS_AGAIN = new Set([429, 502, 503, 504])

/** Straight to a collector: OTLP over HTTP. */
export function sendByHttp({ url, secretHeaders, gzip, timeoutMs }: HttpExport, clock: Clock): SendSpans {
  const target = new URL(url)
  const headers: Record<string, string> = { 'content-type': 'application/x-protobuf', 'user-agent': 'outrigger' }
  if (gzip) headers['content-encoding'] = 'gzip'
  for (let i = 0; i < secretHeaders.length; i += 2) headers[secretHeaders[i]!.toLowerCase()] = secretHeaders[i + 1]!
  const open = opener(target)

  function post(body: Buffer, done: (sent: Sent) => void): void {
    let isOver = false
    let request: ClientRequest | null = null
    const end = (sent: Sent) => {
      if (isOver) return
      isOver = true
      late.cancel()
      request?.destroy()
      done(sent)
    }
    const late = clock.timer(() => end({ kind: 'again', afterMs: null, why: `no answer within ${timeoutMs} ms` }))
    late.arm(timeoutMs)
    try {
      request = open({ method: 'POST', headers: { ...headers, 'content-length': body.length } }, response =>
        readAnswer(response, clock, end),
      )
    } catch (error) {
      return end({ kind: 'refused', why: (error as Error).message })
    }
    request.on('error', error => end({ kind: 'again', afterMs: null, why: error.message || String(error) }))
    request.end(body)
  }

  if (!gzip) return post
  return (body, done) =>
    process.getBuiltinModule('node:zlib').gzip(body, (error, packed) => {
      if (error === null) post(packed, done)
      else done({ kind: 'refused', why: error.message })
    })
}

type Open = (options: RequestOptions, answered: (response: IncomingMessage) => void) => ClientRequest

/** One connection, kept: batches go one after the other. */
function opener(target: URL): Open {
  const secure = target.protocol === 'https:'
  const { Agent, request } = process.getBuiltinModule(secure ? 'node:https' : 'node:http')
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return (options, answered) => request(target, { ...options, agent }, answered)
}

function readAnswer(response: IncomingMessage, clock: Clock, end: (sent: Sent) => void): void {
  const parts: Buffer[] = []
  let size = 0
  response.on('data', (part: Buffer) => {
    size += part.length
    if (size <= MOST_ANSWER) parts.push(part)
  })
  response.on('error', error => end({ kind: 'again', afterMs: null, why: error.message }))
  response.on('close', () => end({ kind: 'again', afterMs: null, why: 'the answer broke off' }))
  response.on('end', () => {
    const status = response.statusCode ?? 0
    if (status >= 200 && status < 300) return end({ kind: 'taken', ...readPartialSuccess(Buffer.concat(parts)) })
    const why = `status ${status}`
    if (STATUS_AGAIN.has(status))
      end({ kind: 'again', afterMs: retryAfterMs(response.headers['retry-after'], clock), why })
    else end({ kind: 'refused', why })
  })
}

/** Seconds, or a date (RFC 9110 section 10.2.3). */
function retryAfterMs(value: string | undefined, clock: Clock): number | null {
  if (value === undefined) return null
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? null : Math.max(0, date - clock.wallTime())
}
