import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteQueue } from '../../../proxy/codec/h2/byte-queue.ts'
import '../../support/seed.ts'

test('bytes come out as they went in, whatever the pieces, and stay as they are', () => {
  const step = fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 3000 }), fc.nat(4000))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const queue = new ByteQueue(0)
      let inside = Buffer.alloc(0)
      const taken: [Buffer, Buffer][] = []
      for (const one of steps) {
        if (typeof one === 'number') {
          if (queue.length === 0) continue
          const first = queue.first()
          const count = Math.min(one, first.length)
          taken.push([first.subarray(0, count), inside.subarray(0, count)])
          inside = inside.subarray(count)
          queue.drop(count)
        } else {
          const piece = Buffer.from(one)
          queue.append(piece)
          inside = Buffer.concat([inside, piece])
          piece.fill(0xee)
        }
        expect(queue.length).toBe(inside.length)
      }
      for (const [got, expected] of taken) expect(got.equals(expected)).toBe(true)
    }),
    { numRuns: 300 },
  )
})
