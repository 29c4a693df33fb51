import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { http1 } from '../../proxy/codec/h1/codec.ts'
import { http2 } from '../../proxy/codec/h2/codec.ts'
import type { Codec } from '../../proxy/core/codec.ts'
import { failures } from '../../proxy/core/failure.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type {
  DownstreamStream,
  Headers,
  MessageSink,
  Receiver,
  RequestHead,
  ResponseHead,
  UpstreamStream,
} from '../../proxy/core/message.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { type WireOptions, wirePair } from '../support/memory-wire.ts'
import { requestLimits, responseLimits, stillClock } from '../support/recorder.ts'
import { turn } from '../support/turns.ts'
import '../support/seed.ts'

/**
 * What every codec owes both its sides, with the two halves of it talking to each other. A new codec is one more line
 * here.
 */
const codecs: [string, Codec][] = [
  ['http1', http1],
  ['http2', http2(stillClock)],
]

/** Writes down what it is told; a call from inside one of the stream's own methods is an error. */
class Recorder<Head extends RequestHead | ResponseHead> implements Receiver<Head> {
  readonly log: string[] = []
  readonly #kind: 'requests' | 'responses'
  readonly chunks: Buffer[] = []
  accept = true
  writables = 0
  finished = 0
  busy = false

  constructor(kind: 'requests' | 'responses') {
    this.#kind = kind
  }

  head(head: Head, end: boolean): void {
    this.#enter()
    const { method, authority, path, status } = head as unknown as RequestHead & ResponseHead
    this.log.push(this.#kind === 'requests' ? `${method} ${authority} ${path}` : `${status}`)
    head.headers.forEach((name, value) => {
      if (!/^(host|content-length|transfer-encoding)$/i.test(name)) this.log.push(`${name}: ${value}`)
    })
    if (end) this.#finish()
  }

  data(chunk: Buffer, end: boolean): boolean {
    this.#enter()
    this.chunks.push(Buffer.from(chunk))
    if (end) this.#finish()
    return this.accept
  }

  trailers(trailers: Headers): void {
    this.#enter()
    trailers.forEach((name, value) => {
      this.log.push(`trailer ${name}: ${value}`)
    })
    this.#finish()
  }

  reset(failure: { failure: string }): void {
    this.#enter()
    this.log.push(`reset ${failure.failure}`)
    this.#finish()
  }

  writable(): void {
    this.#enter()
    this.writables++
  }

  get body(): Buffer {
    return Buffer.concat(this.chunks)
  }

  #enter(): void {
    if (this.busy) throw new Error('called from inside a method of its own stream')
    if (this.finished !== 0 && this.log.at(-1)?.startsWith('reset')) throw new Error('called after a reset')
  }

  #finish(): void {
    this.finished++
    this.log.push('end')
  }
}

function pair(codec: Codec, options: WireOptions = {}) {
  const loop = new EventLoop()
  const [near, far] = wirePair(loop, options)
  const log: string[] = []
  const server = new Recorder<RequestHead>('requests')
  const client = new Recorder<ResponseHead>('responses')
  let down: DownstreamStream | null = null
  const connection = codec.serve(
    near,
    stream => {
      down = stream
      stream.receiver = server
    },
    {
      ...requestLimits,
      headTimeoutMs: 0,
      bodyTimeoutMs: 0,
      idleTimeoutMs: 0,
      onRefused: () => log.push('refused'),
      onClosed: () => log.push('server closed'),
    },
    manualClock(loop),
  )
  const upstream = codec.connect(
    far,
    {
      released: () => log.push('released'),
      closed: (_connection, idle) => log.push(idle ? 'closed idle' : 'closed busy'),
      idleHint() {},
    },
    { bufferBytes: 1024 * 1024, ...responseLimits },
  )
  const open = (): UpstreamStream => {
    const stream = upstream.open()
    stream.receiver = client
    return stream
  }
  /** Acts on a stream as a part of the proxy does: in a turn, and nothing may come back before it is over. */
  const act = (recorder: Recorder<never>, action: () => void) => {
    turn(() => {
      recorder.busy = true
      action()
      recorder.busy = false
    })
  }
  return {
    loop,
    near,
    far,
    log,
    server,
    client,
    connection,
    upstream,
    open,
    get down() {
      return down!
    },
    ask: (action: () => void) => act(client as Recorder<never>, action),
    answer: (action: () => void) => act(server as Recorder<never>, action),
  }
}

const request = (method = 'GET', ...pairs: string[]): RequestHead => ({
  method,
  scheme: 'http',
  authority: 'orders',
  path: '/a?b',
  upgrade: '',
  headers: new HeaderList(pairs),
})
const response = (status = 200, ...pairs: string[]): ResponseHead => ({ status, headers: new HeaderList(pairs) })

describe.each(codecs)('%s', (_name, codec) => {
  /** A stream that breaks off leaves its connection as it is, for the other streams. */
  const isMultiplexed = codec.protocol === 'h2'

  test('a request and a response without bodies, again and again on one connection', () => {
    const both = pair(codec)
    for (let i = 0; i < 3; i++) {
      expect(both.upstream.capacity).toBeGreaterThan(0)
      const up = both.open()
      expect(up.reused).toBe(i > 0)
      both.ask(() => up.head(request('GET', 'x-n', `${i}`), true))
      both.loop.settle()
      both.answer(() => both.down.head(response(204, 'x-m', `${i}`), true))
      both.loop.settle()
    }
    expect(both.server.log).toEqual([0, 1, 2].flatMap(i => ['GET orders /a?b', `x-n: ${i}`, 'end']))
    expect(both.client.log).toEqual([0, 1, 2].flatMap(i => ['204', `x-m: ${i}`, 'end']))
    expect(both.log).toEqual(['released', 'released', 'released'])
  })

  test('bodies of any sizes in any pieces, with a length or without, with trailers or without, arrive as they were sent', () => {
    const pieces = fc.array(fc.oneof(fc.nat(20), fc.nat(5000), fc.nat(100_000)), { minLength: 1, maxLength: 8 })
    const side = fc.record({ sizes: pieces, sized: fc.boolean(), trailers: fc.boolean() })
    function send(
      sink: MessageSink<never>,
      head: () => void,
      { sizes, sized, trailers }: { sizes: number[]; sized: boolean; trailers: boolean },
    ): Buffer {
      head()
      const sent: Buffer[] = []
      sizes.forEach((size, i) => {
        const chunk = Buffer.alloc(size, `${i}`)
        sent.push(chunk)
        sink.data(chunk, i === sizes.length - 1 && (sized || !trailers))
      })
      if (trailers && !sized) sink.trailers(new HeaderList(['x-sum', '1']))
      return Buffer.concat(sent)
    }
    fc.assert(
      fc.property(side, side, fc.integer({ min: 1, max: 70_000 }), (there, back, readSize) => {
        const both = pair(codec, { readSize: () => readSize })
        const length = ({ sizes, sized }: { sizes: number[]; sized: boolean }) =>
          sized ? ['content-length', `${sizes.reduce((a, b) => a + b, 0)}`] : []
        const up = both.open()
        let sent: Buffer = Buffer.alloc(0)
        both.ask(() => {
          sent = send(up as MessageSink<never>, () => up.head(request('POST', ...length(there)), false), there)
        })
        both.loop.settle()
        expect(both.server.body.equals(sent)).toBe(true)
        expect(both.server.finished).toBe(1)
        both.answer(() => {
          sent = send(
            both.down as MessageSink<never>,
            () => both.down.head(response(200, ...length(back)), false),
            back,
          )
        })
        both.loop.settle()
        expect(both.client.body.equals(sent)).toBe(true)
        expect(both.client.finished).toBe(1)
        expect(both.client.log).toEqual(
          back.trailers && !back.sized ? ['200', 'trailer x-sum: 1', 'end'] : ['200', 'end'],
        )
        expect(both.log).toEqual(['released'])
      }),
      { numRuns: 150 },
    )
  })

  test('interim responses, any number of them, before the final one', () => {
    const both = pair(codec)
    const up = both.open()
    both.ask(() => up.head(request(), true))
    both.loop.settle()
    both.answer(() => {
      both.down.head(response(103, 'link', '</a>'), false)
      both.down.head(response(102), false)
      both.down.head(response(200, 'content-length', '0'), true)
    })
    both.loop.settle()
    expect(both.client.log).toEqual(['103', 'link: </a>', '102', '200', 'end'])
  })

  test('data says stop, and writable follows; little is held meanwhile', () => {
    const both = pair(codec)
    const up = both.open()
    const piece = Buffer.alloc(50_000)
    let count = 0
    both.far.pause()
    both.near.pause()
    both.ask(() => {
      up.head(request('POST'), false)
      while (up.data(piece, false)) count++
    })
    expect(count * piece.length).toBeLessThan(1024 * 1024)
    expect(both.client.writables).toBe(0)
    both.near.resume()
    both.far.resume()
    both.loop.settle()
    expect(both.client.writables).toBe(1)
    both.ask(() => expect(up.data(piece, false)).toBe(true))
  })

  test('pause stops what comes, resume goes on, and nothing is lost', () => {
    const both = pair(codec)
    const up = both.open()
    both.ask(() => up.head(request(), true))
    both.loop.settle()
    both.answer(() => both.down.head(response(200), false))
    both.loop.settle()
    turn(() => up.pause())
    for (let i = 0; i < 50; i++) {
      both.answer(() => both.down.data(Buffer.alloc(10_000, `${i}`), i === 49))
      both.loop.settle()
    }
    expect(both.client.body.length).toBeLessThan(200_000)
    turn(() => up.resume())
    both.loop.settle()
    expect(both.client.body.length).toBe(500_000)
    expect(both.client.finished).toBe(1)
  })

  test('a receiver that says stop gets no more than what was read already', () => {
    const both = pair(codec, { readSize: () => 1000 })
    const up = both.open()
    both.server.accept = false
    both.ask(() => {
      up.head(request('POST'), false)
      for (let i = 0; i < 20; i++) up.data(Buffer.alloc(5000), i === 19)
    })
    both.loop.settle()
    expect(both.server.body.length).toBeLessThan(5000)
    both.server.accept = true
    turn(() => both.down.resume())
    both.loop.settle()
    expect(both.server.body.length).toBe(100_000)
  })

  test('a request that is taken back reaches the other side as a reset, once', () => {
    const both = pair(codec)
    const up = both.open()
    both.ask(() => up.head(request(), true))
    both.loop.settle()
    both.ask(() => up.reset(failures.downstreamGone, ''))
    both.loop.settle()
    expect(both.server.log).toEqual(['GET orders /a?b', 'end', 'reset downstream-gone', 'end'])
    expect(both.client.log).toEqual([])
    expect(both.log).toEqual(isMultiplexed ? ['released'] : ['closed busy', 'server closed'])
  })

  test('an answer cut short reaches the other side as a reset, once', () => {
    const both = pair(codec)
    const up = both.open()
    both.ask(() => up.head(request(), true))
    both.loop.settle()
    both.answer(() => {
      both.down.head(response(200), false)
      both.down.data(Buffer.from('abc'), false)
    })
    both.loop.settle()
    both.answer(() => both.down.reset(failures.resetAfterResponse, ''))
    both.loop.settle()
    expect(both.client.log).toEqual([
      '200',
      isMultiplexed ? 'reset stream-reset-after-response' : 'reset reset-after-response',
      'end',
    ])
    expect(both.log).toContain(isMultiplexed ? 'released' : 'closed busy')
  })

  test('nothing is delivered after the end, whatever is called', () => {
    const both = pair(codec)
    const up = both.open()
    both.ask(() => up.head(request(), true))
    both.loop.settle()
    both.answer(() => both.down.reset(failures.drained, ''))
    both.loop.settle()
    const before = both.client.log.length
    both.answer(() => {
      both.down.head(response(200), false)
      both.down.data(Buffer.from('x'), true)
      both.down.trailers(new HeaderList())
      both.down.reset(failures.drained, '')
      both.down.pause()
      both.down.resume()
    })
    both.ask(() => {
      up.data(Buffer.from('x'), true)
      up.trailers(new HeaderList())
      up.reset(failures.drained, '')
    })
    both.loop.settle()
    expect(both.client.log).toHaveLength(before)
    if (isMultiplexed) expect(both.log).toEqual(['released'])
    else expect(both.log.toSorted()).toEqual(['closed busy', 'server closed'])
  })

  test('an idle connection that the other side closes is said to be idle', () => {
    const both = pair(codec)
    const up = both.open()
    both.ask(() => up.head(request(), true))
    both.loop.settle()
    both.answer(() => both.down.head(response(204), true))
    both.loop.settle()
    turn(() => both.connection.drain())
    both.loop.advance(2000)
    expect(both.log).toEqual(['released', 'closed idle', 'server closed'])
    expect(both.upstream.capacity).toBe(0)
  })

  test('drain lets what runs finish, then closes', () => {
    const both = pair(codec)
    const up = both.open()
    both.ask(() => up.head(request(), true))
    both.loop.settle()
    turn(() => both.connection.drain())
    both.loop.advance(5000)
    expect(both.log).toEqual([])
    both.answer(() => both.down.head(response(204), true))
    both.loop.advance(2000)
    expect(both.client.log).toEqual(['204', ...(isMultiplexed ? [] : ['connection: close']), 'end'])
    expect(both.log.toSorted()).toEqual(['closed idle', 'server closed'])
  })

  test('destroy ends what runs', () => {
    const both = pair(codec)
    const up = both.open()
    both.ask(() => up.head(request(), true))
    both.loop.settle()
    turn(() => both.connection.destroy())
    both.loop.settle()
    expect(both.server.log.at(-2)).toBe('reset drained')
    expect(both.client.log[0]).toMatch(/^reset reset-before-response$/)
  })
})
