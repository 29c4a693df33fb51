import fc from 'fast-check'
import { expect, test } from 'vitest'
import { piece } from '../../proxy/codec/piece.ts'
import '../support/seed.ts'

test('a piece is what a view of the same place is, whatever was asked for before', () => {
  const buffers = [Buffer.alloc(1024, 'a'), Buffer.alloc(1024, 'b'), Buffer.alloc(100 * 1024, 'c')]
  const asked = fc.tuple(fc.nat(2), fc.nat(64), fc.nat(64))
  fc.assert(
    fc.property(fc.array(asked, { maxLength: 300 }), all => {
      for (const [which, from, length] of all) {
        const buffer = buffers[which]!
        buffer[from] = (buffer[from]! + 1) & 255
        const got = piece(buffer, from, from + length)
        expect([got.buffer === buffer.buffer, got.byteOffset - buffer.byteOffset, got.length]).toEqual([
          true,
          from,
          length,
        ])
      }
    }),
  )
  expect(piece(buffers[0]!, 3, 9)).toBe(piece(buffers[0]!, 3, 9))
  expect(piece(buffers[2]!, 3, 9)).not.toBe(piece(buffers[2]!, 3, 9))
})
