import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { trimOws } from '../../../proxy/codec/bytes.ts'
import { Decoder } from '../../../proxy/codec/h2/hpack/decoder.ts'
import { Encoder } from '../../../proxy/codec/h2/hpack/encoder.ts'
import { huffmanDecode, huffmanEncode, huffmanLength } from '../../../proxy/codec/h2/hpack/huffman.ts'
import '../../support/seed.ts'

type Fields = readonly (readonly [name: string, value: string])[]

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex')

function decode(decoder: Decoder, block: Buffer): Fields | null {
  const fields: [string, string][] = []
  return decoder.decode(block, 0, block.length, { field: (name, value) => fields.push([name, value]) }) ? fields : null
}

function encode(encoder: Encoder, fields: Fields): Buffer {
  encoder.begin(Buffer.alloc(64), 0)
  for (const [name, value] of fields) encoder.field(name, value, false)
  return Buffer.from(encoder.out.subarray(0, encoder.at))
}

const first: Fields = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'www.example.com'],
]
const requests: readonly Fields[] = [
  first,
  [...first, ['cache-control', 'no-cache']],
  [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ],
]
const responses: readonly Fields[] = [
  [
    [':status', '302'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['location', 'https://www.example.com'],
  ],
  [
    [':status', '307'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['location', 'https://www.example.com'],
  ],
  [
    [':status', '200'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
    ['location', 'https://www.example.com'],
    ['content-encoding', 'gzip'],
    ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ],
]

const c3 = [
  '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
  '8286 84be 5808 6e6f 2d63 6163 6865',
  '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
]
const c4 = [
  '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
  '8286 84be 5886 a8eb 1064 9cbf',
  '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
]
const c5 = [
  `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861
   6d70 6c65 2e63 6f6d`,
  '4803 3330 37c1 c0bf',
  `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f
   5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
]
const c6 = [
  '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
  '4883 640e ffc1 c0bf',
  `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5
   291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
]

describe('RFC 7541 appendix C', () => {
  test.each<[string, string, Fields]>([
    ['C.2.1', '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', [['custom-key', 'custom-header']]],
    ['C.2.2', '040c 2f73 616d 706c 652f 7061 7468', [[':path', '/sample/path']]],
    ['C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', [['password', 'secret']]],
    ['C.2.4', '82', [[':method', 'GET']]],
  ])('%s', (_name, block, fields) => {
    expect(decode(new Decoder(4096), hex(block))).toEqual(fields)
  })

  test.each<[string, readonly string[], readonly Fields[], number, readonly number[]]>([
    ['C.3: requests', c3, requests, 4096, [57, 110, 164]],
    ['C.4: requests in Huffman code', c4, requests, 4096, [57, 110, 164]],
    ['C.5: responses in a table of 256 bytes', c5, responses, 256, [222, 222, 215]],
    ['C.6: the same in Huffman code', c6, responses, 256, [222, 222, 215]],
  ])('%s', (_name, blocks, expected, tableBytes, sizes) => {
    const decoder = new Decoder(tableBytes)
    blocks.forEach((block, i) => {
      expect(decode(decoder, hex(block))).toEqual(expected[i])
      expect(decoder.size).toBe(sizes[i])
    })
  })

  test('C.3: the encoder writes them so', () => {
    const encoder = new Encoder(Buffer.alloc(0), 4096)
    requests.forEach((fields, i) => {
      expect(encode(encoder, fields).toString('hex')).toBe(hex(c3[i]!).toString('hex'))
    })
  })

  test('entries are evicted in order', () => {
    const decoder = new Decoder(256)
    for (const block of c5) decode(decoder, hex(block))
    expect(decoder.entries.map(([name]) => name)).toEqual(['set-cookie', 'content-encoding', 'date'])
  })
})

describe('Huffman code', () => {
  test('any bytes come back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), raw => {
        const text = Buffer.from(raw).toString('latin1')
        const out = Buffer.alloc(4 * raw.length + 8)
        const end = huffmanEncode(text, out, 0)
        expect(end).toBe(huffmanLength(text))
        const back = Buffer.alloc(Math.ceil(end * 1.6))
        const length = huffmanDecode(out, 0, end, back)
        expect(back.toString('latin1', 0, length)).toBe(text)
      }),
      { numRuns: 1000 },
    )
  })

  test.each([
    ['padding of a whole byte', 'ffff'],
    ['padding that is not all ones', '1800'],
    ['EOS', 'ffffffff'],
    ['EOS after a symbol', '1fffffffff'],
  ])('%s is refused', (_name, bytes) => {
    expect(huffmanDecode(hex(bytes), 0, hex(bytes).length, Buffer.alloc(64))).toBe(-1)
  })

  test('any bytes at all are decoded or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), raw => {
        const out = Buffer.alloc(Math.ceil(raw.length * 1.6))
        const length = huffmanDecode(Buffer.from(raw), 0, raw.length, out)
        expect(length).toBeLessThanOrEqual(out.length)
        // What was taken is the one encoding of what came of it.
        if (length < 0) return
        const again = Buffer.alloc(raw.length + 8)
        expect(
          again.subarray(0, huffmanEncode(out.toString('latin1', 0, length), again, 0)).equals(Buffer.from(raw)),
        ).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('malformed blocks', () => {
  test.each([
    ['index 0', '80'],
    ['an index beyond the table', 'be'],
    ['an index far beyond it', 'ffffffffff0f'],
    ['a name index beyond the table', '7f00'],
    ['an integer that does not end', 'ff80808080'],
    ['an integer of too many bytes', 'ff8080808080808001'],
    ['a name that breaks off', '400a6375'],
    ['a value that is missing', '4001 61'],
    ['a value that breaks off', '4001 6105 61'],
    ['a string longer than any block', '40ff ffff ff0f'],
    ['a table larger than allowed', '3fe2 1f'],
    ['a table size after a field', '823f e11f'],
  ])('%s', (_name, block) => {
    expect(decode(new Decoder(4096), hex(block))).toBeNull()
  })

  test('a table of the size allowed, and two sizes in a row, are fine', () => {
    expect(decode(new Decoder(4096), hex('3fe1 1f82'))).toEqual([[':method', 'GET']])
    expect(decode(new Decoder(4096), hex('203f e11f 82'))).toEqual([[':method', 'GET']])
  })

  test('an entry larger than the table empties it, and is no error', () => {
    const decoder = new Decoder(64)
    decode(decoder, hex('4001 6101 62'))
    expect(decoder.entries).toHaveLength(1)
    expect(decode(decoder, Buffer.concat([hex('4001 6128'), Buffer.alloc(40, 'v')]))).toEqual([['a', 'v'.repeat(40)]])
    expect(decoder.entries).toHaveLength(0)
  })
})

test('white space that is taken off a value counts in the table all the same: else the tables of the two ends would part', () => {
  const encoder = new Encoder(Buffer.alloc(0), 256)
  const decoder = new Decoder(256)
  for (let i = 0; i < 40; i++) {
    const value = `${' '.repeat(i)}v${i % 7}\t`
    expect(
      decode(
        decoder,
        encode(encoder, [
          ['x', value],
          ['y', value],
        ]),
      ),
    ).toEqual([
      ['x', `v${i % 7}`],
      ['y', `v${i % 7}`],
    ])
    expect(decoder.size).toBe(encoder.size)
  }
})

describe('both halves', () => {
  const name = fc.oneof(
    fc.constantFrom(':path', ':authority', 'cookie', 'x-a', 'x-b', 'authorization', 'set-cookie', 'accept'),
    fc.stringMatching(/^[a-z-]{1,60}$/),
  )
  const value = fc.oneof(
    fc.constantFrom('1', '2', 'gzip, deflate', '/'),
    fc.string({ maxLength: 400, unit: 'binary-ascii' }),
  )
  const block = fc.array(fc.tuple(name, value), { maxLength: 40 })
  const step = fc.oneof({ weight: 4, arbitrary: block }, { weight: 1, arbitrary: fc.nat(6000) })

  test('any lists of fields come back, whatever the table is set to in between', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), fc.constantFrom(0, 64, 256, 4096), (steps, limit) => {
        const encoder = new Encoder(Buffer.alloc(0), limit)
        const decoder = new Decoder(Math.max(4096, limit))
        for (const one of steps) {
          if (typeof one === 'number') {
            // The peer may lower it, and raise it again up to what its decoder was made for.
            encoder.resize(Math.min(one, 4096))
            continue
          }
          const taken = one.map(([name, value]) => [name, name.startsWith(':') ? value : trimOws(value)])
          expect(decode(decoder, encode(encoder, one))).toEqual(taken)
          expect(encoder.size).toBeLessThanOrEqual(limit)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('any bytes at all are decoded or refused, and never hold more than the table', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 120 }), { maxLength: 10 }), blocks => {
        const decoder = new Decoder(256)
        for (const raw of blocks) {
          const whole = decode(decoder, Buffer.from(raw)) !== null
          expect(decoder.size).toBeLessThanOrEqual(256)
          if (!whole) return
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('what comes again is a byte a field; values that never do are given up', () => {
    const encoder = new Encoder(Buffer.alloc(0), 4096)
    const fields: Fields = [
      [':method', 'GET'],
      [':authority', 'orders'],
      ['accept', '*/*'],
      ['user-agent', 'x'.repeat(100)],
    ]
    encode(encoder, fields)
    expect(encode(encoder, fields)).toHaveLength(4)
    for (let i = 0; i < 500; i++) encode(encoder, [['x-unique', `${i}`.padStart(100, '0')]])
    // The others are still there: the table was not swept out by them.
    expect(encode(encoder, fields).length).toBeLessThanOrEqual(8)
  })

  test('names that are long, or very many, are written and not kept in mind', () => {
    const encoder = new Encoder(Buffer.alloc(0), 4096)
    const decoder = new Decoder(4096)
    for (let i = 0; i < 1000; i++) {
      const fields: Fields = [
        [`${'x'.repeat(5000)}-${i}`, 'a'],
        [`y-${i}`, 'b'],
        [`${'z'.repeat(300)}`, 'c'],
      ]
      expect(decode(decoder, encode(encoder, fields))).toEqual(fields)
    }
    const kept = [...encoder.names]
    expect(kept.length).toBeLessThanOrEqual(512)
    expect(kept.join('').length).toBeLessThan(10_000)
  })

  test('secrets are kept out of the table', () => {
    const encoder = new Encoder(Buffer.alloc(0), 4096)
    const sensitive = (block: Buffer) => {
      const flags: boolean[] = []
      new Decoder(4096).decode(block, 0, block.length, { field: (_name, _value, _kind, is) => flags.push(is) })
      return flags
    }
    expect(
      sensitive(
        encode(encoder, [
          ['authorization', 'Bearer x'],
          ['cookie', 'a=1'],
          ['x', 'y'],
        ]),
      ),
    ).toEqual([true, true, false])
    expect(encoder.size).toBe('x'.length + 'y'.length + 32)
  })
})
