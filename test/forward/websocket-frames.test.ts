import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { closeFrame, WebSocketFrames } from '../../proxy/forward/websocket-frames.ts'
import '../support/seed.ts'

const mask = Buffer.from([1, 2, 3, 4])

/** As RFC 6455 section 5.2 draws it. */
function frame(payload: Buffer, { opcode = 2, fin = true, masked = false } = {}): Buffer {
  const { length } = payload
  const extended = length < 126 ? Buffer.alloc(0) : length < 65_536 ? Buffer.alloc(2) : Buffer.alloc(8)
  if (extended.length === 2) extended.writeUInt16BE(length)
  if (extended.length === 8) extended.writeBigUInt64BE(BigInt(length))
  const short = extended.length === 0 ? length : extended.length === 2 ? 126 : 127
  return Buffer.concat([
    Buffer.from([(fin ? 0x80 : 0) | opcode, (masked ? 0x80 : 0) | short]),
    extended,
    masked ? mask : Buffer.alloc(0),
    payload,
  ])
}

const sizes = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.constantFrom(125, 126, 65_535, 65_536, 70_000))

describe('the frames of a WebSocket', () => {
  test.each([true, false])('their ends are found however they are cut (masked: %s)', masked => {
    fc.assert(
      fc.property(
        fc.array(sizes, { minLength: 1, maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1 }),
        (lengths, cuts) => {
          const frames = lengths.map(length => frame(Buffer.alloc(length, 0x88), { masked }))
          const ends = new Set(
            frames.map((_, i) => frames.slice(0, i + 1).reduce((sum, { length }) => sum + length, 0)),
          )
          const bytes = Buffer.concat(frames)
          const scanner = new WebSocketFrames(masked)
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const end = Math.min(bytes.length, at + cuts[i % cuts.length]!)
            scanner.skip(bytes.subarray(at, end))
            expect(scanner.atBoundary).toBe(ends.has(end))
            at = end
          }
          expect([scanner.isLost, scanner.closing]).toEqual([false, false])
        },
      ),
    )
  })

  test.each([0, 1, 2, 5, 8, 9])('the rest of a frame is measured, begun with %d bytes of it', begun => {
    const scanner = new WebSocketFrames(false)
    const first = frame(Buffer.alloc(300))
    const bytes = Buffer.concat([first, frame(Buffer.from('next'))])
    scanner.skip(bytes.subarray(0, begun))
    expect(scanner.toBoundary(bytes.subarray(begun))).toBe(begun === 0 ? 0 : first.length - begun)
    expect(scanner.atBoundary).toBe(true)
  })

  test('a Close is seen as soon as its head is there', () => {
    const scanner = new WebSocketFrames(true)
    const close = frame(Buffer.from([3, 232]), { opcode: 8, masked: true })
    scanner.skip(close.subarray(0, 5))
    expect(scanner.closing).toBe(false)
    scanner.skip(close.subarray(5, 6))
    expect([scanner.closing, scanner.atBoundary]).toEqual([true, false])
    scanner.skip(close.subarray(6))
    expect(scanner.atBoundary).toBe(true)
  })

  test.each([
    ['a mask where there may be none', false, frame(Buffer.from('x'), { masked: true })],
    ['no mask where there must be one', true, frame(Buffer.from('x'))],
    ['a length that nothing has', false, Buffer.from([0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
  ])('%s: nothing is known from there on', (_name, masked, bytes) => {
    const scanner = new WebSocketFrames(masked)
    scanner.skip(bytes)
    expect([scanner.isLost, scanner.atBoundary]).toEqual([true, false])
    expect(scanner.toBoundary(bytes)).toBe(bytes.length)
  })

  test('our own Close is one', () => {
    expect(closeFrame(null).toString('hex')).toBe('880203e9')
    const masked = closeFrame(mask)
    expect(masked.subarray(0, 6)).toEqual(Buffer.concat([Buffer.from([0x88, 0x82]), mask]))
    expect([masked[6]! ^ 1, masked[7]! ^ 2]).toEqual([3, 233])
    const scanner = new WebSocketFrames(true)
    scanner.skip(masked)
    expect([scanner.closing, scanner.atBoundary, scanner.isLost]).toEqual([true, true, false])
  })
})
