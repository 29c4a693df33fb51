import type { WireHandler } from '../../proxy/core/wire.ts'
import type { MemoryWire } from './memory-wire.ts'
import { MessageReader, type OpenMessage } from './message-reader.ts'

export type Answer = (request: OpenMessage, connection: UpstreamEnd) => void

/** A scripted endpoint: how it accepts connections and answers. */
export class Upstream {
  readonly name: string
  readonly connections: UpstreamEnd[] = []
  /**
   * `accept`, `refuse`, or `ignore` a new connection (packets dropped); `lack`: this machine has no port left for one.
   */
  connect: 'accept' | 'refuse' | 'ignore' | 'lack' = 'accept'
  connectMs = 0
  dials = 0
  /** Called with each whole request. */
  answer: Answer = ok
  /** Called with each request head, before its body. */
  onHead: Answer = () => {}
  /** Several requests on one connection before an answer are an error: HTTP/1.1 upstreams are not pipelined to. */
  readonly requests: OpenMessage[] = []

  constructor(name: string) {
    this.name = name
  }

  /** Handles connections itself: an endpoint that does not speak HTTP/1.1. */
  serve: ((wire: MemoryWire) => void) | null = null

  accept(wire: MemoryWire): void {
    if (this.serve !== null) return this.serve(wire)
    this.connections.push(new UpstreamEnd(this, wire))
  }

  get open(): UpstreamEnd[] {
    return this.connections.filter(({ over }) => !over)
  }

  get last(): UpstreamEnd {
    const connection = this.connections.at(-1)
    if (connection === undefined) throw new Error(`nobody connected to ${this.name}`)
    return connection
  }

  /** All bytes received, over all connections. */
  get received(): string {
    return this.connections.map(({ received }) => received).join('')
  }
}

export const silent: Answer = () => {}

export const ok: Answer = (request, connection) => {
  connection.send(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${request.method === 'HEAD' ? '' : 'ok'}`)
}

export function respond(text: string): Answer {
  return (_request, connection) => connection.send(text)
}

/** The upstream's end of one connection. */
export class UpstreamEnd implements WireHandler {
  readonly upstream: Upstream
  readonly wire: MemoryWire
  readonly reader: MessageReader
  readonly #chunks: Buffer[] = []
  receivedBytes = 0
  #said = false
  /** The proxy half-closed. */
  gotEnd = false
  over = false
  error: Error | null = null
  /** False: the bytes are not kept. */
  keep = true

  constructor(upstream: Upstream, wire: MemoryWire) {
    this.upstream = upstream
    this.wire = wire
    wire.handler = this
    this.reader = new MessageReader(null, ({ kind, message }) => {
      if (kind === 'head') {
        upstream.requests.push(message)
        upstream.onHead(message, this)
      } else upstream.answer(message, this)
    })
  }

  get received(): string {
    return Buffer.concat(this.#chunks).toString('latin1')
  }

  /** Discarded once this side has ended, as the system would. */
  send(text: string | Buffer): boolean {
    if (this.#said) return true
    return this.wire.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
  }

  end(): void {
    this.#said = true
    this.wire.end()
  }

  /** Both directions at once, as a process that is killed. */
  close(): void {
    this.wire.destroy()
  }

  reset(): void {
    this.wire.reset()
  }

  bytes(chunk: Buffer, length: number): void {
    const bytes = Buffer.from(chunk.subarray(0, length))
    this.receivedBytes += length
    if (this.keep) this.#chunks.push(bytes)
    this.reader.push(bytes)
  }

  drained(): void {}

  ended(): void {
    this.gotEnd = true
    this.end()
  }

  closed(error: Error | null): void {
    this.over = true
    this.error = error
  }
}
