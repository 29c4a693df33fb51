import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ProtoReader, ProtoWriter } from '../../proxy/core/protobuf.ts'

const KiB = 1024

function written(write: (writer: ProtoWriter) => void): Buffer {
  const writer = new ProtoWriter(4, 1024 * KiB)
  write(writer)
  expect(writer.isFull).toBe(false)
  return writer.copy()
}

/** The one field of a message. */
function first<Value>(bytes: Buffer, read: (reader: ProtoReader) => Value): Value {
  const reader = new ProtoReader(bytes)
  expect(reader.next()).toBe(true)
  const value = read(reader)
  expect(reader.problem).toBe('')
  expect(reader.next()).toBe(false)
  return value
}

describe('bytes as the documentation of the format has them', () => {
  test.each([
    ['150 in field 1', (w: ProtoWriter) => w.uint(1, 150), '089601'],
    ['"testing" in field 2', (w: ProtoWriter) => w.string(2, 'testing'), '120774657374696e67'],
    ['-2 as int64', (w: ProtoWriter) => w.int(1, -2), '08feffffffffffffffff01'],
    ['a message in a message', (w: ProtoWriter) => nested(w, 3, () => w.uint(1, 150)), '1a03089601'],
    [
      'a packed list',
      (w: ProtoWriter) => nested(w, 6, () => [3, 270, 86942].map(n => w.packed(n))),
      '3206038e029ea705',
    ],
    ['a double', (w: ProtoWriter) => w.double(1, 1), '09000000000000f03f'],
    ['fixed64', (w: ProtoWriter) => w.fixed64(1, 0x1_0000_0002), '090200000001000000'],
    ['fixed32', (w: ProtoWriter) => w.fixed32(8, 1), '4501000000'],
    ['true', (w: ProtoWriter) => w.bool(1, true), '0801'],
    ['field 16', (w: ProtoWriter) => w.uint(16, 1), '800101'],
  ])('%s', (_name, write, hex) => {
    expect(written(write).toString('hex')).toBe(hex)
  })
})

function nested(writer: ProtoWriter, field: number, write: () => void): void {
  const mark = writer.open(field)
  write()
  writer.close(mark)
}

describe('what is written is read', () => {
  test('numbers', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0x1fff_ffff }), fc.maxSafeNat(), (field, value) => {
        const bytes = written(writer => writer.uint(field, value))
        expect(first(bytes, reader => [reader.field, reader.uint()])).toEqual([field, value])
      }),
    )
  })

  test('doubles and fixed numbers', () => {
    fc.assert(
      fc.property(fc.double(), value => {
        expect(
          first(
            written(w => w.double(1, value)),
            r => r.double(),
          ),
        ).toBe(value)
      }),
    )
    fc.assert(
      fc.property(fc.maxSafeNat(), value => {
        expect(
          first(
            written(w => w.fixed64(1, value)),
            r => r.fixed64(),
          ),
        ).toBe(value)
      }),
    )
  })

  test('a wall time in nanoseconds is as exact as a double of milliseconds', () => {
    const at = 1_796_000_000_123.25
    expect(
      first(
        written(w => w.fixed64(1, at * 1e6)),
        r => r.fixed64(),
      ),
    ).toBe(at * 1e6)
  })

  test('texts', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), text => {
        expect(
          first(
            written(w => w.string(1, text)),
            r => r.string(2 * KiB),
          ),
        ).toBe(Buffer.from(text).toString())
      }),
    )
  })

  test('messages of any length inside messages', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20_000 }), { maxLength: 4 }), blobs => {
        const bytes = written(w =>
          nested(w, 1, () => {
            for (const blob of blobs) nested(w, 2, () => w.bytes(3, blob))
          }),
        )
        const read: Uint8Array[] = []
        first(bytes, outer =>
          outer.message(reader => {
            while (reader.next()) reader.message(inner => inner.next() && read.push(Buffer.from(inner.bytes())))
          }),
        )
        expect(read.map(blob => Buffer.from(blob))).toEqual(blobs.map(blob => Buffer.from(blob)))
      }),
    )
  })
})

describe('bounds', () => {
  test('a writer stays below its limit, says so, and is good again when cleared', () => {
    const writer = new ProtoWriter(16, 200)
    const mark = writer.open(1)
    for (let i = 0; i < 20; i++) writer.string(2, 'twenty bytes of text')
    writer.close(mark)
    expect(writer.isFull).toBe(true)
    expect(writer.length).toBeLessThanOrEqual(200)
    writer.clear()
    writer.uint(1, 1)
    expect([writer.isFull, writer.copy().toString('hex')]).toEqual([false, '0801'])
  })

  test('what does not fit and what comes after it is not written in part', () => {
    const writer = new ProtoWriter(16, 64)
    writer.uint(1, 7)
    writer.bytes(2, Buffer.alloc(100))
    writer.uint(3, 7)
    expect([writer.isFull, writer.copy().toString('hex')]).toEqual([true, '0807'])
  })

  test.each([
    ['a length behind the end', '0a05aa', 'it ends 4 bytes too early'],
    ['a number that does not end', 'ff', 'it ends 1 bytes too early'],
    ['a number of eleven bytes', `08${'ff'.repeat(10)}01`, 'a number of more than 10 bytes'],
    ['field 0', '0001', 'a field with the number 0'],
    ['a group', '0b', 'field 1 has the wire type 3'],
    ['a double cut short', '0900', 'it ends 7 bytes too early'],
  ])('%s is refused', (_name, hex, problem) => {
    const reader = new ProtoReader(Buffer.from(hex, 'hex'))
    while (reader.next()) reader.skip()
    expect(reader.problem).toBe(problem)
  })

  test.each([
    ['another type', '0801', (r: ProtoReader) => r.string(9), 'field 1 has the wire type 0, and not 2'],
    ['a number above 2^53', '08ffffffffffffffffff01', (r: ProtoReader) => r.uint(), 'a number above 2^53 in field 1'],
    [
      'a text too long',
      '0a03616263',
      (r: ProtoReader) => r.string(2),
      'a text of 3 bytes in field 1, where at most 2 may be',
    ],
    ['no UTF-8', '0a02c328', (r: ProtoReader) => r.string(9), 'field 1 is no UTF-8'],
  ])('%s is refused', (_name, hex, read, problem) => {
    const reader = new ProtoReader(Buffer.from(hex, 'hex'))
    reader.next()
    read(reader)
    expect(reader.problem).toBe(problem)
    expect(reader.next()).toBe(false)
  })

  test('a message cannot be read behind its end', () => {
    // In field 1, of two bytes, a text that says it has three; field 2 follows.
    const reader = new ProtoReader(Buffer.from('0a020a03616263', 'hex'))
    reader.next()
    reader.message(inner => inner.next() && inner.string(9))
    expect(reader.problem).toBe('it ends 3 bytes too early')
  })

  test('any bytes end, and never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.infiniteStream(fc.nat(6)), (bytes, choices) => {
        const reader = new ProtoReader(bytes)
        const walk = (depth: number): void => {
          while (reader.next()) {
            const choice = choices.next().value
            if (choice === 0) reader.uint()
            else if (choice === 1) reader.string(50)
            else if (choice === 2) reader.bytes()
            else if (choice === 3) reader.double()
            else if (choice === 4 && depth < 5) reader.message(() => walk(depth + 1))
            else reader.skip()
          }
        }
        walk(0)
      }),
    )
  })
})
