import { afterEach, describe, expect, test, vi } from 'vitest'
import type { ExplainAnswer } from '../../proxy/core/channel.ts'
import { failures } from '../../proxy/core/failure.ts'
import type { Filter, NextOfResponse, RequestSink, ResponseSink, Verdict } from '../../proxy/core/filter.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type { Headers, ResponseHead } from '../../proxy/core/message.ts'
import { nextMicrotasks } from '../support/mesh.ts'
import { expectQuiet } from '../support/orders.ts'
import { turn } from '../support/turns.ts'
import { Filtered, inserted, pairs } from '../support/with-filters.ts'

/** What the proxy owes every filter, and what a filter may count on, over each pair of protocols. */

vi.mock('../../proxy/filter/route-filters.ts', () => ({ routeFilters: () => inserted.filters }))
afterEach(() => {
  inserted.filters = []
})

/** A filter that writes down its phases. */
function noted(name: string, log: string[], verdict?: Filter['onRequest']): Filter {
  return {
    name,
    onRequest(exchange, slot) {
      log.push(`${name} request`)
      return verdict?.(exchange, slot)
    },
    onResponse: () => void log.push(`${name} response`),
    onComplete: () => void log.push(`${name} complete`),
  }
}

const refusal: Verdict = { failure: failures.tunnelRefused, detail: 'not here' }

describe.each(pairs)('a caller of %s, an endpoint of %s', (caller, endpoint) => {
  const start = (...filters: Filter[]) => Filtered.start(caller, endpoint, filters)

  test('requests in order, responses and ends in reverse, each once', async () => {
    const log: string[] = []
    const it = await start(noted('a', log), noted('b', log))
    expect(it.ask()().body).toBe('answer')
    expect(log).toEqual(['a request', 'b request', 'b response', 'a response', 'b complete', 'a complete'])
    expectQuiet(it.mesh)
  })

  test('only filters that ran hear of the rest', async () => {
    const log: string[] = []
    const it = await start(
      noted('a', log),
      noted('b', log, () => refusal),
      noted('c', log),
    )
    expect(it.ask()().status).toBe(403)
    expect(log).toEqual(['a request', 'b request', 'b response', 'a response', 'b complete', 'a complete'])
    expect(it.seen).toEqual([])
    expect(it.mesh.flight).toMatchObject({ failure: 'tunnel-refused', detail: 'not here' })
    expectQuiet(it.mesh)
  })

  test('a verdict that takes time: the body waits, and then goes whole', async () => {
    const { promise, resolve } = Promise.withResolvers<Verdict>()
    const log: string[] = []
    const it = await start(
      noted('a', log, () => ({ verdict: () => promise, timeoutMs: 1000, late: refusal })),
      noted('b', log),
    )
    const got = it.ask('/', 'body')
    expect(log).toEqual(['a request'])
    resolve(undefined)
    await nextMicrotasks()
    it.mesh.settle()
    expect(got().body).toBe('answer')
    expect(it.seen[0]!.body).toBe('body')
    expect(log.slice(0, 2)).toEqual(['a request', 'b request'])
    it.mesh.advance(2000)
    expectQuiet(it.mesh)
  })

  test('a verdict that takes too long is the late one', async () => {
    const signals: AbortSignal[] = []
    const it = await start({
      name: 'slow',
      onRequest: () => ({
        verdict(signal) {
          signals.push(signal)
          return new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(new Error('given up')))
          })
        },
        timeoutMs: 200,
        late: refusal,
      }),
    })
    const got = it.ask()
    it.mesh.advance(150)
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
    it.mesh.advance(100)
    await nextMicrotasks()
    expect(got().status).toBe(403)
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
    expectQuiet(it.mesh)
  })

  test('a caller that goes away while a verdict is waited for: the work is given up, the end comes once', async () => {
    const { promise, resolve } = Promise.withResolvers<Verdict>()
    const log: string[] = []
    let signal: AbortSignal | null = null
    const it = await start(
      noted('a', log, () => ({
        verdict(given) {
          signal = given
          return promise
        },
        timeoutMs: 1000,
        late: refusal,
      })),
      noted('b', log),
    )
    it.ask()
    for (const caller of [...it.mesh.callers, ...it.mesh.http2Callers]) caller.close()
    it.mesh.settle()
    expect(signal!.aborted).toBe(true)
    resolve(undefined)
    await nextMicrotasks()
    it.mesh.advance(2000)
    expect(log).toEqual(['a request', 'a complete'])
    expect(it.seen).toEqual([])
    expect(it.mesh.flight).toMatchObject({ failure: 'downstream-gone' })
    expectQuiet(it.mesh)
  })

  test('a reply with a status, headers and bytes', async () => {
    const body = Buffer.from([0, 1, 2, 253, 254, 255])
    const it = await start({
      name: 'cached',
      onRequest: () => ({ status: 203, headers: ['x-from', 'cache', 'content-length', '999'], body, failure: null }),
    })
    const got = it.ask()()
    expect([got.status, got.header('x-from'), got.header('content-length')]).toEqual([203, 'cache', '6'])
    expect(Buffer.from(got.body, 'latin1')).toEqual(body)
    expect(it.mesh.flight).toMatchObject({ status: 203, failure: '', attempts: [] })
    expectQuiet(it.mesh)
  })

  test('path and host go out as they were changed', async () => {
    const it = await start({
      name: 'rewrite',
      onRequest({ request }) {
        request.path = '/other?a=1'
        request.authority = 'inside.example.com'
        return undefined
      },
    })
    expect(it.ask('/here')().status).toBe(200)
    expect(it.seen).toMatchObject([{ path: '/other?a=1', host: 'inside.example.com' }])
  })

  test.each<[string, (headers: Headers) => void]>([
    ['content-length taken away', headers => headers.delete('content-length')],
    ['chunked instead', headers => headers.set('transfer-encoding', 'chunked')],
    ['the same length, said anew', headers => headers.set('Content-Length', headers.get('content-length')!)],
    ['a length that is none', headers => headers.set('content-length', 'many')],
    ['a coding taken away that was not there', headers => headers.delete('Transfer-Encoding')],
  ])('framing edited: %s', async (_name, edit) => {
    const it = await start({
      name: 'edit',
      onRequest({ request }) {
        if (request.method === 'POST') edit(request.headers)
        return undefined
      },
      onResponse: (_exchange, { headers }) => edit(headers),
    })
    expect(it.ask('/', 'a body')().body).toBe('answer')
    expect(it.seen[0]!.body).toBe('a body')
    it.mesh.advance(1000)
    expectQuiet(it.mesh)
  })

  test('a length for a body that does not come is not sent', async () => {
    const it = await start({
      name: 'edit',
      onRequest({ request }) {
        request.headers.set('content-length', '5')
        return undefined
      },
    })
    if (endpoint === 'h2') return
    expect(it.ask()().body).toBe('answer')
    expect(it.seen[0]!.header('content-length')).toBeUndefined()
  })

  test('both bodies through sinks, in order, with other lengths', async () => {
    const it = await start(doubling('a'), doubling('b'))
    const got = it.ask('/', 'xy')()
    expect(it.seen[0]!.body).toBe('xxxxyyyy')
    expect(got.body).toBe([...'answer'].map(each => each.repeat(4)).join(''))
    expect(it.mesh.flight.bytesOut).toBe(24)
    expectQuiet(it.mesh)
  })

  test('a sink that answers later than its source ends', async () => {
    const held = new Held()
    const it = await start({ name: 'held', response: (_exchange, next) => held.at(next) })
    const got = it.ask()
    expect(it.mesh.flights()).toEqual([])
    turn(() => held.release())
    it.mesh.settle()
    expect(got()).toMatchObject({ status: 200, body: 'answer' })
    expect(it.mesh.flight).toMatchObject({ status: 200, failure: '' })
    expectQuiet(it.mesh)
  })

  test('a sink that fails before the head went down: a local reply; what it writes later goes nowhere', async () => {
    const held = new Held()
    const it = await start({ name: 'held', response: (_exchange, next) => held.at(next) })
    const got = it.ask()
    turn(() => held.next!.fail(failures.upstreamProtocolError, 'it cannot be read'))
    it.mesh.settle()
    turn(() => held.release())
    it.mesh.settle()
    expect(got().status).toBe(502)
    expect(it.mesh.flights()).toHaveLength(1)
    expect(it.mesh.flight).toMatchObject({ failure: 'upstream-protocol-error', detail: 'it cannot be read' })
    expectQuiet(it.mesh)
  })

  test('a sink of the request that fails: a local reply, and the endpoint sees no whole request', async () => {
    const it = await start({
      name: 'strict',
      request: (_exchange, next) => ({
        data(chunk, end) {
          if (chunk.includes('!')) next.fail(failures.badRequest, 'no exclamations')
          return next.data(chunk, end)
        },
        trailers: trailers => next.trailers(trailers),
        writable: () => next.resume(),
      }),
    })
    expect(it.ask('/', 'so what!')().status).toBe(400)
    expect(it.seen).toEqual([])
    expect(it.mesh.flight).toMatchObject({ failure: 'bad-request', detail: 'no exclamations' })
    it.mesh.advance(2000)
    expectQuiet(it.mesh)
  })

  test('a slot is the exchange its own', async () => {
    const found: unknown[] = []
    const keeper = (name: string): Filter => ({
      name,
      onRequest(exchange, slot) {
        found.push(exchange.kept(slot))
        exchange.keep(slot, `${name} ${exchange.request.path}`)
        return undefined
      },
      onComplete: (exchange, slot) => void found.push(exchange.kept(slot)),
    })
    const it = await start(keeper('a'), keeper('b'))
    it.ask('/1')
    it.ask('/2')
    expect(found).toEqual([undefined, undefined, 'b /1', 'a /1', undefined, undefined, 'b /2', 'a /2'])
  })
})

test('on one connection the next request meets nothing of the one before', async () => {
  const held = new Held()
  const it = await Filtered.start('http/1.1', 'http/1.1', [
    { name: 'held', response: ({ request }, next) => (request.path === '/held' ? held.at(next) : null) },
  ])
  const caller = it.mesh.caller().get('/held')
  it.mesh.settle()
  turn(() => held.release())
  it.mesh.settle()
  caller.get('/plain')
  it.mesh.settle()
  held.next!.data(Buffer.from('late'), true)
  caller.get('/plain')
  it.mesh.settle()
  expect(caller.responses.map(({ text }) => text)).toEqual(['answer', 'answer', 'answer'])
  expectQuiet(it.mesh)
})

test('back-pressure goes through a sink both ways', async () => {
  const it = await Filtered.start('h2', 'h2', [doubling('a')])
  const chunk = Buffer.alloc(16 * 1024, 'x')
  let sent = 0
  it.endpoint!.answer = ({ stream }) => {
    stream.head({ status: 200, headers: new HeaderList() }, false)
    while (sent < 2000 && stream.data(chunk, false)) sent++
  }
  it.endpoint!.accept = false
  const got = it.mesh.http2Caller().ask({ method: 'POST', body: null })
  it.mesh.settle()
  let offered = 0
  while (offered < 2000 && got.send(chunk)) offered++
  it.mesh.settle()
  expect(offered).toBeLessThan(500)
  expect(it.mesh.held).toBeLessThan(8 * 1024 * 1024)
  got.cancel()
  it.mesh.settle()
  expectQuiet(it.mesh)
})

test('a note is in the flight and in the explanation, which calls the preview instead', async () => {
  let taken = 0
  const it = await Filtered.start('http/1.1', 'http/1.1', [
    {
      name: 'limit',
      onRequest({ decision }) {
        decision.note('limit', `permit ${++taken} of 10`)
        return undefined
      },
      preview({ decision }) {
        decision.note('limit', `permit ${taken + 1} of 10`)
        return undefined
      },
      onComplete: () => void taken--,
    },
  ])
  const question = { what: 'explain', method: 'GET', url: '/', headers: [], listener: null } as const
  it.mesh.thread.receive({ kind: 'ask', id: 1, question })
  const reply = it.mesh.messages.findLast(message => message.kind === 'answer')
  const { record, steps } = (reply?.kind === 'answer' ? reply.answer : null) as ExplainAnswer
  expect(taken).toBe(0)
  it.ask()
  expect(record!.notes).toEqual(['limit: permit 1 of 10'])
  expect(it.mesh.flight.notes).toEqual(record!.notes)
  expect(steps).toContainEqual({ stage: 'filters', text: 'limit: permit 1 of 10' })
  expect(taken).toBe(0)
})

/** Says every byte twice, in both directions. */
function doubling(name: string): Filter {
  const twice = (chunk: Buffer) => Buffer.from([...chunk].flatMap(byte => [byte, byte]))
  return {
    name,
    request({ request }, next): RequestSink {
      request.headers.delete('content-length')
      return {
        data: (chunk, end) => next.data(twice(chunk), end),
        trailers: trailers => next.trailers(trailers),
        writable: () => next.resume(),
      }
    },
    response(_exchange, next): ResponseSink {
      return {
        head(head, end) {
          head.headers.delete('content-length')
          next.head(head, end)
        },
        data: (chunk, end) => next.data(twice(chunk), end),
        trailers: trailers => next.trailers(trailers),
        writable: () => next.resume(),
      }
    },
  }
}

/** Holds an answer back until it is let go. */
class Held implements ResponseSink {
  next: NextOfResponse | null = null
  #status = 0
  readonly #chunks: Buffer[] = []

  at(next: NextOfResponse): this {
    this.next = next
    return this
  }

  /** Its fields are gone once this returns. */
  head({ status }: ResponseHead): void {
    this.#status = status
  }

  data(chunk: Buffer): boolean {
    this.#chunks.push(Buffer.from(chunk))
    return true
  }

  trailers(): void {}

  writable(): void {}

  release(): void {
    const body = Buffer.concat(this.#chunks)
    this.next!.head({ status: this.#status, headers: new HeaderList(['content-length', String(body.length)]) }, false)
    this.next!.data(body, true)
  }
}
