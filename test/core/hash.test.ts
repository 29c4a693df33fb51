import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hash32, mix32 } from '../../proxy/core/hash.ts'
import '../support/seed.ts'

/** MurmurHash3 x86 32 once more, over bytes and with whole numbers: slow, and nothing like the one under test. */
function murmur(bytes: Uint8Array, seed: number): number {
  const modulus = 2n ** 32n
  const rotate = (x: bigint, by: bigint) => ((x << by) | (x >> (32n - by))) % modulus
  const scrambled = (k: bigint) => (rotate((k * 0xcc9e2d51n) % modulus, 15n) * 0x1b873593n) % modulus
  let h = BigInt(seed)
  const blocks = bytes.length >> 2
  for (let i = 0; i < blocks; i++) {
    const k = BigInt(new DataView(bytes.buffer, bytes.byteOffset).getUint32(4 * i, true))
    h = (rotate(h ^ scrambled(k), 13n) * 5n + 0xe6546b64n) % modulus
  }
  let tail = 0n
  for (let i = bytes.length - 1; i >= 4 * blocks; i--) tail = (tail << 8n) | BigInt(bytes[i]!)
  h ^= scrambled(tail) ^ BigInt(bytes.length)
  h = ((h ^ (h >> 16n)) * 0x85ebca6bn) % modulus
  h = ((h ^ (h >> 13n)) * 0xc2b2ae35n) % modulus
  return Number(h ^ (h >> 16n))
}

describe('hash32', () => {
  test('published values of MurmurHash3', () => {
    expect(hash32('', 0)).toBe(0)
    expect(hash32('', 1)).toBe(0x514e28b7)
    expect(hash32('', 0xffffffff)).toBe(0x81f16f39)
    expect(hash32('\u4321\u8765')).toBe(0xf55b516b)
    expect(hash32('\u4321\u8765', 0x5082edee)).toBe(0x2362f9de)
    expect(hash32('\u4321')).toBe(0xa0f7b07a)
    expect(hash32('\0\0')).toBe(0x2362f9de)
    expect(hash32('\0')).toBe(0x30f4c306)
  })

  test('any text, by its UTF-16', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.nat(0xffffffff), (text, seed) => {
        expect(hash32(text, seed)).toBe(murmur(Buffer.from(text, 'utf16le'), seed))
      }),
      { numRuns: 50 },
    )
  })

  /**
   * Rings, tables and sticky cookies of running sidecars depend on these: a change here sends every caller elsewhere.
   */
  test('is the same in every process and version', () => {
    expect(['10.0.0.1:80', '127.0.0.1:9001', '[::1]:8080', 'alice', 'Grüße'].map(text => hash32(text))).toEqual([
      3531868810, 3722843572, 4272250643, 811107759, 4286275028,
    ])
    expect(hash32('10.0.0.1:80', 1)).toBe(2387037944)
  })
})

describe('mix32', () => {
  test('is the hash of both, eight bytes', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(0xffffffff), (a, b) => {
        const bytes = Buffer.alloc(8)
        bytes.writeUInt32LE(a, 0)
        bytes.writeUInt32LE(b, 4)
        expect(mix32(a, b)).toBe(murmur(bytes, 0))
        expect(mix32(a | 0, b | 0)).toBe(mix32(a, b))
      }),
    )
  })

  test('order matters', () => {
    expect(mix32(1, 2)).not.toBe(mix32(2, 1))
  })
})
