/** Frame types (RFC 9113 section 6). */
export const DATA = 0
export const HEADERS = 1
export const PRIORITY = 2
export const RST_STREAM = 3
export const SETTINGS = 4
export const PUSH_PROMISE = 5
export const PING = 6
export const GOAWAY = 7
export const WINDOW_UPDATE = 8
export const CONTINUATION = 9

/** Flags. */
export const END_STREAM = 0x1
export const ACK = 0x1
export const END_HEADERS = 0x4
export const PADDED = 0x8
export const WITH_PRIORITY = 0x20

/** Error codes (RFC 9113 section 7). */
export const NO_ERROR = 0
export const PROTOCOL_ERROR = 1
export const INTERNAL_ERROR = 2
export const FLOW_CONTROL_ERROR = 3
export const SETTINGS_TIMEOUT = 4
export const STREAM_CLOSED = 5
export const FRAME_SIZE_ERROR = 6
export const REFUSED_STREAM = 7
export const CANCEL = 8
export const COMPRESSION_ERROR = 9
export const ENHANCE_YOUR_CALM = 11
export const HTTP_1_1_REQUIRED = 13

const errorNames = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
]

/** For people: a code that is not known is none to fail on (RFC 9113 section 7). */
export function errorName(code: number): string {
  return errorNames[code] ?? `error ${code}`
}

export const FRAME_HEADER = 9
/** What every peer must take, and what we take (RFC 9113 section 4.2). */
export const MIN_MAX_FRAME = 16_384
export const MAX_MAX_FRAME = 16_777_215
export const MAX_WINDOW = 0x7fff_ffff
export const MAX_STREAM_ID = 0x7fff_ffff
/** Both windows before any SETTINGS (RFC 9113 section 6.9.2). */
export const DEFAULT_WINDOW = 65_535

export function putUint32(b: Buffer, at: number, value: number): void {
  b[at] = value >>> 24
  b[at + 1] = value >>> 16
  b[at + 2] = value >>> 8
  b[at + 3] = value
}

/** The nine bytes before a payload; returns where it begins. */
export function putFrameHeader(b: Buffer, at: number, length: number, type: number, flags: number, id: number): number {
  b[at] = length >>> 16
  b[at + 1] = length >>> 8
  b[at + 2] = length
  b[at + 3] = type
  b[at + 4] = flags
  putUint32(b, at + 5, id)
  return at + FRAME_HEADER
}

export function uint32(b: Buffer, at: number): number {
  return ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0
}

/** A stream id or an increment: the first bit means nothing (RFC 9113 section 4.1). */
export function uint31(b: Buffer, at: number): number {
  return ((b[at]! & 0x7f) << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!
}
