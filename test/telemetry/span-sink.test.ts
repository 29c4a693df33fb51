import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Log } from '../../proxy/core/log.ts'
import { TraceContext } from '../../proxy/core/trace.ts'
import { spanSource } from '../../proxy/telemetry/otlp.ts'
import { type Sent, type SpanSinkOptions, spanSink } from '../../proxy/telemetry/span-sink.ts'
import { SpanWriter } from '../../proxy/telemetry/span-writer.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { readRequest } from '../support/otlp.ts'
import '../support/seed.ts'

const taken: Sent = { kind: 'taken', rejected: 0, why: '' }

function span(name: string): Uint8Array {
  const memory = new ArrayBuffer(64 * 1024)
  const writer = new SpanWriter(memory)
  const trace = new TraceContext()
  trace.traceId = '1'.repeat(32)
  writer.begin(trace, 2, 2, 0, 0, false, 1)
  writer.what(name, 1, 1000, 1001)
  writer.end()
  return new Uint8Array(memory, 0, writer.at)
}

function start(options: Partial<SpanSinkOptions> = {}) {
  const loop = new EventLoop()
  const sent: { readonly names: string[]; readonly answer: (sent: Sent) => void }[] = []
  const lines: string[] = []
  const log = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(line) } as unknown as Log
  const sink = spanSink({
    source: spanSource(['service.name', 'web', 'a', 'b'], '1.2.3'),
    send(request, answer) {
      const { spans, resource, scope } = readRequest(request)
      expect(resource).toMatchObject({ 'service.name': 'web', a: 'b', 'telemetry.sdk.name': 'outrigger' })
      expect(scope).toEqual({ name: 'outrigger', version: '1.2.3' })
      sent.push({ names: spans.map(({ name }) => name), answer })
    },
    batchSpans: 4,
    batchMs: 1000,
    queueSpans: 10,
    clock: manualClock(loop),
    random: () => 0.5,
    log,
    ...options,
  })
  const write = (...names: string[]) => {
    for (const name of names) sink.write(span(name), 1)
  }
  const names = () => sent.map(each => each.names.join(''))
  return { loop, sink, sent, lines, write, names, last: () => sent.at(-1)!.answer }
}

test('a batch is sent when it is full, or after a time', () => {
  const { loop, write, names, last } = start()
  write('a', 'b', 'c')
  loop.advance(990)
  expect(names()).toEqual([])
  loop.advance(20)
  expect(names()).toEqual(['abc'])
  last()(taken)
  write('d', 'e', 'f', 'g', 'h')
  expect(names()).toEqual(['abc', 'defg'])
  last()(taken)
  loop.advance(1010)
  expect(names()).toEqual(['abc', 'defg', 'h'])
})

test('one batch after the other; what waits beyond the bound is dropped and counted', () => {
  const { sink, lines, write, names, last } = start()
  for (let i = 0; i < 26; i++) write(String.fromCharCode(97 + i))
  expect(names()).toEqual(['abcd'])
  expect(sink.counts()).toEqual({ sent: 0, full: 12, rejected: 0, waiting: 14 })
  last()(taken)
  expect(names()).toEqual(['abcd', 'efgh'])
  expect(sink.counts()).toMatchObject({ sent: 4, waiting: 10 })
  expect(lines).toEqual(['spans are dropped: 10 wait already (`traces.batch.queue`)'])
})

test('a part that is larger than the queue is taken when nothing else waits', () => {
  const { sink, loop, names } = start({ queueSpans: 1 })
  sink.write(Buffer.concat([span('a'), span('b'), span('c')]), 3)
  sink.write(span('d'), 1)
  expect(sink.counts()).toMatchObject({ full: 1, waiting: 3 })
  loop.advance(1010)
  expect(names()).toEqual(['abc'])
})

test('what was not taken is sent again, later and later, and at last dropped', () => {
  const { loop, sink, lines, write, names, last, sent } = start()
  write('a', 'b', 'c', 'd')
  const again: Sent = { kind: 'again', afterMs: null, why: 'away' }
  const waits: number[] = []
  while (sink.counts().rejected === 0) {
    const { length } = sent
    last()(again)
    if (sink.counts().rejected !== 0) break
    let waited = 0
    while (sent.length === length) {
      loop.advance(100)
      waited += 100
    }
    waits.push(waited)
  }
  expect(waits.slice(0, 7)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
  const all = waits.reduce((sum, each) => sum + each, 0)
  expect(all).toBeGreaterThan(270_000)
  expect(new Set(names())).toEqual(new Set(['abcd']))
  expect(sink.counts()).toEqual({ sent: 0, full: 0, rejected: 4, waiting: 0 })
  expect(lines[0]).toBe('spans cannot be sent, and are sent again: away')
  expect(lines.length).toBeLessThan(8)
})

test('it waits as long as it is asked to, and no longer than two minutes', () => {
  const { loop, write, sent, last } = start()
  write('a', 'b', 'c', 'd')
  last()({ kind: 'again', afterMs: 7_000, why: '429' })
  loop.advance(6_900)
  expect(sent).toHaveLength(1)
  loop.advance(200)
  expect(sent).toHaveLength(2)
  last()({ kind: 'again', afterMs: 1e9, why: '429' })
  loop.advance(120_100)
  expect(sent).toHaveLength(3)
})

test('what is refused is lost, and said; a success after trouble, too', () => {
  const { loop, sink, lines, write, last } = start()
  write('a', 'b', 'c', 'd')
  last()({ kind: 'refused', why: 'status 400' })
  expect(sink.counts()).toMatchObject({ rejected: 4, sent: 0, waiting: 0 })
  write('e', 'f', 'g', 'h')
  last()({ kind: 'taken', rejected: 3, why: 'odd' })
  expect(sink.counts()).toMatchObject({ rejected: 7, sent: 1, waiting: 0 })
  write('i', 'j', 'k', 'l')
  last()(taken)
  loop.advance(1000)
  expect(lines).toEqual(['4 spans are lost: status 400', 'spans are sent again'])
})

describe('the end of the process', () => {
  test('all that waits is sent', async () => {
    const { sink, write, names, last } = start()
    write('a', 'b')
    const flushed = sink.flushed(1000)
    expect(names()).toEqual(['ab'])
    last()(taken)
    await flushed
    expect(sink.counts().waiting).toBe(0)
  })

  test('but nobody waits for a collector that hangs', async () => {
    const { loop, sink, write, last } = start()
    write('a', 'b', 'c', 'd')
    last()({ kind: 'again', afterMs: null, why: 'away' })
    const flushed = sink.flushed(1000)
    loop.advance(1010)
    await flushed
    expect(sink.counts()).toMatchObject({ sent: 0 })
  })
})

test('whatever happens, each span is sent, dropped or waits, and no more wait than may', () => {
  const step = fc.oneof(
    fc.record({ write: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ answer: fc.constantFrom('taken', 'again', 'refused', 'some') }),
    fc.record({ advance: fc.integer({ min: 1, max: 40_000 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const { loop, sink, sent, write } = start()
      let written = 0
      let answered = 0
      for (const each of steps) {
        if ('write' in each) {
          for (let i = 0; i < each.write; i++) write('x')
          written += each.write
        } else if ('advance' in each) loop.advance(each.advance)
        else if (answered < sent.length) {
          answered = sent.length
          const { answer } = sent.at(-1)!
          if (each.answer === 'taken') answer(taken)
          else if (each.answer === 'some') answer({ kind: 'taken', rejected: 1, why: '' })
          else answer({ kind: each.answer as 'again', afterMs: null, why: '' })
        }
        const { sent: out, full, rejected, waiting } = sink.counts()
        expect(out + full + rejected + waiting).toBe(written)
        expect(waiting).toBeLessThanOrEqual(14)
      }
    }),
  )
})
