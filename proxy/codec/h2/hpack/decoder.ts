import { isOws } from '../../bytes.ts'
import { fieldKind, isPseudo, nameKind, PLAIN } from '../fields.ts'
import { huffmanDecode } from './huffman.ts'
import { STATIC_COUNT, STATIC_NAMES, STATIC_VALUES } from './static-table.ts'

/** Takes the fields of one block, in order. */
export interface FieldSink {
  /** `kind`: of fields.ts. `sensitive`: never to be put into a table (RFC 7541 section 7.1.3). */
  field(name: string, value: string, kind: number, sensitive: boolean): void
}

const ENTRY_OVERHEAD = 32
const FIRST_SLOTS = 16
/** No field needs a longer integer, and five continuation bytes stay below 2^53. */
const MAX_INTEGER = 0x0fff_ffff
const KEPT_SCRATCH = 16 * 1024

/** The kinds of names and whole entries of the static table, as they are for dynamic entries. */
const staticNameKinds = Uint8Array.from(STATIC_NAMES, name => (name === '' ? PLAIN : nameKind(name)))
const staticKinds = Uint8Array.from(STATIC_NAMES, (_name, i) => {
  const value = STATIC_VALUES[i]!
  const bytes = Buffer.from(value, 'latin1')
  return fieldKind(staticNameKinds[i]!, value, bytes, 0, bytes.length)
})

/** Where Huffman strings are decoded to; one for the thread, because decoding never waits. */
let scratch = Buffer.allocUnsafeSlow(4096)

/**
 * One direction of a connection (RFC 7541). A block is decoded whole, in one pass; nothing of it is kept but what goes
 * into the table.
 */
export class Decoder {
  /** Ring of the dynamic table: `#newest` is index 62. */
  #names: string[] = new Array<string>(FIRST_SLOTS).fill('')
  #values: string[] = new Array<string>(FIRST_SLOTS).fill('')
  #nameKinds = new Uint8Array(FIRST_SLOTS)
  #kinds = new Uint8Array(FIRST_SLOTS)
  /** What an entry counts for in the table: the text may be shorter than what came. */
  #sizes = new Int32Array(FIRST_SLOTS)
  #newest = 0
  #count = 0
  #size = 0
  #maxSize: number
  /** What our SETTINGS allow. */
  readonly #limit: number
  #b: Buffer = scratch
  #at = 0
  #to = 0
  /** The string read last: its bytes, as they are after Huffman. */
  #text: Buffer = scratch
  #textFrom = 0
  #textTo = 0

  constructor(limit: number) {
    this.#limit = limit
    this.#maxSize = limit
  }

  /** Entries of the dynamic table, for tests. */
  get entries(): readonly (readonly [string, string])[] {
    return Array.from(
      { length: this.#count },
      (_, i) => [this.#names[this.#slot(i)]!, this.#values[this.#slot(i)]!] as const,
    )
  }

  get size(): number {
    return this.#size
  }

  /** False: a COMPRESSION_ERROR, after which nothing more can be read of the connection (RFC 9113 section 4.3). */
  decode(b: Buffer, from: number, to: number, sink: FieldSink): boolean {
    this.#b = b
    this.#at = from
    this.#to = to
    const whole = this.#decode(sink)
    this.#b = scratch
    this.#text = scratch
    if (scratch.length > KEPT_SCRATCH) scratch = Buffer.allocUnsafeSlow(KEPT_SCRATCH)
    return whole
  }

  #decode(sink: FieldSink): boolean {
    const b = this.#b
    let mayResize = true
    while (this.#at < this.#to) {
      const byte = b[this.#at]!
      if (byte >= 0x80) {
        const index = this.#integer(0x7f)
        if (index <= STATIC_COUNT) {
          if (index <= 0) return false
          sink.field(STATIC_NAMES[index]!, STATIC_VALUES[index]!, staticKinds[index]!, false)
        } else {
          const back = index - STATIC_COUNT - 1
          if (back >= this.#count) return false
          const slot = this.#slot(back)
          sink.field(this.#names[slot]!, this.#values[slot]!, this.#kinds[slot]!, false)
        }
      } else if (byte >= 0x40) {
        if (!this.#literal(sink, 0x3f, true, false)) return false
      } else if (byte >= 0x20) {
        // Only before the first field of a block (RFC 7541 section 4.2).
        const size = this.#integer(0x1f)
        if (!mayResize || size < 0 || size > this.#limit) return false
        this.#maxSize = size
        this.#evict(size)
        continue
      } else if (!this.#literal(sink, 0x0f, false, byte >= 0x10)) return false
      mayResize = false
    }
    return true
  }

  #slot(back: number): number {
    return (this.#newest - back) & (this.#names.length - 1)
  }

  #literal(sink: FieldSink, mask: number, indexed: boolean, sensitive: boolean): boolean {
    const index = this.#integer(mask)
    let name: string
    let kindOfName: number
    if (index === 0) {
      if (!this.#string()) return false
      name = this.#text.latin1Slice(this.#textFrom, this.#textTo)
      kindOfName = nameKind(name)
    } else if (index <= STATIC_COUNT) {
      if (index < 0) return false
      name = STATIC_NAMES[index]!
      kindOfName = staticNameKinds[index]!
    } else {
      const back = index - STATIC_COUNT - 1
      if (back >= this.#count) return false
      const slot = this.#slot(back)
      name = this.#names[slot]!
      kindOfName = this.#nameKinds[slot]!
    }
    if (!this.#string()) return false
    const size = name.length + this.#textTo - this.#textFrom + ENTRY_OVERHEAD
    if (!isPseudo(kindOfName)) this.#trim()
    const value = this.#text.latin1Slice(this.#textFrom, this.#textTo)
    const kind = fieldKind(kindOfName, value, this.#text, this.#textFrom, this.#textTo)
    if (indexed) this.#add(name, value, kindOfName, kind, size)
    sink.field(name, value, kind, sensitive)
    return true
  }

  /**
   * White space around a value means nothing: it is taken off, as Envoy, nghttp2 and Go do (RFC 9113 section 8.2.1
   * allows no sender to put it there).
   */
  #trim(): void {
    const b = this.#text
    while (this.#textFrom < this.#textTo && isOws(b[this.#textFrom]!)) this.#textFrom++
    while (this.#textTo > this.#textFrom && isOws(b[this.#textTo - 1]!)) this.#textTo--
  }

  /** -1: malformed. */
  #integer(mask: number): number {
    const b = this.#b
    let value = b[this.#at++]! & mask
    if (value < mask) return value
    let unit = 1
    for (let i = 0; i < 5; i++) {
      if (this.#at >= this.#to) return -1
      const byte = b[this.#at++]!
      value += (byte & 0x7f) * unit
      if (value > MAX_INTEGER) return -1
      if (byte < 0x80) return value
      unit *= 128
    }
    return -1
  }

  #string(): boolean {
    if (this.#at >= this.#to) return false
    const isHuffman = this.#b[this.#at]! >= 0x80
    const length = this.#integer(0x7f)
    const from = this.#at
    if (length < 0 || length > this.#to - from) return false
    this.#at = from + length
    if (!isHuffman) {
      this.#text = this.#b
      this.#textFrom = from
      this.#textTo = from + length
      return true
    }
    const room = Math.ceil(length * 1.6)
    if (scratch.length < room) scratch = Buffer.allocUnsafeSlow(2 * room)
    this.#text = scratch
    this.#textFrom = 0
    this.#textTo = huffmanDecode(this.#b, from, from + length, scratch)
    return this.#textTo >= 0
  }

  #add(name: string, value: string, kindOfName: number, kind: number, size: number): void {
    // One larger than the table empties it, and that is no error (RFC 7541 section 4.4).
    this.#evict(this.#maxSize - size)
    if (size > this.#maxSize) return
    if (this.#count === this.#names.length) this.#grow()
    const slot = (this.#newest + 1) & (this.#names.length - 1)
    this.#newest = slot
    this.#names[slot] = name
    this.#values[slot] = value
    this.#nameKinds[slot] = kindOfName
    this.#kinds[slot] = kind
    this.#sizes[slot] = size
    this.#count++
    this.#size += size
  }

  #evict(size: number): void {
    while (this.#size > size && this.#count > 0) {
      const slot = this.#slot(this.#count - 1)
      this.#size -= this.#sizes[slot]!
      this.#names[slot] = ''
      this.#values[slot] = ''
      this.#count--
    }
  }

  #grow(): void {
    const { length } = this.#names
    const order = Array.from({ length }, (_, i) => this.#slot(length - 1 - i))
    const padding = new Array<string>(length).fill('')
    const nameKinds = new Uint8Array(length * 2)
    const kinds = new Uint8Array(length * 2)
    const sizes = new Int32Array(length * 2)
    order.forEach((slot, i) => {
      nameKinds[i] = this.#nameKinds[slot]!
      kinds[i] = this.#kinds[slot]!
      sizes[i] = this.#sizes[slot]!
    })
    this.#names = [...order.map(slot => this.#names[slot]!), ...padding]
    this.#values = [...order.map(slot => this.#values[slot]!), ...padding]
    this.#nameKinds = nameKinds
    this.#kinds = kinds
    this.#sizes = sizes
    this.#newest = length - 1
  }
}
