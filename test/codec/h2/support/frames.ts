import * as h2 from '../../../../proxy/codec/h2/frame.ts'
import { Decoder } from '../../../../proxy/codec/h2/hpack/decoder.ts'
import { PREFACE } from '../../../../proxy/codec/h2/preface.ts'

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly id: number
  readonly payload: Buffer
}

export function frame(type: number, flags: number, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(h2.FRAME_HEADER + payload.length)
  h2.putFrameHeader(bytes, 0, payload.length, type, flags, id)
  payload.copy(bytes, h2.FRAME_HEADER)
  return bytes
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, i) => {
    bytes.writeUInt32BE(value >>> 0, 4 * i)
  })
  return bytes
}

function integer(value: number, mask: number, flag: number): number[] {
  if (value < mask) return [flag | value]
  const bytes = [flag | mask]
  let rest = value - mask
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return [...bytes, rest]
}

/** Fields as literals that touch no table: each can be put into any block, at any place. */
export function literals(...pairs: string[]): Buffer {
  const parts: Buffer[] = []
  for (let i = 0; i < pairs.length; i += 2) {
    parts.push(Buffer.from([0]))
    for (const text of [pairs[i]!, pairs[i + 1]!])
      parts.push(Buffer.from(integer(text.length, 127, 0)), Buffer.from(text, 'latin1'))
  }
  return Buffer.concat(parts)
}

export const requestFields = (...more: string[]): string[] => [
  ':method',
  'GET',
  ':scheme',
  'http',
  ':path',
  '/',
  ':authority',
  'a',
  ...more,
]

export function headers(id: number, end: boolean, ...pairs: string[]): Buffer {
  return frame(h2.HEADERS, h2.END_HEADERS | (end ? h2.END_STREAM : 0), id, literals(...pairs))
}

export const get = (id: number, ...more: string[]): Buffer => headers(id, true, ...requestFields(...more))
export const post = (id: number, ...more: string[]): Buffer =>
  headers(id, false, ':method', 'POST', ...requestFields(...more).slice(2))
export const data = (id: number, body: string | Buffer, end = false): Buffer =>
  frame(h2.DATA, end ? h2.END_STREAM : 0, id, typeof body === 'string' ? Buffer.from(body, 'latin1') : body)
export const settings = (...pairs: number[]): Buffer => {
  const payload = Buffer.alloc(pairs.length * 3)
  for (let i = 0; i < pairs.length; i += 2) {
    payload.writeUInt16BE(pairs[i]!, i * 3)
    payload.writeUInt32BE(pairs[i + 1]!, i * 3 + 2)
  }
  return frame(h2.SETTINGS, 0, 0, payload)
}
export const settingsAck = frame(h2.SETTINGS, h2.ACK, 0)
export const windowUpdate = (id: number, increment: number): Buffer => frame(h2.WINDOW_UPDATE, 0, id, uint32(increment))
export const reset = (id: number, code: number): Buffer => frame(h2.RST_STREAM, 0, id, uint32(code))
export const ping = (text = '12345678', ack = false): Buffer => frame(h2.PING, ack ? h2.ACK : 0, 0, Buffer.from(text))
export const goaway = (lastId: number, code: number): Buffer => frame(h2.GOAWAY, 0, 0, uint32(lastId, code))
export const hello = Buffer.concat([PREFACE, settings(), settingsAck])

/** Whole frames only; throws when the bytes break off. */
export function parseFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUIntBE(at, 3)
    const payload = bytes.subarray(at + h2.FRAME_HEADER, at + h2.FRAME_HEADER + length)
    if (payload.length !== length) throw new Error('the bytes end inside a frame')
    frames.push({ type: bytes[at + 3]!, flags: bytes[at + 4]!, id: bytes.readUInt32BE(at + 5), payload })
    at += h2.FRAME_HEADER + length
  }
  return frames
}

export const typeNames = [
  'DATA',
  'HEADERS',
  'PRIORITY',
  'RST_STREAM',
  'SETTINGS',
  'PUSH_PROMISE',
  'PING',
  'GOAWAY',
  'WINDOW_UPDATE',
  'CONTINUATION',
]

/** Written frames as lines, less those that every connection begins with. */
export function linesOf(bytes: Buffer): string[] {
  const decoder = new Decoder(4096)
  const lines: string[] = []
  let isFirstUpdate = true
  let block = Buffer.alloc(0)
  for (const { type, flags, id, payload } of parseFrames(bytes)) {
    const end = (flags & h2.END_STREAM) !== 0 ? ' END_STREAM' : ''
    if (type === h2.SETTINGS || (type === h2.WINDOW_UPDATE && id === 0 && isFirstUpdate)) {
      if (type === h2.WINDOW_UPDATE) isFirstUpdate = false
      continue
    }
    if (type === h2.HEADERS || type === h2.CONTINUATION) {
      block = Buffer.concat([block, payload])
      if (type === h2.HEADERS) lines.push(`HEADERS ${id}${end}`)
      if ((flags & h2.END_HEADERS) === 0) continue
      if (!decoder.decode(block, 0, block.length, { field: (name, value) => lines.push(`  ${name}: ${value}`) }))
        throw new Error('a malformed block')
      block = Buffer.alloc(0)
    } else if (type === h2.DATA)
      lines.push(
        `DATA ${id}${end} ${payload.length > 100 ? `${payload.length} bytes` : JSON.stringify(payload.toString('latin1'))}`,
      )
    else if (type === h2.RST_STREAM) lines.push(`RST_STREAM ${id} ${h2.errorName(payload.readUInt32BE(0))}`)
    else if (type === h2.GOAWAY)
      lines.push(
        `GOAWAY ${payload.readUInt32BE(0)} ${h2.errorName(payload.readUInt32BE(4))} ${payload.toString('latin1', 8)}`.trimEnd(),
      )
    else if (type === h2.WINDOW_UPDATE) lines.push(`WINDOW_UPDATE ${id} ${payload.readUInt32BE(0)}`)
    else if (type === h2.PING)
      lines.push(`PING${(flags & h2.ACK) === 0 ? '' : ' ACK'} ${JSON.stringify(payload.toString('latin1'))}`)
    else lines.push(`${typeNames[type] ?? type} ${id}`)
  }
  return lines
}
