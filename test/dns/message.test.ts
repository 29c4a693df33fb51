import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  answers,
  forDatagram,
  nameBytes,
  type Query,
  readQuery,
  soa,
  writeError,
  writeReply,
} from '../../proxy/dns/message.ts'
import { answerTo, queryFor, readAnswer } from './messages.ts'

const read = (bytes: Buffer) => readQuery(bytes) as Query

describe('a query', () => {
  test('has its name in lower case, and its question as it came', () => {
    const query = read(queryFor('OrDers.MESH', 28))
    expect(query).toMatchObject({ id: 7, name: 'orders.mesh', type: 28, class: 1, edns: null })
    expect(query.question.subarray(0, 7).toString('latin1')).toBe('\x06OrDers')
  })

  test('may speak EDNS', () => {
    expect(read(queryFor('a', 1, { edns: { size: 1400, dnssec: true } })).edns).toEqual({
      udpSize: 1400,
      version: 0,
      dnssecOk: true,
    })
  })

  test('of the root has no name', () => expect(read(queryFor('', 2)).name).toBe(''))

  test('with a dot inside a label is no name with two labels', () => {
    const bytes = Buffer.concat([queryFor('').subarray(0, 12), Buffer.from([3, 0x61, 0x2e, 0x62, 0, 0, 1, 0, 1])])
    expect(read(bytes).name).toBe('a\\.b')
  })

  const valid = queryFor('orders.mesh', 1, { edns: { size: 1232 } })
  const edited = (at: number, ...values: number[]) => {
    const bytes = Buffer.from(valid)
    bytes.set(values, at)
    return bytes
  }
  test.each<[string, Buffer, 'drop' | number]>([
    ['shorter than a header', valid.subarray(0, 11), 'drop'],
    ['an answer', edited(2, 0x81), 'drop'],
    ['another operation', edited(2, 0x28), 4],
    ['no question', edited(5, 0), 1],
    ['two questions', edited(5, 2), 1],
    ['an answer section', edited(7, 1), 1],
    ['a name that is cut off', valid.subarray(0, 18), 1],
    ['a name that points at itself', edited(12, 0xc0, 12), 1],
    ['a label of 64 bytes', edited(12, 64), 1],
    ['a record that is not there', edited(11, 2), 1],
    ['a record longer than the message', edited(valid.length - 1, 9), 1],
    ['two OPT records', Buffer.concat([edited(11, 2), valid.subarray(-11)]), 1],
  ])('that is malformed is seen: %s', (_what, bytes, outcome) => expect(readQuery(bytes)).toBe(outcome))

  test('whose name is longer than 255 bytes is malformed', () => {
    const label = 'a'.repeat(63)
    expect(readQuery(queryFor([label, label, label, 'b'.repeat(61)].join('.')))).not.toBe(1)
    expect(readQuery(queryFor([label, label, label, 'b'.repeat(62)].join('.')))).toBe(1)
  })

  test('of any bytes is read without harm, and its answer is whole', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      // Near a valid one, where the branches are.
      fc
        .tuple(fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 4 }), fc.nat(valid.length))
        .map(([edits, length]) => {
          const copy = Buffer.from(valid)
          for (const [at, value] of edits) copy[at] = value
          return copy.subarray(0, length)
        }),
    )
    fc.assert(
      fc.property(bytes, each => {
        const message = Buffer.from(each)
        const outcome = readQuery(message)
        if (outcome === 'drop') return
        if (typeof outcome === 'number') return void expect(writeError(message, outcome)).toHaveLength(12)
        const reply = writeReply(outcome, { rcode: 3, authority: [soa('mesh', 5)] })
        const answer = readAnswer(reply)
        expect(answer).toMatchObject({ id: outcome.id, code: 3, isWhole: true })
        expect(answers(reply, outcome.id, outcome.question)).toBe(true)
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('an answer', () => {
  test('repeats the question letter by letter, and says how long "no" counts', () => {
    const query = read(queryFor('NoBody.mesh', 1, { edns: { size: 1232, dnssec: true } }))
    const answer = readAnswer(writeReply(query, { rcode: 3, authority: [soa('mesh', 5)] }))
    expect(answer.question).toEqual(query.question)
    // Response, authoritative, recursion desired and available.
    expect(answer.flags).toBe(0x8583)
    expect(answer.authority).toMatchObject([{ type: 6, ttl: 5 }])
    expect(answer.authority[0]!.data.readUInt32BE(answer.authority[0]!.data.length - 4)).toBe(5)
    expect(answer.opt).not.toBe(null)
    expect(answer.isWhole).toBe(true)
  })

  test('is one to what was asked, by id and question, whatever the case', () => {
    const sent = queryFor('orders.example')
    const { question } = read(sent)
    expect(answers(answerTo(sent, 0, ['1.2.3.4']), 7, question)).toBe(true)
    expect(answers(answerTo(queryFor('ORDERS.example'), 0), 7, question)).toBe(true)
    expect(answers(answerTo(sent, 0), 8, question)).toBe(false)
    expect(answers(answerTo(queryFor('orders.examplf'), 0), 7, question)).toBe(false)
    // 65 and 97 are the same letter, and not the same type.
    expect(answers(answerTo(queryFor('a', 97), 0), 7, read(queryFor('a', 65)).question)).toBe(false)
    expect(answers(sent, 7, question)).toBe(false)
    // FORMERR of a server that could not read the question.
    expect(answers(writeError(sent, 1), 7, question)).toBe(true)
    expect(answers(writeError(sent, 0), 7, question)).toBe(false)
  })

  test('that does not fit says so', () => {
    const long = (sent: Buffer) =>
      answerTo(
        sent,
        0,
        Array.from({ length: 60 }, () => '1.2.3.4'),
      )
    const plain = queryFor('a.example')
    const cut = readAnswer(forDatagram(long(plain), read(plain)))
    expect(cut).toMatchObject({ isTruncated: true, code: 0, answers: [], isWhole: true })
    const wide = queryFor('a.example', 1, { edns: { size: 4096 } })
    expect(forDatagram(long(wide), read(wide))).toEqual(long(wide))
    expect(readAnswer(forDatagram(long(wide), read(wide), 512)).isTruncated).toBe(true)
  })
})

test('names are written label by label', () =>
  expect(nameBytes('a.bc')).toEqual(Buffer.from([1, 0x61, 2, 0x62, 0x63, 0])))
