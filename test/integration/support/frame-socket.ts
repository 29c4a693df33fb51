import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'

/**
 * The frames of a WebSocket over any stream (RFC 6455 section 5), for its way over HTTP/2, which no client or server
 * has yet: messages in and out, and the closing handshake. Speaks as `ws` does where tests use it.
 */
export class FrameSocket extends EventEmitter<{ message: [Buffer, boolean]; close: [number] }> {
  readonly #stream: Duplex
  readonly #isServer: boolean
  #bytes: Buffer = Buffer.alloc(0)
  #parts: Buffer[] = []
  #isBinary = false
  #isFirst = true
  #code = 1006
  #sentClose = false

  constructor(stream: Duplex, isServer: boolean) {
    super()
    this.#stream = stream
    this.#isServer = isServer
    stream.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk])
      while (this.#readFrame());
    })
    stream.on('end', () => {
      stream.end()
      this.emit('close', this.#code)
    })
    stream.on('error', () => {})
  }

  send(payload: Buffer, { binary = true, fin = true } = {}): void {
    this.#write((fin ? 0x80 : 0) | (this.#isFirst ? (binary ? 2 : 1) : 0), payload)
    this.#isFirst = fin
  }

  close(code = 1000, _reason = ''): void {
    this.#sentClose = true
    this.#write(0x88, Buffer.from([code >> 8, code & 255]))
  }

  #write(first: number, payload: Buffer): void {
    const { length } = payload
    const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
    head[0] = first
    head[1] = (this.#isServer ? 0 : 0x80) | (length < 126 ? length : length < 65_536 ? 126 : 127)
    if (head.length === 4) head.writeUInt16BE(length, 2)
    if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2)
    const mask = randomBytes(4)
    this.#stream.write(
      this.#isServer ? Buffer.concat([head, payload]) : Buffer.concat([head, mask, masked(payload, mask)]),
    )
  }

  #readFrame(): boolean {
    const b = this.#bytes
    if (b.length < 2) return false
    const short = b[1]! & 0x7f
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
    const isMasked = b[1]! >= 0x80
    if (isMasked !== this.#isServer) throw new Error('a frame of the wrong side')
    const at = 2 + lengthBytes + (isMasked ? 4 : 0)
    if (b.length < at) return false
    const length = short === 126 ? b.readUInt16BE(2) : short === 127 ? Number(b.readBigUInt64BE(2)) : short
    if (b.length < at + length) return false
    const payload = isMasked
      ? masked(b.subarray(at, at + length), b.subarray(at - 4, at))
      : Buffer.from(b.subarray(at, at + length))
    this.#bytes = b.subarray(at + length)
    this.#frame(b[0]! & 15, b[0]! >= 0x80, payload)
    return true
  }

  #frame(opcode: number, fin: boolean, payload: Buffer): void {
    if (opcode === 8) {
      this.#code = payload.length < 2 ? 1005 : payload.readUInt16BE(0)
      if (!this.#sentClose) this.close(this.#code)
      this.#stream.end()
      return
    }
    if (opcode > 8) return
    if (opcode !== 0) this.#isBinary = opcode === 2
    this.#parts.push(payload)
    if (!fin) return
    const message = Buffer.concat(this.#parts)
    this.#parts = []
    this.emit('message', message, this.#isBinary)
  }
}

function masked(payload: Buffer, mask: Buffer): Buffer {
  const bytes = Buffer.from(payload)
  for (let i = 0; i < bytes.length; i++) bytes[i]! ^= mask[i & 3]!
  return bytes
}
