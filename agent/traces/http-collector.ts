import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest, Agent as TlsAgent } from 'node:https'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { readAnswer, statusMessage } from './answers.ts'
import { type Collector, type CollectorOptions, nameOf, type Outcome, shortened } from './collector.ts'

const zip = promisify(gzip)
/** https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes */
const RETRYABLE: readonly number[] = [429, 502, 503, 504]
const OF_CONTENT: readonly number[] = [400, 413, 422]
const MAX_ANSWER_BYTES = 64 * 1024

export function httpCollector({ target, tls, timeoutMs }: CollectorOptions): Collector {
  const keep = { keepAlive: true, maxSockets: 2 }
  const given = { ...(tls.ca && { ca: tls.ca }), ...(tls.cert && { cert: tls.cert }), ...(tls.key && { key: tls.key }) }
  const agent = target.secure ? new TlsAgent({ ...keep, ...given }) : new Agent(keep)
  const headers = {
    'content-type': 'application/x-protobuf',
    'user-agent': 'outrigger-agent',
    ...(target.compression === 'gzip' && { 'content-encoding': 'gzip' }),
    ...target.headers,
  }

  function post(body: Buffer): Promise<Outcome> {
    return new Promise(resolve => {
      const fail = (why: string) => resolve({ kind: 'again', why: shortened(why), afterMs: null })
      const sent = (target.secure ? httpsRequest : httpRequest)(
        {
          host: target.host,
          port: target.port,
          path: target.path,
          method: 'POST',
          agent,
          headers: { ...headers, 'content-length': body.length },
        },
        response => {
          read(response)
            .then(answer => resolve(outcomeOf(response, answer)))
            .catch((error: Error) => fail(error.message))
            .finally(() => clearTimeout(timer))
        },
      )
      const timer = setTimeout(() => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
      sent.on('error', error => {
        clearTimeout(timer)
        fail(error.message === '' ? String((error as NodeJS.ErrnoException).code) : error.message)
      })
      sent.end(body)
    })
  }

  return {
    name: nameOf(target),
    send: async request => post(target.compression === 'gzip' ? await zip(request, { level: 1 }) : request),
    close: () => agent.destroy(),
  }
}

async function read(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length
    if (length <= MAX_ANSWER_BYTES) parts.push(part)
  }
  return Buffer.concat(parts)
}

function outcomeOf(response: IncomingMessage, body: Buffer): Outcome {
  const code = response.statusCode ?? 0
  const isProtobuf = response.headers['content-type']?.startsWith('application/x-protobuf') ?? false
  if (code >= 200 && code < 300)
    return { kind: 'taken', ...(isProtobuf ? readAnswer(body) : { rejected: 0, message: '' }) }
  const said = isProtobuf ? statusMessage(body) : body.toString()
  const why = shortened(`${code} ${response.statusMessage ?? ''}${said === '' ? '' : `: ${said}`}`)
  if (RETRYABLE.includes(code)) return { kind: 'again', why, afterMs: retryAfter(response.headers['retry-after']) }
  return { kind: 'refused', why, content: OF_CONTENT.includes(code) }
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function retryAfter(value: string | undefined): number | null {
  if (value === undefined) return null
  if (/^\d{1,6}$/.test(value)) return Number(value) * 1000
  const at = Date.parse(value)
  return Number.isNaN(at) ? null : Math.max(0, at - Date.now())
}
