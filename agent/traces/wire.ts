import { isUtf8 } from 'node:buffer'
import type { Field, Kind, MessageType } from './messages.ts'

/** Reading and writing protobuf as bytes: https://protobuf.dev/programming-guides/encoding/ */

export const VARINT = 0
export const FIXED64 = 1
export const DELIMITED = 2
export const FIXED32 = 5

/** Deeper values do not come from any program; a recursion must end. */
const MAX_DEPTH = 64

/** What is wrong with bytes, for whoever sent them. */
export class Malformed extends Error {}

/** Goes through the fields of one message; `next` moves to the next one. */
export class Fields {
  number = 0
  wire = 0
  /** Of the field with its tag. */
  start = 0
  /** Of its content: of a DELIMITED one without its length. */
  from = 0
  end = 0
  /** Of a VARINT: its low 53 bits. */
  value = 0
  readonly bytes: Buffer
  #at: number
  readonly #limit: number

  constructor(bytes: Buffer, from = 0, limit = bytes.length) {
    this.bytes = bytes
    this.#at = from
    this.#limit = limit
  }

  /** False: there are no more. Throws `Malformed`. */
  next(): boolean {
    if (this.#at >= this.#limit) return false
    this.start = this.#at
    const tag = this.#varint()
    this.number = Math.floor(tag / 8)
    this.wire = tag % 8
    if (this.number === 0 || this.number > 0x1fffffff) throw new Malformed(`there is no field ${this.number}`)
    this.from = this.#at
    switch (this.wire) {
      case VARINT:
        this.value = this.#varint()
        break
      case DELIMITED: {
        const length = this.#varint()
        this.from = this.#at
        this.#at += length
        break
      }
      case FIXED64:
        this.#at += 8
        break
      case FIXED32:
        this.#at += 4
        break
      default:
        throw new Malformed(`wire type ${this.wire} is not used`)
    }
    if (this.#at > this.#limit) throw new Malformed('a field is longer than its message')
    this.end = this.#at
    return true
  }

  #varint(): number {
    const { bytes } = this
    let value = 0
    let factor = 1
    for (let count = 0; count < 10; count++) {
      if (this.#at >= this.#limit) throw new Malformed('a number ends too early')
      const byte = bytes[this.#at++]!
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      factor *= 128
    }
    throw new Malformed('a number has more than 10 bytes')
  }
}

const wireOf: Readonly<Record<Kind, number>> = {
  string: DELIMITED,
  bytes: DELIMITED,
  id: DELIMITED,
  message: DELIMITED,
  bool: VARINT,
  int64: VARINT,
  uint32: VARINT,
  enum: VARINT,
  double: FIXED64,
  fixed64: FIXED64,
  fixed32: FIXED32,
}

/**
 * Throws `Malformed` where the bytes are no such message: one that a strict receiver would refuse, along with all
 * others of its batch.
 */
export function checkMessage(type: MessageType, bytes: Buffer, from: number, end: number, depth = 0): void {
  if (depth > MAX_DEPTH) throw new Malformed(`${type.name} is nested deeper than ${MAX_DEPTH}`)
  const fields = new Fields(bytes, from, end)
  while (fields.next()) {
    const field = type.fields[fields.number]
    if (field === undefined) continue
    if (fields.wire !== wireOf[field.kind])
      throw new Malformed(`${type.name}.${field.name} is written as something else`)
    if (field.kind === 'message') checkMessage(field.type!, bytes, fields.from, fields.end, depth + 1)
    else if (field.kind === 'string') checkText(type, field, bytes, fields.from, fields.end)
  }
}

function checkText(type: MessageType, field: Field, bytes: Buffer, from: number, end: number): void {
  for (let at = from; at < end; at++) {
    if (bytes[at]! < 0x80) continue
    if (!isUtf8(bytes.subarray(at, end))) throw new Malformed(`${type.name}.${field.name} is not UTF-8`)
    return
  }
}

/** How many bytes a length or tag takes. */
export function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) length++
  return length
}

/** Gives back where it ends. */
export function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value
  let position = at
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes[position++] = (rest % 128) | 0x80
  bytes[position++] = rest
  return position
}

/** A field of parts that are there already: tag, length, and the parts one after the other. */
export function delimited(number: number, parts: readonly Buffer[]): Buffer {
  let length = 0
  for (const part of parts) length += part.length
  const tag = number * 8 + DELIMITED
  const bytes = Buffer.allocUnsafe(varintLength(tag) + varintLength(length) + length)
  let at = writeVarint(bytes, writeVarint(bytes, 0, tag), length)
  for (const part of parts) {
    part.copy(bytes, at)
    at += part.length
  }
  return bytes
}

export function varintField(number: number, value: number): Buffer {
  const bytes = Buffer.allocUnsafe(varintLength(number * 8) + varintLength(value))
  writeVarint(bytes, writeVarint(bytes, 0, number * 8 + VARINT), value)
  return bytes
}
