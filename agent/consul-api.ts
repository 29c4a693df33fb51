import { readFileSync } from 'node:fs'
import { Agent as HttpAgent, request as http, type IncomingMessage, type RequestOptions } from 'node:http'
import { Agent as HttpsAgent, request as https } from 'node:https'

/** The HTTP API of a Consul agent, as far as the agent of this host needs it. */
export interface ConsulApi {
  /** Rejects with one line for people; with a `ConsulRefusal` where Consul answered and said no. */
  call(method: 'GET' | 'PUT' | 'DELETE', path: string, options?: CallOptions): Promise<ConsulAnswer>
}

export interface CallOptions {
  readonly query?: Readonly<Record<string, string>>
  /** An object goes as JSON, a text as it is. */
  readonly body?: object | string
  /** A blocking query: Consul answers when its index is above this one, or after `waitMs`. */
  readonly index?: number
  readonly waitMs?: number
  readonly signal?: AbortSignal
}

export interface ConsulAnswer {
  /** False: 404. */
  readonly found: boolean
  /** Null: there is no body. */
  readonly value: unknown
  /** For the next blocking query; 0: none was said. */
  readonly index: number
}

export class ConsulRefusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export interface ConsulApiOptions {
  /** `http://127.0.0.1:8500`. */
  readonly address: string
  readonly token: string | null
  /** Read anew for each call. */
  readonly tokenFile: string | null
  readonly datacenter: string | null
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}

const ANSWER_MS = 10_000
const MAX_ANSWER = 64 * 1024 * 1024

export function consulApi(options: ConsulApiOptions): ConsulApi {
  const base = new URL(options.address)
  const isHttps = base.protocol === 'https:'
  const files = {
    ...(options.ca === null ? {} : { ca: readFileSync(options.ca) }),
    ...(options.cert === null ? {} : { cert: readFileSync(options.cert) }),
    ...(options.key === null ? {} : { key: readFileSync(options.key) }),
  }
  const agent = isHttps ? new HttpsAgent({ keepAlive: true, ...files }) : new HttpAgent({ keepAlive: true })

  function headers(): Record<string, string> {
    const token = options.tokenFile === null ? options.token : readFileSync(options.tokenFile, 'utf8').trim()
    return token === null || token === '' ? {} : { 'x-consul-token': token }
  }

  return {
    async call(method, path, { query = {}, body, index, waitMs = 0, signal } = {}) {
      const url = new URL(path, base)
      if (options.datacenter !== null) url.searchParams.set('dc', options.datacenter)
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
      if (index !== undefined && index > 0) {
        url.searchParams.set('index', String(index))
        url.searchParams.set('wait', `${Math.round(waitMs / 1000)}s`)
      }
      const what = `${method} ${url.pathname}`
      // Consul prolongs a wait by up to a sixteenth.
      const timeout = ANSWER_MS + waitMs * 1.0625
      const limit = AbortSignal.any([AbortSignal.timeout(timeout), ...(signal === undefined ? [] : [signal])])
      const sent: RequestOptions = { method, agent, headers: headers(), signal: limit }
      let answer: { readonly response: IncomingMessage; readonly text: string }
      try {
        answer = await exchange(isHttps ? https : http, url, sent, body)
      } catch (error) {
        const { code, message, name } = error as NodeJS.ErrnoException
        const why =
          name === 'AbortError' ? `has not answered within ${Math.round(timeout / 1000)} s` : (code ?? message)
        throw new Error(`Consul at ${base.host}: ${why} (${what})`)
      }
      const status = answer.response.statusCode ?? 0
      if (status >= 400 && status !== 404) {
        const said = answer.text.split('\n')[0]!.slice(0, 200)
        throw new ConsulRefusal(status, `Consul at ${base.host} says ${status}: ${said} (${what})`)
      }
      const found = status !== 404
      const value = !found || answer.text === '' ? null : (JSON.parse(answer.text) as unknown)
      return { found, value, index: Number(answer.response.headers['x-consul-index'] ?? 0) || 0 }
    },
  }
}

function exchange(
  send: typeof http,
  url: URL,
  options: RequestOptions,
  body: object | string | undefined,
): Promise<{ response: IncomingMessage; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ response: IncomingMessage; text: string }>()
  const request = send(url, options, response => {
    const chunks: Buffer[] = []
    let length = 0
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length > MAX_ANSWER) request.destroy(new Error(`an answer of more than ${MAX_ANSWER} bytes`))
    })
    response.on('end', () => resolve({ response, text: Buffer.concat(chunks).toString() }))
    response.on('error', reject)
  })
  request.on('error', reject)
  request.end(typeof body === 'object' ? JSON.stringify(body) : body)
  return promise
}
