import type { Filter } from '../../proxy/core/filter.ts'
import type { Http2Exchange } from './http2-caller.ts'
import { Http2Endpoint, reply } from './http2-endpoint.ts'
import type { Mesh } from './mesh.ts'
import { A, orders } from './orders.ts'
import type { Upstream } from './upstream.ts'

/** The filters that a test puts on every route: a test file mocks filter/route-filters.ts to give these. */
export const inserted: { filters: readonly Filter[] } = { filters: [] }

export type Spoken = 'http/1.1' | 'h2'
/** What the caller speaks, and what the endpoint. */
export const pairs: readonly (readonly [Spoken, Spoken])[] = [
  ['http/1.1', 'http/1.1'],
  ['http/1.1', 'h2'],
  ['h2', 'http/1.1'],
  ['h2', 'h2'],
]

export interface Seen {
  readonly path: string
  readonly host: string
  readonly header: (name: string) => string | undefined
  readonly body: string
}

export interface Got {
  readonly status: number
  readonly header: (name: string) => string | undefined
  readonly body: string
}

/** One service behind filters, called and answered in either protocol. */
export class Filtered {
  readonly mesh: Mesh
  readonly upstream: Upstream
  readonly caller: Spoken
  readonly endpoint: Http2Endpoint | null
  /** What the endpoint answers. */
  answer = 'answer'
  readonly seen: Seen[] = []

  static async start(caller: Spoken, endpoint: Spoken, filters: readonly Filter[]): Promise<Filtered> {
    inserted.filters = filters
    const { mesh, upstream } = await orders(endpoint === 'h2' ? { protocol: 'http2' } : {})
    return new Filtered(mesh, upstream, caller, endpoint)
  }

  constructor(mesh: Mesh, upstream: Upstream, caller: Spoken, endpoint: Spoken) {
    this.mesh = mesh
    this.upstream = upstream
    this.caller = caller
    this.endpoint = endpoint === 'h2' ? new Http2Endpoint(mesh, A) : null
    if (this.endpoint !== null)
      this.endpoint.answer = ({ stream, path, authority, fields, body }) => {
        this.seen.push({ path, host: authority, header: name => fields.get(name), body })
        reply(stream, 200, ['content-length', String(this.answer.length)], this.answer)
      }
    upstream.answer = (request, connection) => {
      const host = request.header('host') ?? ''
      this.seen.push({ path: request.target, host, header: name => request.header(name), body: request.text })
      connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${this.answer.length}\r\n\r\n${this.answer}`)
    }
  }

  /** Asks, and says how to read what came, once it has. */
  ask(path = '/', body: string | null = null): () => Got {
    const length = body === null ? [] : ['content-length', String(body.length)]
    const method = body === null ? 'GET' : 'POST'
    if (this.caller === 'h2') {
      const got: Http2Exchange = this.mesh
        .http2Caller()
        .ask({ method, path, fields: length, ...(body === null ? {} : { body }) })
      this.mesh.settle()
      return () => ({ status: got.status, header: name => got.fields.get(name), body: got.body })
    }
    const caller = this.mesh.caller()
    const lines = body === null ? '' : `Content-Length: ${body.length}\r\n`
    caller.send(`${method} ${path} HTTP/1.1\r\nHost: orders\r\n${lines}\r\n${body ?? ''}`)
    this.mesh.settle()
    return () => ({ status: caller.last.status, header: name => caller.last.header(name), body: caller.last.text })
  }
}
