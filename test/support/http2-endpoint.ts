import { http2 } from '../../proxy/codec/h2/codec.ts'
import type { Http2Options } from '../../proxy/codec/h2/options.ts'
import type { DownstreamConnection } from '../../proxy/core/codec.ts'
import type { Failure } from '../../proxy/core/failure.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type { DownstreamStream, Headers, Receiver, RequestHead } from '../../proxy/core/message.ts'
import type { MemoryWire } from './memory-wire.ts'
import type { Mesh } from './mesh.ts'
import { requestLimits } from './recorder.ts'
import { turn } from './turns.ts'
import type { Upstream } from './upstream.ts'

export interface Served {
  readonly method: string
  readonly path: string
  readonly authority: string
  readonly upgrade: string
  readonly fields: HeaderList
  readonly connection: number
  readonly stream: DownstreamStream
  body: string
  bytes: number
  trailers: Headers | null
  failure: Failure | null
  /** Set by tests of tunnels. */
  ended: boolean
}

/** A scripted endpoint that speaks HTTP/2. */
export class Http2Endpoint {
  readonly upstream: Upstream
  readonly served: Served[] = []
  readonly connections: { readonly wire: MemoryWire; readonly connection: DownstreamConnection; over: boolean }[] = []
  /** Called with each whole request, from the event loop. */
  answer: (request: Served) => void = ({ stream }) => reply(stream, 200, [], 'ok')
  onHead: (request: Served) => void = () => {}
  accept = true

  constructor(
    mesh: Mesh,
    name: string,
    options: Partial<Http2Options> & { readonly maxStreams?: number; readonly hopThreads?: number } = {},
  ) {
    this.upstream = mesh.upstream(name)
    this.upstream.serve = wire => {
      const index = this.connections.length
      const connection = http2(mesh.clock, options).serve(
        wire,
        stream => {
          stream.receiver = new Server(stream, this, index)
        },
        {
          ...requestLimits,
          maxStreams: options.maxStreams ?? requestLimits.maxStreams,
          hopThreads: options.hopThreads ?? 0,
          headTimeoutMs: 0,
          bodyTimeoutMs: 0,
          idleTimeoutMs: 0,
          onRefused: () => {},
          onClosed: () => {
            this.connections[index]!.over = true
          },
        },
        mesh.clock,
      )
      this.connections.push({ wire, connection, over: false })
    }
  }

  get open() {
    return this.connections.filter(({ over }) => !over)
  }
}

class Server implements Receiver<RequestHead> {
  readonly #stream: DownstreamStream
  readonly #endpoint: Http2Endpoint
  readonly #connection: number
  #request!: Served

  constructor(stream: DownstreamStream, endpoint: Http2Endpoint, connection: number) {
    this.#stream = stream
    this.#endpoint = endpoint
    this.#connection = connection
  }

  head({ method, path, authority, upgrade, headers }: RequestHead, end: boolean): void {
    const fields = new HeaderList()
    headers.forEach((name, value) => {
      fields.add(name, value)
    })
    this.#request = {
      method,
      path,
      authority,
      upgrade,
      fields,
      connection: this.#connection,
      stream: this.#stream,
      body: '',
      bytes: 0,
      trailers: null,
      failure: null,
      ended: false,
    }
    this.#endpoint.served.push(this.#request)
    this.#endpoint.onHead(this.#request)
    if (end && upgrade === '') this.#endpoint.answer(this.#request)
  }

  data(chunk: Buffer, end: boolean): boolean {
    this.#request.bytes += chunk.length
    if (this.#request.bytes < 65_536) this.#request.body += chunk.toString('latin1')
    if (end) this.#endpoint.answer(this.#request)
    return this.#endpoint.accept
  }

  trailers(trailers: Headers): void {
    this.#request.trailers = trailers
    this.#endpoint.answer(this.#request)
  }

  reset(failure: Failure): void {
    this.#request.failure = failure
  }

  writable(): void {}
}

export function reply(
  stream: DownstreamStream,
  status: number,
  fields: readonly string[] = [],
  body = '',
  trailers: readonly string[] | null = null,
  isWhole = body === '' && trailers === null,
): void {
  turn(() => {
    stream.head({ status, headers: new HeaderList([...fields]) }, isWhole)
    if (body !== '') stream.data(Buffer.from(body, 'latin1'), trailers === null)
    if (trailers !== null) stream.trailers(new HeaderList([...trailers]))
  })
}
