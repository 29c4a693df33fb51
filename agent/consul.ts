import { readFileSync, statSync } from 'node:fs'
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { ConsulAccess } from '../mesh-config/agent/consul.ts'
import { printable } from '../mesh-config/agent/printable.ts'
import { parseJson } from '../mesh-config/bounded-json.ts'

/** The HTTP API of Consul, for all parts of the agent: docs at https://developer.hashicorp.com/consul/api-docs. */
export interface ConsulApi {
  /** `http://127.0.0.1:8500`: for errors. */
  readonly address: string
  /** Rejects with ConsulError, also for each status of 400 and more except 404. */
  call(method: 'GET' | 'PUT' | 'DELETE', path: string, options?: CallOptions): Promise<ConsulAnswer>
  close(): void
}

export interface CallOptions {
  readonly query?: Readonly<Record<string, string>>
  /** Sent as it is, or else as JSON. */
  readonly body?: Buffer | object
  /** How long Consul may wait with its answer, for a blocking query. */
  readonly waitMs?: number
  readonly signal?: AbortSignal
}

export interface ConsulAnswer {
  /** 200, or 404. */
  readonly status: number
  readonly body: Buffer
  /** X-Consul-Index, at least 1. */
  readonly index: number
  /** The token does not see all of it. */
  readonly isFiltered: boolean
  /** Parsed, with bounds; null for an empty body. */
  json(): unknown
}

export class ConsulError extends Error {
  /** Of the answer; 0: there was none. */
  readonly status: number
  /** What Consul said, one line; empty: nothing. */
  readonly said: string

  constructor(message: string, status = 0, said = '') {
    super(message)
    this.name = 'ConsulError'
    this.status = status
    this.said = said
  }
}

/** Five thousand documents of 6 KiB. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const ANSWER_MS = 5_000
/** Files with tokens and certificates are looked at this often. */
const LOOK_MS = 1_000

export function consulApi(access: ConsulAccess): ConsulApi {
  const base = new URL(access.address)
  const isSecure = base.protocol === 'https:'
  const token = access.tokenFile === undefined ? () => access.token ?? '' : fileText(access.tokenFile)
  const plain = isSecure ? null : new HttpAgent({ keepAlive: true })
  const secure = isSecure ? secureAgent(access.tls) : null

  function send(options: RequestOptions, answered: (answer: IncomingMessage) => void) {
    if (secure !== null) return httpsRequest({ ...options, agent: secure.agent() }, answered)
    return httpRequest({ ...options, agent: plain! }, answered)
  }

  async function call(method: string, path: string, options: CallOptions = {}): Promise<ConsulAnswer> {
    const { query = {}, body, waitMs = 0, signal } = options
    const dc = access.datacenter === undefined ? {} : { dc: access.datacenter }
    const wait = waitMs === 0 ? {} : { wait: `${Math.round(waitMs)}ms` }
    const search = new URLSearchParams({ ...dc, ...query, ...wait }).toString()
    const secret = token().trim()
    const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
    // Consul prolongs a wait by up to a sixteenth.
    const timeout = AbortSignal.timeout(waitMs + waitMs / 16 + ANSWER_MS)
    const { promise, resolve, reject } = Promise.withResolvers<ConsulAnswer>()
    const request = send(
      {
        method,
        host: base.hostname.replace(/^\[|\]$/g, ''),
        port: base.port || (isSecure ? 443 : 80),
        path: `/v1/${path}${search === '' ? '' : `?${search}`}`,
        headers: { ...(secret === '' ? {} : { 'x-consul-token': secret }), 'content-length': bytes?.length ?? 0 },
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      },
      answer => void readAnswer(answer).then(resolve, reject),
    )
    request.on('error', reject)
    request.end(bytes)
    let answer: ConsulAnswer
    try {
      answer = await promise
    } catch (error) {
      if (error instanceof ConsulError) throw error
      const why = timeout.aborted ? 'has not answered in time' : `cannot be reached (${messageOf(error)})`
      throw new ConsulError(`Consul at ${access.address} ${why}`)
    }
    if (answer.status < 400 || answer.status === 404) return answer
    const said = printable(answer.body.toString('utf8', 0, 300).trim().split('\n')[0] ?? '')
    const denied =
      answer.status === 403 ? ': the token of the agent lacks rights, see consul.token of the agent file' : ''
    throw new ConsulError(
      `Consul at ${access.address} answers ${answer.status} (${said})${denied}`,
      answer.status,
      said,
    )
  }

  return {
    address: access.address,
    call,
    close() {
      plain?.destroy()
      secure?.agent().destroy()
    },
  }
}

async function readAnswer(answer: IncomingMessage): Promise<ConsulAnswer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > MAX_ANSWER_BYTES) {
      answer.destroy()
      throw new ConsulError(`an answer of Consul is larger than ${MAX_ANSWER_BYTES / 1024 ** 2} MiB`)
    }
    parts.push(part)
  }
  const body = Buffer.concat(parts)
  const index = Number(answer.headers['x-consul-index'] ?? 0)
  return {
    status: answer.statusCode ?? 0,
    body,
    index: Number.isSafeInteger(index) && index > 0 ? index : 1,
    isFiltered: answer.headers['x-consul-results-filtered-by-acls'] === 'true',
    json: () => (body.length === 0 ? null : parseJson(body.toString('utf8'))),
  }
}

/** The text of a file, at most a second old; what it said last while it cannot be read. Throws when it never could. */
function fileText(file: string): () => string {
  let text: string | null = null
  let at = Number.NEGATIVE_INFINITY
  return () => {
    if (text !== null && performance.now() - at < LOOK_MS) return text
    at = performance.now()
    try {
      text = readFileSync(file, 'utf8')
    } catch (error) {
      if (text === null) throw new ConsulError(`the token of Consul cannot be read: ${messageOf(error)}`)
    }
    return text
  }
}

/** A new one when one of the files has changed. */
function secureAgent(tls: ConsulAccess['tls']): { agent(): HttpsAgent } {
  const files = [tls.ca, tls.cert, tls.key].filter(file => file !== undefined)
  let made: HttpsAgent | null = null
  let signature = ''
  let at = Number.NEGATIVE_INFINITY
  const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file))
  return {
    agent() {
      if (made !== null && performance.now() - at < LOOK_MS) return made
      at = performance.now()
      try {
        const now = files.map(file => `${statSync(file).ino} ${statSync(file).mtimeMs}`).join()
        if (made !== null && now === signature) return made
        const options = { ca: read(tls.ca), cert: read(tls.cert), key: read(tls.key), servername: tls.serverName }
        const given = Object.entries(options).filter(([, value]) => value !== undefined)
        made = new HttpsAgent({ keepAlive: true, ...Object.fromEntries(given) })
        signature = now
      } catch (error) {
        if (made === null) throw new ConsulError(`the certificates for Consul cannot be read: ${messageOf(error)}`)
      }
      return made
    },
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const inner = error instanceof AggregateError ? (error.errors[0] as Error) : error
  return inner.message
}
