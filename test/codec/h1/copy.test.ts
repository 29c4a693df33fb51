import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Http1Head } from '../../../proxy/codec/h1/head.ts'
import { DONE } from '../../../proxy/codec/h1/outcome.ts'
import { parseRequest, parseResponse } from '../../../proxy/codec/h1/parse.ts'
import { CHUNKED_BODY, NO_BODY, roomFor, writeRequest, writeResponse } from '../../../proxy/codec/h1/serialize.ts'
import { HeaderList } from '../../../proxy/core/header-list.ts'
import type { Headers } from '../../../proxy/core/message.ts'
import { field, request, response } from '../../support/messages.ts'
import { requestLimits } from '../../support/recorder.ts'
import '../../support/seed.ts'

function head(bytes: string, parse: typeof parseRequest): Http1Head {
  const parsed = new Http1Head()
  const buffer = Buffer.from(bytes, 'latin1')
  expect(parse(parsed, buffer, buffer.length, requestLimits)).toBe(DONE)
  return parsed
}

function written(length: number, out: Buffer): string {
  return out.latin1Slice(0, length)
}

const headOf = (bytes: string) => bytes.slice(0, bytes.indexOf('\r\n\r\n') + 4)

test('a request that nobody edits is written as it was read, byte for byte', () => {
  fc.assert(
    fc.property(request, ({ bytes }) => {
      const parsed = head(bytes, parseRequest)
      const out = Buffer.alloc(roomFor(parsed))
      const body = parsed.chunked ? CHUNKED_BODY : parsed.contentLength >= 0 ? parsed.contentLength : NO_BODY
      expect(written(writeRequest(parsed, body, out), out)).toBe(headOf(bytes))
    }),
  )
})

test('a response that nobody edits is written as it was read, byte for byte', () => {
  fc.assert(
    fc.property(response, ({ bytes, close }) => {
      const parsed = head(bytes, parseResponse)
      const out = Buffer.alloc(roomFor(parsed))
      const text = written(
        writeResponse(parsed, close ? CHUNKED_BODY : parsed.chunked ? CHUNKED_BODY : parsed.contentLength, '', out),
        out,
      )
      expect(close ? text.replace('transfer-encoding: chunked\r\n', '') : text).toBe(headOf(bytes))
    }),
  )
})

type Edit = {
  readonly kind: 'set' | 'add' | 'delete'
  readonly which: number
  readonly value: string
  readonly upper: boolean
}

const edits = fc.array(
  fc.record({
    kind: fc.constantFrom('set' as const, 'add' as const, 'delete' as const),
    which: fc.nat(12),
    value: fc.constantFrom('', 'a', 'a, b', '\xe9'),
    upper: fc.boolean(),
  }),
  { maxLength: 8 },
)

function apply(headers: Headers, names: readonly string[], { kind, which, value, upper }: Edit): void {
  const plain = names[which % names.length]!
  const name = upper ? plain.toUpperCase() : plain
  if (kind === 'set') headers.set(name, value)
  else if (kind === 'add') headers.add(name, value)
  else headers.delete(name)
}

test('edits do to the bytes what they would do to a list of pairs', () => {
  fc.assert(
    fc.property(fc.array(field, { maxLength: 8 }), edits, (fields, steps) => {
      const lines = fields.map(({ line }) => `${line}\r\n`).join('')
      const parsed = head(
        `GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: 1\r\n${lines}x-forwarded-for: 2\r\n\r\n`,
        parseRequest,
      )
      const list = new HeaderList([
        'Host',
        'a',
        'X-Request-Id',
        '1',
        ...fields.flatMap(({ name, value }) => [name, value]),
        'x-forwarded-for',
        '2',
      ])
      const names = ['x-request-id', 'x-forwarded-for', 'x-new', 'x-other', ...fields.map(({ name }) => name)]
      for (const step of steps) {
        apply(parsed, names, step)
        apply(list, names, step)
        for (const name of names) expect(parsed.get(name), name).toBe(list.get(name))
      }
      const out = Buffer.alloc(roomFor(parsed))
      const text = written(writeRequest(parsed, NO_BODY, out), out)
      const pairs = text
        .split('\r\n')
        .slice(1, -2)
        .map(line => [
          line.slice(0, line.indexOf(':')).toLowerCase(),
          line.slice(line.indexOf(':') + 1).replace(/^[ \t]+|[ \t]+$/g, ''),
        ])
      const expected: string[][] = []
      list.forEach((name, value) => {
        expected.push([name.toLowerCase(), value])
      })
      expect(pairs).toEqual(expected)
      const visited: string[][] = []
      parsed.forEach((name, value) => {
        visited.push([name.toLowerCase(), value])
      })
      expect(visited).toEqual(expected)
    }),
    { numRuns: 500 },
  )
})
