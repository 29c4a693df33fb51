/**
 * The wire format of Protocol Buffers (protobuf.dev/programming-guides/encoding), as far as the proxy speaks it. Which
 * field is what, the callers know: nothing here reads a schema.
 */

const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5

const TWO_32 = 0x1_0000_0000
/** A number field of 64 bits has no more bytes as a varint. */
const MAX_VARINT = 10

/**
 * Writes one message after the other into one buffer that grows, up to `limit` bytes. What would be more is not written:
 * `isFull` says so until `clear`, and what was written since is to be thrown away.
 */
export class ProtoWriter {
  isFull = false
  #buffer: Buffer
  #length = 0
  readonly #limit: number

  constructor(capacity: number, limit: number) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity)
    this.#limit = limit
  }

  get length(): number {
    return this.#length
  }

  clear(): void {
    this.#length = 0
    this.isFull = false
  }

  /** A view of what was written: good until the next call of any method. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** A copy of what was written. */
  copy(): Buffer {
    return Buffer.from(this.view())
  }

  // ── fields ──

  /** uint32, uint64, enum, or a positive int32 or int64; at most 2^53. */
  uint(field: number, value: number): void {
    if (!this.#room(MAX_VARINT * 2)) return
    this.#raw(field * 8 + VARINT)
    this.#raw(value)
  }

  /** int32 or int64; within 2^53 of zero. */
  int(field: number, value: number): void {
    if (value >= 0) return this.uint(field, value)
    if (!this.#room(MAX_VARINT * 2)) return
    this.#raw(field * 8 + VARINT)
    // Two's complement of 64 bits, ten bytes.
    let rest = BigInt.asUintN(64, BigInt(value))
    for (; rest > 127n; rest >>= 7n) this.#buffer[this.#length++] = Number(rest & 127n) | 128
    this.#buffer[this.#length++] = Number(rest)
  }

  bool(field: number, value: boolean): void {
    this.uint(field, value ? 1 : 0)
  }

  /** fixed64: any positive number below 2^64, as exact as a double is. */
  fixed64(field: number, value: number): void {
    if (!this.#room(MAX_VARINT + 8)) return
    this.#raw(field * 8 + FIXED64)
    const high = Math.floor(value / TWO_32)
    this.#buffer.writeUInt32LE(Math.floor(value - high * TWO_32), this.#length)
    this.#buffer.writeUInt32LE(high, this.#length + 4)
    this.#length += 8
  }

  fixed32(field: number, value: number): void {
    if (!this.#room(MAX_VARINT + 4)) return
    this.#raw(field * 8 + FIXED32)
    this.#buffer.writeUInt32LE(value, this.#length)
    this.#length += 4
  }

  double(field: number, value: number): void {
    if (!this.#room(MAX_VARINT + 8)) return
    this.#raw(field * 8 + FIXED64)
    this.#buffer.writeDoubleLE(value, this.#length)
    this.#length += 8
  }

  /** As UTF-8; a lone surrogate becomes U+FFFD. */
  string(field: number, value: string): void {
    // One UTF-16 unit is at most three bytes.
    const most = value.length * 3
    if (most < 128) {
      if (!this.#room(MAX_VARINT + 1 + most)) return
      this.#raw(field * 8 + LENGTH)
      const at = this.#length++
      const bytes = this.#buffer.write(value, this.#length)
      this.#buffer[at] = bytes
      this.#length += bytes
      return
    }
    const bytes = Buffer.byteLength(value)
    if (!this.#room(MAX_VARINT * 2 + bytes)) return
    this.#raw(field * 8 + LENGTH)
    this.#raw(bytes)
    this.#buffer.write(value, this.#length)
    this.#length += bytes
  }

  bytes(field: number, value: Uint8Array): void {
    if (!this.#room(MAX_VARINT * 2 + value.length)) return
    this.#raw(field * 8 + LENGTH)
    this.#raw(value.length)
    this.#buffer.set(value, this.#length)
    this.#length += value.length
  }

  /** Begins a message inside this one, or a packed list. Returns what `close` needs. */
  open(field: number): number {
    if (!this.#room(MAX_VARINT + 1)) return -1
    this.#raw(field * 8 + LENGTH)
    this.#length++
    return this.#length
  }

  /** Ends the message that `open` began. Its length stands before it, so a long one is moved by some bytes. */
  close(mark: number): void {
    if (mark < 0 || this.isFull) return
    const bytes = this.#length - mark
    const more = varintBytes(bytes) - 1
    if (more > 0) {
      if (!this.#room(more)) return
      this.#buffer.copyWithin(mark + more, mark, this.#length)
    }
    this.#length = mark - 1
    this.#raw(bytes)
    this.#length += bytes
  }

  /** One value of a packed list of uint32 or uint64. */
  packed(value: number): void {
    if (this.#room(MAX_VARINT)) this.#raw(value)
  }

  /** Fields that were written elsewhere. */
  fields(bytes: Uint8Array): void {
    if (!this.#room(bytes.length)) return
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  #raw(value: number): void {
    const buffer = this.#buffer
    let length = this.#length
    let rest = value
    // Operators on bits take 32 of them only.
    for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 128)) buffer[length++] = (rest % 128) | 128
    for (; rest > 127; rest >>>= 7) buffer[length++] = (rest & 127) | 128
    buffer[length++] = rest
    this.#length = length
  }

  #room(bytes: number): boolean {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length && !this.isFull) return true
    // The bytes asked for are the most it may take, so the last few below the limit may go unused.
    if (this.isFull || needed > this.#limit) {
      this.isFull = true
      return false
    }
    const grown = Buffer.allocUnsafeSlow(Math.min(this.#limit, Math.max(needed, this.#buffer.length * 2)))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
    return true
  }
}

/** How many bytes it has as a varint. */
function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) bytes++
  return bytes
}

/**
 * Reads a message field by field, and nothing outside of it. Never throws: what breaks a rule ends the message, and
 * `problem` says what it was. After `next`, exactly one of the reading methods is called.
 */
export class ProtoReader {
  /** Empty: nothing is wrong so far. */
  problem = ''
  /** The number of the field that `next` found. */
  field = 0
  #type = 0
  readonly #buffer: Buffer
  #at: number
  #end: number

  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#at = from
    this.#end = to
  }

  /** False: the message is over, or `problem` says why it goes no further. */
  next(): boolean {
    if (this.#at >= this.#end || this.problem !== '') return false
    const tag = this.#raw()
    if (this.problem !== '') return false
    this.field = Math.floor(tag / 8)
    this.#type = tag % 8
    if (this.field >= 1 && this.field < 0x2000_0000) return true
    return this.#fail(`a field with the number ${this.field}`)
  }

  /** uint32, uint64, bool or enum. */
  uint(): number {
    return this.#is(VARINT) ? this.#raw() : 0
  }

  bool(): boolean {
    return this.uint() !== 0
  }

  double(): number {
    if (!this.#is(FIXED64) || !this.#has(8)) return 0
    this.#at += 8
    return this.#buffer.readDoubleLE(this.#at - 8)
  }

  fixed64(): number {
    if (!this.#is(FIXED64) || !this.#has(8)) return 0
    this.#at += 8
    return this.#buffer.readUInt32LE(this.#at - 8) + this.#buffer.readUInt32LE(this.#at - 4) * TWO_32
  }

  /** A view into the message. */
  bytes(): Buffer {
    const length = this.#length()
    this.#at += length
    return this.#buffer.subarray(this.#at - length, this.#at)
  }

  /** Longer than `most` bytes, or no UTF-8: a problem. */
  string(most: number): string {
    const length = this.#length()
    if (length > most) {
      this.#fail(`a text of ${length} bytes in field ${this.field}, where at most ${most} may be`)
      return ''
    }
    const bytes = this.#buffer.subarray(this.#at, this.#at + length)
    this.#at += length
    const text = bytes.toString()
    // What is no UTF-8 was replaced, and a replaced byte is three of another value.
    if (text.includes('\ufffd') && !Buffer.from(text).equals(bytes)) this.#fail(`field ${this.field} is no UTF-8`)
    return text
  }

  /** A message in this field, which `read` reads with this reader: it ends where that message ends. */
  message<Value>(read: (reader: ProtoReader) => Value): Value {
    const outer = this.#end
    const length = this.#length()
    const end = this.#at + length
    this.#end = this.problem === '' ? end : this.#at
    const value = read(this)
    this.#end = outer
    if (this.problem === '') this.#at = end
    return value
  }

  skip(): void {
    if (this.#type === VARINT) this.#raw(true)
    else if (this.#type === LENGTH) this.bytes()
    else if (this.#type === FIXED64 || this.#type === FIXED32) {
      const bytes = this.#type === FIXED64 ? 8 : 4
      if (this.#has(bytes)) this.#at += bytes
    } else this.#fail(`field ${this.field} has the wire type ${this.#type}`)
  }

  /** `isSkipped`: any 64 bits will do; else more than a number can hold is a problem. */
  #raw(isSkipped = false): number {
    let value = 0
    let factor = 1
    for (let count = 0; count < MAX_VARINT; count++) {
      if (!this.#has(1)) return 0
      const byte = this.#buffer[this.#at++]!
      value += (byte & 127) * factor
      factor *= 128
      if (byte > 127) continue
      if (!isSkipped && value > Number.MAX_SAFE_INTEGER) this.#fail(`a number above 2^53 in field ${this.field}`)
      return value
    }
    this.#fail(`a number of more than ${MAX_VARINT} bytes`)
    return 0
  }

  #length(): number {
    if (!this.#is(LENGTH)) return 0
    const length = this.#raw()
    return this.problem === '' && this.#has(length) ? length : 0
  }

  #is(type: number): boolean {
    if (this.#type === type) return true
    return this.#fail(`field ${this.field} has the wire type ${this.#type}, and not ${type}`)
  }

  #has(bytes: number): boolean {
    if (this.#end - this.#at >= bytes) return true
    return this.#fail(`it ends ${bytes - (this.#end - this.#at)} bytes too early`)
  }

  #fail(problem: string): false {
    if (this.problem === '') this.problem = problem
    // Nothing is read behind the first problem.
    this.#at = this.#end
    return false
  }
}
