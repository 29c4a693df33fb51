import { http2 } from '../../proxy/codec/h2/codec.ts'
import type { Clock } from '../../proxy/core/clock.ts'
import type { UpstreamConnection } from '../../proxy/core/codec.ts'
import type { Failure } from '../../proxy/core/failure.ts'
import { failures } from '../../proxy/core/failure.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type { Headers, Receiver, ResponseHead, UpstreamStream } from '../../proxy/core/message.ts'
import type { MemoryWire } from './memory-wire.ts'
import { responseLimits } from './recorder.ts'
import { turn } from './turns.ts'

export interface Http2Request {
  readonly method?: string
  readonly path?: string
  readonly authority?: string
  /** Asks for a tunnel, whose bytes follow by `send`. */
  readonly upgrade?: string
  readonly fields?: readonly string[]
  /** Null: it follows, by `send`. */
  readonly body?: string | null
  readonly trailers?: readonly string[]
}

/** A caller that speaks HTTP/2, on a connection of its own. */
export class Http2Caller {
  readonly wire: MemoryWire
  readonly connection: UpstreamConnection
  over = false

  constructor(wire: MemoryWire, clock: Clock) {
    this.wire = wire
    const closed = () => {
      this.over = true
    }
    this.connection = turn(() =>
      http2(clock).connect(
        wire,
        { released() {}, closed, idleHint() {} },
        { bufferBytes: 1024 * 1024, ...responseLimits },
      ),
    )
  }

  ask({
    method = 'GET',
    path = '/',
    authority = 'orders',
    upgrade = '',
    fields = [],
    body,
    trailers,
  }: Http2Request = {}): Http2Exchange {
    return turn(() => {
      const stream = this.connection.open()
      const exchange = new Http2Exchange(stream)
      stream.receiver = exchange
      stream.head(
        { method, scheme: 'http', authority, path, upgrade, headers: new HeaderList([...fields]) },
        (body === undefined && trailers === undefined) || upgrade !== '',
      )
      if (typeof body === 'string') stream.data(Buffer.from(body, 'latin1'), trailers === undefined)
      if (trailers !== undefined) stream.trailers(new HeaderList([...trailers]))
      return exchange
    })
  }

  close(): void {
    turn(() => this.connection.destroy())
  }
}

/** A request and its outcome. */
export class Http2Exchange implements Receiver<ResponseHead> {
  readonly stream: UpstreamStream
  status = 0
  readonly interim: number[] = []
  fields = new HeaderList()
  body = ''
  bytes = 0
  trailing: Headers | null = null
  ended = false
  failure: Failure | null = null
  detail = ''
  /** False: stops reading until `stream.resume()`. */
  accept = true
  /** Whether more of the body may be sent. */
  mayWrite = true

  constructor(stream: UpstreamStream) {
    this.stream = stream
  }

  /** Sends more of the body. False: the stream is full for now. */
  send(bytes: string | Buffer, end = false): boolean {
    this.mayWrite = turn(() => this.stream.data(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, end))
    return this.mayWrite
  }

  /** RST_STREAM CANCEL. */
  cancel(): void {
    turn(() => this.stream.reset(failures.downstreamGone, ''))
  }

  resume(): void {
    this.accept = true
    turn(() => this.stream.resume())
  }

  head(head: ResponseHead, end: boolean): void {
    if (head.status < 200 && head.status !== 101) return void this.interim.push(head.status)
    this.status = head.status
    head.headers.forEach((name, value) => {
      this.fields.add(name, value)
    })
    this.ended = end
  }

  data(chunk: Buffer, end: boolean): boolean {
    this.bytes += chunk.length
    if (this.bytes <= 65_536) this.body += chunk.toString('latin1')
    this.ended = end
    return this.accept
  }

  trailers(trailers: Headers): void {
    this.trailing = trailers
    this.ended = true
  }

  reset(failure: Failure, detail: string): void {
    this.failure = failure
    this.detail = detail
  }

  writable(): void {
    this.mayWrite = true
  }
}
