const DATA = 0
const HEADERS = 1
const RST_STREAM = 3
const SETTINGS = 4
const GOAWAY = 7
const END_STREAM = 1
const ACK = 1
const FRAME_HEADER = 9

const frame = (type: number, flags: number, id: number, payload: Buffer): Buffer => {
  const head = Buffer.alloc(FRAME_HEADER)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(id, 5)
  return Buffer.concat([head, payload])
}

const literal = (index: number, value: string) =>
  Buffer.concat([Buffer.from([index, value.length]), Buffer.from(value)])

/** A connection with prior knowledge and one GET on it, of fields that leave nothing in any table of HPACK. */
export function firstRequest(path: string): Buffer {
  // :method GET, :scheme http, then :path and :authority as literals with an indexed name, never indexed.
  const block = Buffer.concat([Buffer.from([0x82, 0x86]), literal(0x14, path), literal(0x11, 'bench')])
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(SETTINGS, 0, 0, Buffer.alloc(0)),
    frame(HEADERS, 4 | END_STREAM, 1, block),
  ])
}

export const settingsAck: Buffer = frame(SETTINGS, ACK, 0, Buffer.alloc(0))

/**
 * Reads frames until the answer on stream 1 is whole. Knows no HPACK: of the status it knows 200 alone, which is one
 * byte of the static table.
 */
export class Http2Reader {
  isWhole = false
  /** Settings came that want an acknowledgement. */
  mustAcknowledge = false
  #held: Buffer = Buffer.alloc(0)

  /** Throws when the answer is not a 200. */
  feed(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk])
    while (this.#held.length >= FRAME_HEADER) {
      const end = FRAME_HEADER + this.#held.readUIntBE(0, 3)
      if (this.#held.length < end) return
      this.#frame(this.#held[3]!, this.#held[4]!, this.#held.subarray(FRAME_HEADER, end))
      this.#held = this.#held.subarray(end)
    }
  }

  #frame(type: number, flags: number, payload: Buffer): void {
    if (type === RST_STREAM || type === GOAWAY) throw new Error('the proxy refused a request over HTTP/2')
    if (type === SETTINGS && (flags & ACK) === 0) this.mustAcknowledge = true
    // A change of the table's size may come before.
    if (type === HEADERS && !payload.includes(0x88)) throw new Error('a connection was not answered with 200')
    if ((type === HEADERS || type === DATA) && (flags & END_STREAM) !== 0) this.isWhole = true
  }
}
