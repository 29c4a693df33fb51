import type { WireHandler } from '../../proxy/core/wire.ts'
import type { MemoryWire } from './memory-wire.ts'
import { MessageReader, type OpenMessage } from './message-reader.ts'

/** A caller of the proxy, on a connection of its own. */
export class Caller implements WireHandler {
  readonly wire: MemoryWire
  readonly reader: MessageReader
  readonly #methods: string[] = []
  readonly #chunks: Buffer[] = []
  receivedBytes = 0
  /** The proxy half-closed. */
  gotEnd = false
  over = false
  /** The connection was reset, which shows a truncated answer. */
  wasReset = false
  keep = true

  constructor(wire: MemoryWire) {
    this.wire = wire
    wire.handler = this
    this.reader = new MessageReader(this.#methods)
  }

  /** Sends one request, or a part of one; `method` tells the reader of the answer. */
  send(text: string | Buffer, ...methods: string[]): this {
    const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text
    if (methods.length !== 0) this.#methods.push(...methods)
    else
      for (const match of bytes.latin1Slice().matchAll(/(?:^|\r\n)([A-Z-]+) \S+ HTTP\/1\.[01]\r\n/g))
        this.#methods.push(match[1]!)
    this.wire.write(bytes)
    return this
  }

  /** Sends bytes of a body, or other bytes. */
  sendMore(bytes: string | Buffer): boolean {
    return this.wire.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  get(path = '/', headers = ''): this {
    return this.send(`GET ${path} HTTP/1.1\r\nHost: orders\r\n${headers}\r\n`)
  }

  get received(): string {
    return Buffer.concat(this.#chunks).toString('latin1')
  }

  get responses(): OpenMessage[] {
    return this.reader.messages
  }

  get statuses(): number[] {
    return this.responses.map(({ status }) => status)
  }

  get last(): OpenMessage {
    const response = this.responses.at(-1)
    if (response === undefined) throw new Error('there was no response')
    return response
  }

  end(): void {
    this.wire.end()
  }

  close(): void {
    this.wire.destroy()
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
    this.reader.ended()
    // Ordinary clients close after the server has.
    this.wire.end()
  }

  closed(error: Error | null): void {
    this.over = true
    this.wasReset ||= error !== null
  }
}
