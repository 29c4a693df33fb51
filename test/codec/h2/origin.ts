// `node test/codec/h2/origin.ts [port]`: the HTTP/2 codec on real sockets, answering like an origin. h2spec, h2load and
// others are let loose on it.
// GET /bytes/N: N bytes; /wait: no answer. Anything else: a few. POST: what was sent is counted, or with /echo sent
// back, trailers too.
import { http2 } from '../../../proxy/codec/h2/codec.ts'
import type { Http2Options } from '../../../proxy/codec/h2/options.ts'
import type { DownstreamConnection } from '../../../proxy/core/codec.ts'
import type { Failure } from '../../../proxy/core/failure.ts'
import { HeaderList } from '../../../proxy/core/header-list.ts'
import type { DownstreamStream, Headers, Receiver, RequestHead } from '../../../proxy/core/message.ts'
import { systemClock } from '../../../proxy/system/clock.ts'
import { listen } from '../../../proxy/system/net.ts'

const HELLO = Buffer.from('hello, world\n')
const PIECE = Buffer.alloc(64 * 1024, 'x')

export interface OriginSettings {
  readonly port?: number
  readonly http2?: Partial<Http2Options>
  readonly maxHeadBytes?: number
  readonly idleTimeoutMs?: number
  readonly onHead?: (head: RequestHead) => void
  readonly onRefused?: (detail: string) => void
  readonly onReset?: (failure: Failure, detail: string) => void
}

export interface Origin {
  readonly port: number
  readonly connections: ReadonlySet<DownstreamConnection>
  /** Requests that came whole. */
  readonly served: () => number
  close(): void
}

export async function startOrigin(settings: OriginSettings = {}): Promise<Origin> {
  const codec = http2(systemClock, settings.http2)
  const connections = new Set<DownstreamConnection>()
  const count = { served: 0 }
  const options = {
    maxHeaders: 100,
    maxHeadBytes: settings.maxHeadBytes ?? 61_440,
    maxTargetBytes: 16_384,
    maxStreams: 256,
    headTimeoutMs: 10_000,
    bodyTimeoutMs: 30_000,
    idleTimeoutMs: settings.idleTimeoutMs ?? 60_000,
    onRefused: ({ detail }: { readonly detail: string }) => settings.onRefused?.(detail),
    onClosed: (connection: DownstreamConnection) => connections.delete(connection),
  }
  const acceptor = await listen(
    { address: '127.0.0.1', port: settings.port ?? 0, shared: false },
    wire => {
      const connection = codec.serve(
        wire,
        stream => {
          stream.receiver = new Answerer(stream, count, settings)
        },
        options,
        systemClock,
      )
      connections.add(connection)
    },
    error => {
      throw error
    },
  )
  return {
    port: acceptor.port,
    connections,
    served: () => count.served,
    close() {
      acceptor.close()
      for (const connection of [...connections]) connection.destroy()
    },
  }
}

class Answerer implements Receiver<RequestHead> {
  readonly #stream: DownstreamStream
  readonly #count: { served: number }
  readonly #settings: OriginSettings
  #head: RequestHead | null = null
  #received = 0
  #left = 0
  #echoes = false

  constructor(stream: DownstreamStream, count: { served: number }, settings: OriginSettings) {
    this.#stream = stream
    this.#count = count
    this.#settings = settings
  }

  head(head: RequestHead, end: boolean): void {
    this.#settings.onHead?.(head)
    this.#head = head
    this.#received = 0
    this.#left = 0
    this.#echoes = head.path === '/echo'
    if (this.#echoes)
      this.#stream.head(
        { status: 200, headers: new HeaderList(['content-type', head.headers.get('content-type') ?? 'text/plain']) },
        end,
      )
    else if (end) this.#answer()
  }

  data(chunk: Buffer, end: boolean): boolean {
    this.#received += chunk.length
    if (this.#echoes) return this.#stream.data(chunk, end)
    if (end) this.#answer()
    return true
  }

  trailers(trailers: Headers): void {
    if (this.#echoes) this.#stream.trailers(trailers)
    else this.#answer()
  }

  reset(failure: Failure, detail: string): void {
    this.#left = 0
    this.#settings.onReset?.(failure, detail)
  }

  writable(): void {
    if (this.#echoes) this.#stream.resume()
    else this.#more()
  }

  #answer(): void {
    const { path, method } = this.#head!
    if (path === '/wait') return
    this.#count.served++
    const size = path.startsWith('/bytes/') ? Number(path.slice(7)) : -1
    if (size >= 0) {
      this.#stream.head({ status: 200, headers: new HeaderList(['content-length', `${size}`]) }, size === 0)
      this.#left = size
      this.#more()
      return
    }
    const body = method === 'POST' ? Buffer.from(`${this.#received} bytes\n`) : HELLO
    this.#stream.head(
      { status: 200, headers: new HeaderList(['content-type', 'text/plain', 'content-length', `${body.length}`]) },
      false,
    )
    this.#stream.data(body, true)
  }

  #more(): void {
    while (this.#left !== 0) {
      const piece = this.#left >= PIECE.length ? PIECE : PIECE.subarray(0, this.#left)
      this.#left -= piece.length
      if (!this.#stream.data(piece, this.#left === 0)) return
    }
  }
}

if (process.argv[1] === import.meta.filename) {
  const { port } = await startOrigin({ port: Number(process.argv[2] ?? 0) })
  console.log(`listening on ${port}`)
}
