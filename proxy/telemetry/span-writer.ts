import type { TraceContext } from '../core/trace.ts'

/** What is known of a span beforehand: `kind` of OTLP (opentelemetry/proto/trace/v1/trace.proto). */
export const INTERNAL = 1
export const SERVER = 2
export const CLIENT = 3

/** No span gets larger; attributes that would not fit are left out and counted. */
export const MAX_SPAN_BYTES = 16 * 1024
/** What comes after the attributes: events, status. */
const TAIL_BYTES = 64
/** Of a text from outside, in characters. */
const LONGEST_TEXT = 256
const TWO_32 = 0x1_0000_0000

// Tags: field number * 8 + wire type.
const SPAN = 0x12
const TRACE_ID = 0x0a
const SPAN_ID = 0x12
const STATE = 0x1a
const PARENT_ID = 0x22
const NAME = 0x2a
const KIND = 0x30
const START = 0x39
const END = 0x41
const ATTRIBUTE = 0x4a
const DROPPED = 0x50
const EVENT = 0x5a
const EVENT_TIME = 0x09
const EVENT_NAME = 0x12
const EVENT_ATTRIBUTE = 0x1a
const STATUS = 0x7a
const STATUS_MESSAGE = 0x12
const STATUS_CODE = 0x18
const ERROR = 2
/** Field 16. */
const FLAGS = [0x85, 0x01] as const
const KNOWS_REMOTE = 0x100
const IS_REMOTE = 0x200
const VALUE = 0x12
const STRING = 0x0a
const BOOL = 0x10
const INT = 0x18
const DOUBLE = 0x21
const ARRAY = 0x2a

/** The name of an attribute, as its field of `KeyValue`. */
export type Key = Uint8Array

export function key(name: string): Key {
  return Uint8Array.from([0x0a, name.length, ...Buffer.from(name)])
}

const double = new Float64Array(1)
const doubleBytes = new Uint8Array(double.buffer)

/**
 * Writes one span behind the other, each as a field of OTLP's `ScopeSpans`, into the same memory. By hand, because it
 * runs on the data thread: nothing is allocated, and nothing is done twice. Texts are bounded and always valid UTF-8.
 */
export class SpanWriter {
  readonly #bytes: Buffer
  #length = 0
  /** Of the span that is being written. */
  #start = 0
  #tag = ATTRIBUTE
  #dropped = 0
  #event = 0

  /** There is always room for `MAX_SPAN_BYTES` behind `at` when a span begins. */
  constructor(memory: ArrayBufferLike) {
    this.#bytes = Buffer.from(memory)
  }

  /** A parent of 0: the trace begins here; `isRemote`: the parent is another process's. */
  begin(
    { trace0, trace1, trace2, trace3 }: TraceContext,
    spanHigh: number,
    spanLow: number,
    parentHigh: number,
    parentLow: number,
    isRemote: boolean,
    flags: number,
  ): void {
    this.#start = this.#length
    this.#tag = ATTRIBUTE
    this.#dropped = 0
    const bytes = this.#bytes
    bytes[this.#start] = SPAN
    // Room for a length of two bytes.
    this.#length = this.#start + 3
    bytes[this.#length++] = TRACE_ID
    bytes[this.#length++] = 16
    this.#word(trace0)
    this.#word(trace1)
    this.#word(trace2)
    this.#word(trace3)
    this.#spanId(SPAN_ID, spanHigh, spanLow)
    const hasParent = (parentHigh | parentLow) !== 0
    if (hasParent) this.#spanId(PARENT_ID, parentHigh, parentLow)
    bytes[this.#length++] = FLAGS[0]
    bytes[this.#length++] = FLAGS[1]
    this.#fixed32(flags | (hasParent ? KNOWS_REMOTE | (isRemote ? IS_REMOTE : 0) : 0))
  }

  state(value: string): void {
    if (value !== '') this.#field(STATE, value, 1024)
  }

  /** `from`, `to`: milliseconds since the epoch, with a fraction. */
  what(name: string, kind: number, from: number, to: number): void {
    this.#field(NAME, name, LONGEST_TEXT)
    this.#bytes[this.#length++] = KIND
    this.#bytes[this.#length++] = kind
    this.#time(START, from)
    this.#time(END, Math.max(from, to))
  }

  /** Empty: left out. */
  text(name: Key, value: string): void {
    const count = value.length < LONGEST_TEXT ? value.length : LONGEST_TEXT
    if (count === 0) return
    if (!this.#room(name.length + count * 3 + 12)) return
    const bytes = this.#bytes
    // As if all of it were ASCII.
    const any = count < 128 ? count + 2 : count + 3
    let at = this.#head(name, any)
    bytes[at++] = STRING
    if (count < 128) bytes[at++] = count
    else {
      bytes[at++] = (count & 127) | 128
      bytes[at++] = count >> 7
    }
    for (let i = 0; i < count; i++) {
      const code = value.charCodeAt(i)
      if (code > 127) return this.#wideText(name, value.slice(0, count))
      bytes[at + i] = code
    }
    this.#length = at + count
  }

  /** `{a}{b}{c}`, as one value. */
  joined(name: Key, a: string, b: string, c: string): void {
    const count = a.length + b.length + c.length
    if (count > 127) return this.text(name, a + b + c)
    if (!this.#room(name.length + count * 3 + 12)) return
    const bytes = this.#bytes
    let at = this.#head(name, count + 2)
    bytes[at++] = STRING
    bytes[at++] = count
    let any = 0
    for (let i = 0; i < a.length; i++) any |= bytes[at++] = a.charCodeAt(i)
    for (let i = 0; i < b.length; i++) any |= bytes[at++] = b.charCodeAt(i)
    for (let i = 0; i < c.length; i++) any |= bytes[at++] = c.charCodeAt(i)
    if (any > 127) this.text(name, a + b + c)
    else this.#length = at
  }

  #wideText(name: Key, value: string): void {
    const bytes = this.#bytes
    const count = Buffer.byteLength(value)
    let at = this.#head(name, count + 1 + sizeOf(count))
    bytes[at++] = STRING
    at = this.#varintAt(at, count)
    this.#length = at + bytes.write(value, at)
  }

  /** Several texts as one array. */
  texts(name: Key, values: readonly string[]): void {
    let size = 0
    for (const value of values) size += Buffer.byteLength(value.slice(0, LONGEST_TEXT)) + 6
    if (values.length === 0 || !this.#room(name.length + size + 16)) return
    const item = (value: string) => {
      const count = Buffer.byteLength(value)
      return count + 1 + sizeOf(count)
    }
    const shown = values.map(value => value.slice(0, LONGEST_TEXT))
    const list = shown.reduce((sum, value) => sum + item(value) + 1 + sizeOf(item(value)), 0)
    const bytes = this.#bytes
    let at = this.#head(name, list + 1 + sizeOf(list))
    bytes[at++] = ARRAY
    at = this.#varintAt(at, list)
    for (const value of shown) {
      bytes[at++] = 0x0a
      at = this.#varintAt(at, item(value))
      bytes[at++] = STRING
      at = this.#varintAt(at, Buffer.byteLength(value))
      at += bytes.write(value, at)
    }
    this.#length = at
  }

  /** A whole number from 0 on. */
  int(name: Key, value: number): void {
    if (!this.#room(name.length + 20)) return
    const at = this.#head(name, 1 + sizeOf(value))
    this.#bytes[at] = INT
    this.#length = this.#varintAt(at + 1, value)
  }

  bool(name: Key, value: boolean): void {
    if (!this.#room(name.length + 16)) return
    const at = this.#head(name, 2)
    this.#bytes[at] = BOOL
    this.#bytes[at + 1] = value ? 1 : 0
    this.#length = at + 2
  }

  double(name: Key, value: number): void {
    if (!this.#room(name.length + 24)) return
    const at = this.#head(name, 9)
    this.#bytes[at] = DOUBLE
    double[0] = value
    for (let i = 0; i < 8; i++) this.#bytes[at + 1 + i] = doubleBytes[i]!
    this.#length = at + 9
  }

  /** The attributes that follow, until `endEvent`, are its own. */
  event(name: string, time: number): void {
    this.#event = 0
    if (!this.#room(name.length + 32)) return
    this.#bytes[this.#length++] = EVENT
    // Room for a length of two bytes, as with a span.
    this.#length += 2
    this.#event = this.#length
    this.#time(EVENT_TIME, time)
    this.#field(EVENT_NAME, name, 64)
    this.#tag = EVENT_ATTRIBUTE
  }

  endEvent(): void {
    if (this.#event !== 0) this.#close(this.#event)
    this.#tag = ATTRIBUTE
  }

  error(message: string): void {
    const size = message === '' ? 0 : Buffer.byteLength(message.slice(0, LONGEST_TEXT))
    const isShown = size > 0 && this.#room(size + 24)
    this.#bytes[this.#length++] = STATUS
    const inner = 2 + (isShown ? size + 1 + sizeOf(size) : 0)
    this.#length = this.#varintAt(this.#length, inner)
    if (isShown) this.#field(STATUS_MESSAGE, message, LONGEST_TEXT)
    this.#bytes[this.#length++] = STATUS_CODE
    this.#bytes[this.#length++] = ERROR
  }

  /** The span is whole: how many bytes it has. */
  end(): number {
    if (this.#dropped !== 0) {
      this.#bytes[this.#length++] = DROPPED
      this.#length = this.#varintAt(this.#length, this.#dropped)
    }
    this.#close(this.#start + 3)
    return this.#length - this.#start
  }

  /** Where the next span begins. */
  get at(): number {
    return this.#length
  }

  set at(at: number) {
    this.#length = at
  }

  // ── attributes that many spans have ──

  /** For `since`. */
  get mark(): number {
    return this.#length
  }

  /** What was written since, for `put`. */
  since(mark: number): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#bytes, mark, this.#length)
  }

  /** Attributes that were written before, for another span. */
  put(attributes: Uint8Array): void {
    const { length } = attributes
    if (!this.#room(length)) return
    const bytes = this.#bytes
    const at = this.#length
    // `set` takes three times as long: for memory that several threads see it copies as for atomics.
    for (let i = 0; i < length; i++) bytes[at + i] = attributes[i]!
    this.#length = at + length
  }

  // ── bytes ──

  /** Writes the length of what began at `start`, for which two bytes were left. */
  #close(start: number): void {
    const bytes = this.#bytes
    const size = this.#length - start
    if (size < 128) {
      bytes.copyWithin(start - 1, start, this.#length)
      bytes[start - 2] = size
      this.#length--
    } else {
      bytes[start - 2] = (size & 127) | 128
      bytes[start - 1] = size >> 7
    }
  }

  #room(size: number): boolean {
    if (this.#length - this.#start + size + TAIL_BYTES <= MAX_SPAN_BYTES) return true
    this.#dropped++
    return false
  }

  /** Of a `KeyValue` whose `AnyValue` has `value` bytes; returns where that begins. */
  #head(name: Key, value: number): number {
    const bytes = this.#bytes
    const size = name.length
    let at = this.#length
    bytes[at++] = this.#tag
    at = this.#varintAt(at, size + 1 + sizeOf(value) + value)
    for (let i = 0; i < size; i++) bytes[at + i] = name[i]!
    at += size
    bytes[at++] = VALUE
    return this.#varintAt(at, value)
  }

  #varintAt(at: number, value: number): number {
    const bytes = this.#bytes
    for (; value > 0x7fff_ffff; value = Math.floor(value / 128)) bytes[at++] = (value % 128) | 128
    for (; value > 127; value >>>= 7) bytes[at++] = (value & 127) | 128
    bytes[at++] = value
    return at
  }

  #field(tag: number, value: string, most: number): void {
    const bytes = this.#bytes
    const start = this.#length
    const count = value.length < most ? value.length : most
    bytes[start] = tag
    let at = this.#varintAt(start + 1, count)
    for (let i = 0; i < count; i++) {
      const code = value.charCodeAt(i)
      if (code > 127) return this.#wideField(start + 1, value.slice(0, count))
      bytes[at++] = code
    }
    this.#length = at
  }

  #wideField(start: number, value: string): void {
    const at = this.#varintAt(start, Buffer.byteLength(value))
    this.#length = at + this.#bytes.write(value, at)
  }

  #spanId(tag: number, high: number, low: number): void {
    this.#bytes[this.#length++] = tag
    this.#bytes[this.#length++] = 8
    this.#word(high)
    this.#word(low)
  }

  /** Of an id: the first byte is the highest. */
  #word(word: number): void {
    const bytes = this.#bytes
    const at = this.#length
    bytes[at] = word >>> 24
    bytes[at + 1] = (word >>> 16) & 255
    bytes[at + 2] = (word >>> 8) & 255
    bytes[at + 3] = word & 255
    this.#length = at + 4
  }

  #fixed32(value: number): void {
    const bytes = this.#bytes
    const at = this.#length
    bytes[at] = value & 255
    bytes[at + 1] = (value >>> 8) & 255
    bytes[at + 2] = (value >>> 16) & 255
    bytes[at + 3] = value >>> 24
    this.#length = at + 4
  }

  /** Nanoseconds, exact to some 100 of them: as much as a double has. */
  #time(tag: number, milliseconds: number): void {
    const nanos = milliseconds * 1e6
    const high = Math.floor(nanos / TWO_32)
    this.#bytes[this.#length++] = tag
    this.#fixed32(Math.floor(nanos - high * TWO_32))
    this.#fixed32(high)
  }
}

/** How many bytes a varint has. */
function sizeOf(value: number): number {
  let size = 1
  for (; value > 127; value = Math.floor(value / 128)) size++
  return size
}
