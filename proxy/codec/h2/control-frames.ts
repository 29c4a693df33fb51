import type { Clock } from '../../core/clock.ts'
import { printable } from '../../core/printable.ts'
import { NO_BYTES } from '../bytes.ts'
import {
  ACK,
  CONTINUATION,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  errorName,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  GOAWAY,
  HEADERS,
  NO_ERROR,
  PADDED,
  PING,
  PRIORITY,
  PROTOCOL_ERROR,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  uint31,
  uint32,
  WINDOW_UPDATE,
  WITH_PRIORITY,
} from './frame.ts'
import type { FrameWriter } from './frame-writer.ts'
import type { Guard } from './options.ts'
import type { SendLine } from './send-line.ts'
import { type PeerSettings, SETTING_BYTES } from './settings.ts'
import type { Side } from './side.ts'
import type { Http2Stream } from './stream.ts'

const SELF_DEPENDENCY = 'a stream that depends on itself (RFC 7540 section 5.3.1)'
const MAX_DEBUG = 200

/** What they need of the host. */
export interface ControlHost {
  readonly side: Side
  readonly streams: ReadonlyMap<number, Http2Stream>
  readonly writer: FrameWriter
  readonly line: SendLine
  readonly peer: PeerSettings
  readonly clock: Clock
  readonly options: { readonly maxContinuations: number }
  /** One more frame that makes work and carries nothing; false: too many. */
  mayChat(): boolean
  mayReset(): boolean
  /** For an answer that the peer makes us give. */
  reply(): FrameWriter
  /** Looks at the time again at `at` at the latest. */
  wake(at: number): void
  pingAnswered(kind: number): void
  streamError(stream: Http2Stream, code: number, detail: string): void
  connectionError(code: number, detail: string, guard: Guard | null): void
}

/** Every frame but DATA: checked by the letter of RFC 9113 section 6, and handed to whom it concerns. */
export class ControlFrames {
  /** When our SETTINGS must be acknowledged; 0: they are. */
  #settingsDueAt: number
  readonly #host: ControlHost
  readonly #maxBlock: number
  #hasSettings = false
  /** The stream whose block goes on in CONTINUATION frames; 0: none. */
  #blockId = 0
  #blockEnds = false
  #blockProblem = ''
  #block: Buffer = NO_BYTES
  #blockLength = 0
  #continuations = 0

  constructor(host: ControlHost, maxBlockBytes: number, settingsDueAt: number) {
    this.#host = host
    this.#maxBlock = maxBlockBytes
    this.#settingsDueAt = settingsDueAt
  }

  get isInBlock(): boolean {
    return this.#blockId !== 0
  }

  isSettingsLate(now: number): boolean {
    if (this.#settingsDueAt === 0) return false
    if (now >= this.#settingsDueAt) return true
    this.#host.wake(this.#settingsDueAt)
    return false
  }

  /** DATA may stand here; else the connection is over. */
  mayHaveData(): boolean {
    if (this.#hasSettings && this.#blockId === 0) return true
    this.#wrong(
      this.#hasSettings
        ? 'a frame inside a header block (RFC 9113 section 6.10)'
        : 'the first frame is not SETTINGS (RFC 9113 section 3.4)',
    )
    return false
  }

  #wrong(detail: string, code: number = PROTOCOL_ERROR): void {
    this.#host.connectionError(code, detail, null)
  }

  frame(type: number, flags: number, id: number, b: Buffer, from: number, to: number): void {
    if (!this.#hasSettings && (type !== SETTINGS || (flags & ACK) !== 0))
      return this.#wrong('the first frame is not SETTINGS (RFC 9113 section 3.4)')
    if (this.#blockId !== 0 && (type !== CONTINUATION || id !== this.#blockId))
      return this.#wrong('a frame inside a header block (RFC 9113 section 6.10)')
    switch (type) {
      case HEADERS:
        return this.#headers(flags, id, b, from, to)
      case CONTINUATION:
        return this.#continuation(flags, b, from, to)
      case WINDOW_UPDATE:
        return this.#windowUpdate(id, b, from, to)
      case RST_STREAM:
        return this.#resetStream(id, b, from, to)
      case SETTINGS:
        return this.#settings(flags, id, b, from, to)
      case PING:
        return this.#ping(flags, id, b, from, to)
      case GOAWAY:
        return this.#goaway(id, b, from, to)
      case PRIORITY:
        return this.#priority(id, b, from, to)
      case PUSH_PROMISE:
        return this.#wrong('PUSH_PROMISE, which we never allow (RFC 9113 section 8.4)')
      default:
        // What is not known is ignored (RFC 9113 section 5.5), PRIORITY_UPDATE of RFC 9218 too.
        this.#host.mayChat()
    }
  }

  #headers(flags: number, id: number, b: Buffer, from: number, to: number): void {
    if (id === 0) return this.#wrong('HEADERS on stream 0 (RFC 9113 section 6.2)')
    let problem = ''
    if ((flags & PADDED) !== 0) {
      if (from === to)
        return this.#wrong('a frame without the fields its flags announce (RFC 9113 section 6.2)', FRAME_SIZE_ERROR)
      to -= b[from++]!
      if (to < from) return this.#wrong('padding as long as its frame (RFC 9113 section 6.2)')
    }
    if ((flags & WITH_PRIORITY) !== 0) {
      if (to - from < 5)
        return this.#wrong('a frame without the fields its flags announce (RFC 9113 section 6.2)', FRAME_SIZE_ERROR)
      if (uint31(b, from) === id) problem = SELF_DEPENDENCY
      from += 5
    }
    const ends = (flags & END_STREAM) !== 0
    if ((flags & END_HEADERS) !== 0) return this.#whole(id, b, from, to, ends, problem)
    this.#blockId = id
    this.#blockEnds = ends
    this.#blockProblem = problem
    this.#continuations = 0
    this.#host.side.blockBegun(this.#host.clock.now())
    this.#gather(b, from, to)
  }

  #continuation(flags: number, b: Buffer, from: number, to: number): void {
    const host = this.#host
    if (this.#blockId === 0) return this.#wrong('CONTINUATION without HEADERS (RFC 9113 section 6.10)')
    if (++this.#continuations > host.options.maxContinuations)
      return host.connectionError(ENHANCE_YOUR_CALM, 'a head in too many frames', 'continuations')
    this.#gather(b, from, to)
    if (this.#blockLength > this.#maxBlock)
      return host.connectionError(ENHANCE_YOUR_CALM, 'too many bytes in a head', 'head-bytes')
    if ((flags & END_HEADERS) === 0) return
    const id = this.#blockId
    const block = this.#block
    const length = this.#blockLength
    this.#blockId = 0
    this.#block = NO_BYTES
    this.#blockLength = 0
    this.#whole(id, block, 0, length, this.#blockEnds, this.#blockProblem)
  }

  #gather(b: Buffer, from: number, to: number): void {
    const needed = this.#blockLength + to - from
    if (needed > this.#block.length) {
      const room = Buffer.allocUnsafeSlow(2 * needed)
      this.#block.copy(room, 0, 0, this.#blockLength)
      this.#block = room
    }
    b.copy(this.#block, this.#blockLength, from, to)
    this.#blockLength = needed
  }

  #whole(id: number, b: Buffer, from: number, to: number, ends: boolean, problem: string): void {
    const host = this.#host
    host.side.headers(id, host.streams.get(id) ?? null, b, from, to, ends, problem)
  }

  #windowUpdate(id: number, b: Buffer, from: number, to: number): void {
    const host = this.#host
    if (to - from !== 4)
      return this.#wrong('WINDOW_UPDATE that is not of 4 bytes (RFC 9113 section 6.9)', FRAME_SIZE_ERROR)
    if (!host.mayChat()) return
    const increment = uint31(b, from)
    if (id === 0) {
      if (increment === 0) return this.#wrong('an increment of 0 (RFC 9113 section 6.9)')
      if (!host.line.grow(increment))
        return this.#wrong('a window larger than 2^31 - 1 (RFC 9113 section 6.9.1)', FLOW_CONTROL_ERROR)
      return host.line.pump()
    }
    const stream = host.streams.get(id)
    if (stream === undefined) {
      if (host.side.isIdle(id)) this.#wrong('WINDOW_UPDATE on a stream that is idle (RFC 9113 section 5.1)')
      return
    }
    if (increment === 0) return host.streamError(stream, PROTOCOL_ERROR, 'an increment of 0 (RFC 9113 section 6.9)')
    if (!host.line.growStream(stream, increment))
      return host.streamError(stream, FLOW_CONTROL_ERROR, 'a window larger than 2^31 - 1 (RFC 9113 section 6.9.1)')
    host.line.pump()
  }

  #resetStream(id: number, b: Buffer, from: number, to: number): void {
    const host = this.#host
    if (to - from !== 4)
      return this.#wrong('RST_STREAM that is not of 4 bytes (RFC 9113 section 6.4)', FRAME_SIZE_ERROR)
    if (id === 0) return this.#wrong('RST_STREAM on stream 0 (RFC 9113 section 6.4)')
    const stream = host.streams.get(id)
    if (stream === undefined) {
      if (host.side.isIdle(id)) this.#wrong('RST_STREAM on a stream that is idle (RFC 9113 section 5.1)')
      else host.mayChat()
      return
    }
    if (host.side.forgives(stream) || host.mayReset()) stream.peerReset(uint32(b, from))
  }

  #settings(flags: number, id: number, b: Buffer, from: number, to: number): void {
    const host = this.#host
    if (id !== 0) return this.#wrong('SETTINGS on a stream (RFC 9113 section 6.5)')
    if ((flags & ACK) !== 0) {
      if (from !== to)
        return this.#wrong('an acknowledgement with settings in it (RFC 9113 section 6.5)', FRAME_SIZE_ERROR)
      this.#settingsDueAt = 0
      host.mayChat()
      return
    }
    if ((to - from) % SETTING_BYTES !== 0)
      return this.#wrong('SETTINGS of a broken length (RFC 9113 section 6.5)', FRAME_SIZE_ERROR)
    this.#hasSettings = true
    if (!host.mayChat()) return
    const { peer } = host
    const windowBefore = peer.windowBytes
    const error = peer.read(b, from, to, host.side.isClient)
    if (error !== NO_ERROR) return this.#wrong('a setting with a value it may not have (RFC 9113 section 6.5.2)', error)
    host.writer.peerSettings(peer.maxFrameBytes, peer.headerTableBytes)
    host.reply().settingsAck()
    const change = peer.windowBytes - windowBefore
    // It changes the window of every stream, also to below zero (RFC 9113 section 6.9.2).
    if (change !== 0) {
      for (const stream of host.streams.values())
        if (!host.line.growStream(stream, change))
          return this.#wrong('a window larger than 2^31 - 1 (RFC 9113 section 6.9.2)', FLOW_CONTROL_ERROR)
    }
    host.side.settingsChanged()
    host.line.pump()
  }

  #ping(flags: number, id: number, b: Buffer, from: number, to: number): void {
    const host = this.#host
    if (to - from !== 8) return this.#wrong('PING that is not of 8 bytes (RFC 9113 section 6.7)', FRAME_SIZE_ERROR)
    if (id !== 0) return this.#wrong('PING on a stream (RFC 9113 section 6.7)')
    if (!host.mayChat()) return
    if ((flags & ACK) !== 0) host.pingAnswered(b[from]!)
    else host.reply().ping(b, from, true)
  }

  #goaway(id: number, b: Buffer, from: number, to: number): void {
    const host = this.#host
    if (to - from < 8) return this.#wrong('GOAWAY that is too short (RFC 9113 section 6.8)', FRAME_SIZE_ERROR)
    if (id !== 0) return this.#wrong('GOAWAY on a stream (RFC 9113 section 6.8)')
    if (!host.mayChat()) return
    const debug = printable(b.latin1Slice(from + 8, Math.min(to, from + 8 + MAX_DEBUG)))
    host.side.goaway(uint31(b, from), `GOAWAY ${errorName(uint32(b, from + 4))}${debug === '' ? '' : `: ${debug}`}`)
  }

  /** Priorities of RFC 7540 mean nothing any more (RFC 9113 section 5.3); a wrong frame is still wrong. */
  #priority(id: number, b: Buffer, from: number, to: number): void {
    const host = this.#host
    if (id === 0) return this.#wrong('PRIORITY on stream 0 (RFC 9113 section 6.3)')
    const stream = host.streams.get(id)
    const isSized = to - from === 5
    if (isSized && uint31(b, from) !== id) {
      host.mayChat()
      return
    }
    const code = isSized ? PROTOCOL_ERROR : FRAME_SIZE_ERROR
    const detail = isSized ? SELF_DEPENDENCY : 'PRIORITY that is not of 5 bytes (RFC 9113 section 6.3)'
    if (stream === undefined) this.#wrong(detail, code)
    else host.streamError(stream, code, detail)
  }
}
