import { CARRIES_HTTP1, TELLS_FAILURE } from '../hop/names.ts'
import { HOP_FRAME } from '../hop/room.ts'
import {
  DEFAULT_WINDOW,
  FLOW_CONTROL_ERROR,
  FRAME_HEADER,
  MAX_MAX_FRAME,
  MAX_WINDOW,
  MIN_MAX_FRAME,
  NO_ERROR,
  PROTOCOL_ERROR,
  putFrameHeader,
  putUint32,
  SETTINGS,
  uint32,
} from './frame.ts'
import type { HeadLimits } from './head.ts'
import type { Http2Options } from './options.ts'

export const HEADER_TABLE_SIZE = 1
export const ENABLE_PUSH = 2
export const MAX_CONCURRENT_STREAMS = 3
export const INITIAL_WINDOW_SIZE = 4
export const MAX_FRAME_SIZE = 5
export const MAX_HEADER_LIST_SIZE = 6
/** RFC 8441 section 3. */
export const ENABLE_CONNECT_PROTOCOL = 8

export const SETTING_BYTES = 6

/** What the peer said of itself (RFC 9113 section 6.5.2). */
export class PeerSettings {
  headerTableBytes = 4096
  /** Before the first SETTINGS come: what RFC 9113 recommends as the least, so hardly any stream is refused. */
  maxConcurrentStreams = 100
  windowBytes = DEFAULT_WINDOW
  maxFrameBytes = MIN_MAX_FRAME
  extendedConnect = false
  /** It is a sidecar, and knows what hop/ is about: its data threads. */
  hopThreads = 0
  /** It says what reached no application, or wants to hear of it. */
  tellsFailure = false
  #isKnown = false

  /** They have come. */
  get isKnown(): boolean {
    return this.#isKnown
  }

  /**
   * Reads a payload of whole settings; an error code other than NO_ERROR is one of the connection. `fromServer`: the
   * peer is one.
   */
  read(b: Buffer, from: number, to: number, fromServer: boolean): number {
    if (!this.#isKnown) {
      this.#isKnown = true
      this.maxConcurrentStreams = MAX_WINDOW
    }
    for (let at = from; at < to; at += SETTING_BYTES) {
      const error = this.#set((b[at]! << 8) | b[at + 1]!, uint32(b, at + 2), fromServer)
      if (error !== NO_ERROR) return error
    }
    return NO_ERROR
  }

  #set(name: number, value: number, fromServer: boolean): number {
    switch (name) {
      case HEADER_TABLE_SIZE:
        this.headerTableBytes = value
        break
      case ENABLE_PUSH:
        // A server must not say that it takes pushes; we never push, so a client's wish means nothing.
        if (value > 1 || (fromServer && value === 1)) return PROTOCOL_ERROR
        break
      case MAX_CONCURRENT_STREAMS:
        this.maxConcurrentStreams = value
        break
      case INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW) return FLOW_CONTROL_ERROR
        this.windowBytes = value
        break
      case MAX_FRAME_SIZE:
        if (value < MIN_MAX_FRAME || value > MAX_MAX_FRAME) return PROTOCOL_ERROR
        this.maxFrameBytes = value
        break
      case ENABLE_CONNECT_PROTOCOL:
        if (value > 1 || (value === 0 && this.extendedConnect)) return PROTOCOL_ERROR
        this.extendedConnect = value === 1
        break
      case CARRIES_HTTP1:
        this.hopThreads = value
        break
      case TELLS_FAILURE:
        this.tellsFailure = value === 1
        break
      default:
      // MAX_HEADER_LIST_SIZE is advice, and what is not known is none of our business (RFC 9113 section 6.5.2).
    }
    return NO_ERROR
  }
}

/** A SETTINGS frame of pairs of name and value. */
function settingsFrame(pairs: readonly number[]): Buffer {
  const payload = (pairs.length / 2) * SETTING_BYTES
  const frame = Buffer.alloc(FRAME_HEADER + payload)
  let at = putFrameHeader(frame, 0, payload, SETTINGS, 0, 0)
  for (let i = 0; i < pairs.length; i += 2) {
    frame[at] = pairs[i]! >> 8
    frame[at + 1] = pairs[i]!
    putUint32(frame, at + 2, pairs[i + 1]!)
    at += SETTING_BYTES
  }
  return frame
}

/** What SETTINGS_MAX_HEADER_LIST_SIZE counts for each field beside its bytes (RFC 9113 section 6.5.2). */
const LIST_OVERHEAD = 32

/**
 * What either side says first. `hopThreads`: HTTP/1.1 may be carried (0: not), over so many data threads; `more`: what
 * only one side says.
 */
export function firstSettings(
  { flow, options }: { readonly flow: { readonly streamWindow: number }; readonly options: Http2Options },
  limits: Omit<HeadLimits, 'maxTargetBytes'>,
  hopThreads: number,
  more: readonly number[],
): Buffer {
  return settingsFrame([
    HEADER_TABLE_SIZE,
    options.headerTableBytes,
    INITIAL_WINDOW_SIZE,
    flow.streamWindow,
    MAX_HEADER_LIST_SIZE,
    limits.maxHeadBytes + LIST_OVERHEAD * limits.maxHeaders,
    ...(hopThreads === 0 ? [] : [MAX_FRAME_SIZE, HOP_FRAME, CARRIES_HTTP1, hopThreads]),
    ...more,
  ])
}
