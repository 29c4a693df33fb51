import { describe, expect, test } from 'vitest'
import { http1 } from '../../../proxy/codec/h1/codec.ts'
import { HeaderList } from '../../../proxy/core/header-list.ts'
import type { DownstreamStream } from '../../../proxy/core/message.ts'
import { requestLimits, responseLimits, stillClock } from '../../support/recorder.ts'
import { TapeWire } from '../../support/tape-wire.ts'
import { turn } from '../../support/turns.ts'

/** A downstream stream that has a request to answer. */
function asked(request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'): { wire: TapeWire; stream: DownstreamStream } {
  const wire = new TapeWire()
  let stream: DownstreamStream | null = null
  const options = {
    ...requestLimits,
    headTimeoutMs: 0,
    bodyTimeoutMs: 0,
    idleTimeoutMs: 0,
    onRefused() {},
    onClosed() {},
  }
  http1.serve(
    wire,
    opened => {
      stream = opened
      opened.receiver = { head() {}, data: () => true, trailers() {}, reset() {}, writable() {} }
    },
    options,
    stillClock,
  )
  wire.feed(Buffer.from(request))
  return { wire, stream: stream! }
}

const head = (...pairs: string[]) => ({ status: 200, headers: new HeaderList(pairs) })
const sized = (size: number) => head('content-length', `${size}`)

describe('what leaves in one turn leaves in one write', () => {
  test('a head and its body', () => {
    const { wire, stream } = asked()
    turn(() => {
      stream.head(sized(5), false)
      stream.data(Buffer.from('hello'), true)
    })
    expect(wire.writes.map(String)).toEqual(['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'])
  })

  test('a head and the beginning of its body, though more will follow', () => {
    const { wire, stream } = asked()
    turn(() => {
      stream.head(sized(10), false)
      stream.data(Buffer.from('hello'), false)
      expect(wire.writes).toHaveLength(0)
    })
    expect(wire.writes).toHaveLength(1)
  })

  test('many small chunks', () => {
    const { wire, stream } = asked()
    turn(() => {
      stream.head(head(), false)
      for (let i = 0; i < 1000; i++) stream.data(Buffer.from(`chunk ${i % 10}`), i === 999)
    })
    expect(wire.writes).toHaveLength(1)
    expect(wire.written).toBe(
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${Array.from({ length: 1000 }, (_, i) => `7\r\nchunk ${i % 10}\r\n`).join('')}0\r\n\r\n`,
    )
  })

  test('a small head and a large piece of body: one write, and the piece is not copied together', () => {
    const { wire, stream } = asked()
    const large = Buffer.alloc(100_000, 'x')
    turn(() => {
      stream.head(sized(large.length), false)
      stream.data(large, true)
    })
    expect(wire.writes).toHaveLength(1)
    expect(wire.written.endsWith(large.toString())).toBe(true)
  })

  test('a head alone waits for nothing beyond its turn', () => {
    const { wire, stream } = asked()
    turn(() => stream.head(sized(5), false))
    expect(wire.writes).toHaveLength(1)
    expect(wire.written).toMatch(/\r\n\r\n$/)
  })

  test('chunks, their last one and trailers', () => {
    const { wire, stream } = asked()
    turn(() => {
      stream.head(head(), false)
      stream.data(Buffer.from('a'), false)
      stream.trailers(new HeaderList(['X', '1']))
    })
    expect(wire.writes).toHaveLength(1)
    expect(wire.written).toMatch(/1\r\na\r\n0\r\nX: 1\r\n\r\n$/)
  })
})

describe('the scratch buffer is shared', () => {
  test('two connections that answer in the same turn, in turns, do not mix', () => {
    const one = asked()
    const two = asked()
    const scratch = Buffer.alloc(64 * 1024)
    for (const { wire } of [one, two]) wire.scratch = () => scratch
    turn(() => {
      one.stream.head(sized(6), false)
      two.stream.head(sized(6), false)
      one.stream.data(Buffer.from('one'), false)
      two.stream.data(Buffer.from('two'), false)
      one.stream.data(Buffer.from('ONE'), true)
      two.stream.data(Buffer.from('TWO'), true)
    })
    expect(one.wire.written).toBe('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\noneONE')
    expect(two.wire.written).toBe('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ntwoTWO')
  })

  test('more than fits into it', () => {
    for (const size of [1000, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 64 * 1024]) {
      for (const chunked of [false, true]) {
        const { wire, stream } = asked()
        const piece = Buffer.alloc(size, 'y')
        turn(() => {
          stream.head(chunked ? head() : sized(size * 5), false)
          for (let i = 0; i < 5; i++) stream.data(piece, i === 4)
        })
        const body = chunked
          ? `${`${size.toString(16)}\r\n${piece}\r\n`.repeat(5)}0\r\n\r\n`
          : piece.toString().repeat(5)
        expect(wire.written.slice(wire.written.indexOf('\r\n\r\n') + 4) === body, `${size} ${chunked}`).toBe(true)
      }
    }
  })

  test('a head and trailers larger than it', () => {
    const { wire, stream } = asked()
    const value = 'v'.repeat(70_000)
    turn(() => {
      stream.head(head('x', value), false)
      stream.data(Buffer.from('a'), false)
      stream.trailers(new HeaderList(['t', value]))
    })
    expect(wire.written).toBe(
      `HTTP/1.1 200 OK\r\nx: ${value}\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nt: ${value}\r\n\r\n`,
    )
  })
})

test('a request and its body leave in one write as well', () => {
  const wire = new TapeWire()
  const connection = http1.connect(
    wire,
    { released() {}, closed() {}, idleHint() {} },
    { bufferBytes: 1024 * 1024, ...responseLimits },
  )
  const stream = connection.open()
  turn(() => {
    stream.head(
      {
        method: 'POST',
        scheme: 'http',
        authority: 'a',
        path: '/',
        upgrade: '',
        headers: new HeaderList(['content-length', '10']),
      },
      false,
    )
    stream.data(Buffer.from('hello'), false)
    stream.data(Buffer.from('world'), true)
  })
  expect(wire.writes.map(String)).toEqual(['POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhelloworld'])
})
