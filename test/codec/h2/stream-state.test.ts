import { describe, expect, test } from 'vitest'
import { http2 } from '../../../proxy/codec/h2/codec.ts'
import * as h2 from '../../../proxy/codec/h2/frame.ts'
import * as state from '../../../proxy/codec/h2/stream-state.ts'
import type { DownstreamStream } from '../../../proxy/core/message.ts'
import { manualClock } from '../../support/clock.ts'
import { EventLoop } from '../../support/event-loop.ts'
import { requestLimits } from '../../support/recorder.ts'
import { TapeWire } from '../../support/tape-wire.ts'
import { data, headers, hello, reset } from './support/frames.ts'

const { AFTER_END, BEFORE_HEAD, BODY_DUE, ENDED, HEAD_DUE, IGNORED, OVER, SECOND_HEAD } = state
const { ASKING, BODILESS, GONE, SENT, UNBEGUN, UNWANTED, WRITING, WRITTEN } = state

const incoming = [HEAD_DUE, BODY_DUE, ENDED, OVER]
const frames = [state.HEAD, state.HEAD_AND_END, state.DATA, state.DATA_AND_END]
const outgoing = [UNBEGUN, ASKING, WRITING, BODILESS, UNWANTED, WRITTEN, SENT, GONE]
const steps = [
  state.ASK,
  state.WRITE_HEAD,
  state.WRITE_BODILESS_HEAD,
  state.WRITE_END,
  state.SEND_END,
  state.REFUSE_TUNNEL,
  state.REFUSE_REST,
]

describe('what comes (RFC 9113 sections 5.1 and 8.1)', () => {
  const walk = (from: number, ...came: number[]) => came.reduce((comes, frame) => state.afterFrame(comes, frame), from)

  test.each([
    ['a head alone', [state.HEAD_AND_END], ENDED],
    ['a head and a body', [state.HEAD, state.DATA, state.DATA, state.DATA_AND_END], ENDED],
    ['a head and trailers', [state.HEAD, state.HEAD_AND_END], ENDED],
    ['a head, a body and trailers', [state.HEAD, state.DATA, state.HEAD_AND_END], ENDED],
    ['a body without a head', [state.DATA], BEFORE_HEAD],
    ['an end without a head', [state.DATA_AND_END], BEFORE_HEAD],
    ['trailers that do not end it', [state.HEAD, state.DATA, state.HEAD], SECOND_HEAD],
    ['DATA behind the end', [state.HEAD_AND_END, state.DATA], AFTER_END],
    ['trailers behind the end', [state.HEAD, state.DATA_AND_END, state.HEAD_AND_END], AFTER_END],
  ])('%s', (_name, came, expected) => {
    expect(walk(HEAD_DUE, ...came)).toBe(expected)
  })

  test('every frame in every state goes on, never back, or breaks a rule', () => {
    for (const from of incoming)
      for (const frame of frames) {
        const after = state.afterFrame(from, frame)
        if (after <= OVER) expect(after).toBeGreaterThanOrEqual(from)
        else expect([BEFORE_HEAD, AFTER_END, SECOND_HEAD]).toContain(after)
        // Whatever ends the message ends it for good, and after that everything is wrong.
        if (after <= OVER && (frame === state.HEAD_AND_END || frame === state.DATA_AND_END)) expect(after).toBe(ENDED)
        if (from >= ENDED) expect(after).toBe(AFTER_END)
      }
  })
})

describe('what goes', () => {
  const walk = (...taken: number[]) => taken.reduce((goes, step) => state.afterStep(goes, step), UNBEGUN)

  test.each([
    ['a head alone, or with a body', [state.WRITE_HEAD, state.WRITE_END, state.SEND_END], SENT],
    ['a head, and a body that waits for a window', [state.WRITE_HEAD, state.WRITE_END], WRITTEN],
    ['an answer to HEAD', [state.WRITE_BODILESS_HEAD, state.WRITE_END, state.SEND_END], SENT],
    ['a request that must be asked for first', [state.ASK, state.WRITE_HEAD], WRITING],
    ['a tunnel whose peer wants nothing more', [state.WRITE_HEAD, state.REFUSE_TUNNEL], UNWANTED],
    ['and its end', [state.WRITE_HEAD, state.REFUSE_TUNNEL, state.WRITE_END, state.SEND_END], SENT],
    ['the rest of a request that is not wanted', [state.WRITE_HEAD, state.REFUSE_REST], SENT],
  ])('%s', (_name, taken, expected) => {
    expect(walk(...taken)).toBe(expected)
  })

  test('every step in every state goes on, never back, or is ignored', () => {
    for (const from of outgoing)
      for (const step of steps) {
        const after = state.afterStep(from, step)
        if (after !== IGNORED) expect(after).toBeGreaterThan(from)
        // One head, one end, and nothing behind it.
        if (from >= WRITING && step <= state.WRITE_BODILESS_HEAD) expect(after).toBe(IGNORED)
        if (from >= WRITTEN && step === state.WRITE_END) expect(after).toBe(IGNORED)
        if (from >= SENT) expect(after).toBe(IGNORED)
      }
  })

  test('a body may be written between the head and the end', () => {
    expect(outgoing.filter(state.mayWrite)).toEqual([WRITING, BODILESS, UNWANTED])
  })
})

/** Only an answer may end so that the rest of its request is not wanted (RFC 9113 section 8.1). */
test('a caller that resets its whole request with NO_ERROR gives it up, held or not', () => {
  for (const isHeld of [false, true]) {
    const wire = new TapeWire()
    const clock = manualClock(new EventLoop())
    const told: string[] = []
    const open: DownstreamStream[] = []
    http2(clock).serve(
      wire,
      stream => {
        open.push(stream)
        stream.receiver = {
          head: () => isHeld && stream.pause(),
          data: () => true,
          trailers() {},
          reset: ({ failure }) => told.push(failure),
          writable() {},
        }
      },
      {
        ...requestLimits,
        maxStreams: 1,
        headTimeoutMs: 0,
        bodyTimeoutMs: 0,
        idleTimeoutMs: 0,
        onRefused() {},
        onClosed() {},
      },
      clock,
    )
    wire.feed(hello)
    const post = (id: number) =>
      headers(id, false, ':method', 'POST', ':scheme', 'http', ':authority', 'a', ':path', '/')
    wire.feed(post(1))
    wire.feed(data(1, 'x', true))
    wire.feed(reset(1, h2.NO_ERROR))
    expect(told).toEqual(['downstream-gone'])
    // Its place is free again.
    wire.feed(post(3))
    wire.feed(reset(3, h2.NO_ERROR))
    expect(told).toEqual(['downstream-gone', 'downstream-gone'])
  }
})
