import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GrpcMessages, grpcMessage } from '../../proxy/sync/grpc-messages.ts'

const LIMIT = 1_000

function reading(limit = LIMIT) {
  const messages: string[] = []
  const tooLong: [number, string][] = []
  const reader = new GrpcMessages(limit, {
    message: bytes => void messages.push(bytes.toString('latin1')),
    tooLong: (bytes, beginning) => void tooLong.push([bytes, beginning.toString('latin1')]),
  })
  return { reader, messages, tooLong }
}

test('messages are found wherever the body is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 9 }),
      (sent, cuts) => {
        const { reader, messages } = reading()
        const body = Buffer.concat(sent.map(grpcMessage))
        for (let at = 0, i = 0; at < body.length; i++) {
          const cut = cuts[i % cuts.length]!
          expect(reader.read(body.subarray(at, at + cut))).toBe('')
          at += cut
        }
        expect(messages).toEqual(sent.map(bytes => Buffer.from(bytes).toString('latin1')))
      },
    ),
  )
})

describe('bounds', () => {
  test('one that is too long is passed over, and the next one is read', () => {
    const { reader, messages, tooLong } = reading(10)
    const body = Buffer.concat([grpcMessage(Buffer.alloc(6_000, 'x')), grpcMessage(Buffer.from('next'))])
    for (let at = 0; at < body.length; at += 700) reader.read(body.subarray(at, at + 700))
    expect(tooLong).toEqual([[6_000, 'x'.repeat(4 * 1024)]])
    expect(messages).toEqual(['next'])
  })

  test('a length of four GB costs nothing but what has come', () => {
    const { reader } = reading(10)
    const before = process.memoryUsage().arrayBuffers
    expect(reader.read(Buffer.from('00ffffffff', 'hex'))).toBe('')
    const piece = Buffer.alloc(64 * 1024)
    for (let i = 0; i < 1_000; i++) reader.read(piece)
    expect(reader.held).toBe(1_000 * 64 * 1024)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024)
  })

  test('a compressed message is refused', () => {
    expect(reading().reader.read(Buffer.from('0100000001', 'hex'))).toMatch(/compressed/)
  })
})
