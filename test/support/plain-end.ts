import type { WireHandler } from '../../proxy/core/wire.ts'
import type { MemoryWire } from './memory-wire.ts'

/** The far end of a raw connection: keeps what it gets, in order. */
export class PlainEnd implements WireHandler {
  readonly wire: MemoryWire
  readonly #chunks: Buffer[] = []
  receivedBytes = 0
  gotEnd = false
  over = false
  error: Error | null = null
  /** Called with each read. */
  onBytes: (bytes: Buffer) => void = () => {}
  onEnd: () => void = () => {}
  onDrained: () => void = () => {}

  constructor(wire: MemoryWire) {
    this.wire = wire
    wire.handler = this
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get text(): string {
    return this.received.toString('latin1')
  }

  send(bytes: string | Buffer): boolean {
    return this.wire.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  bytes(chunk: Buffer, length: number): void {
    const bytes = Buffer.from(chunk.subarray(0, length))
    this.#chunks.push(bytes)
    this.receivedBytes += length
    this.onBytes(bytes)
  }

  drained(): void {
    this.onDrained()
  }

  ended(): void {
    this.gotEnd = true
    this.onEnd()
  }

  closed(error: Error | null): void {
    this.over = true
    this.error = error
  }
}
