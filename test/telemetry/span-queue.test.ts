import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TraceContext } from '../../proxy/core/trace.ts'
import { spanQueue } from '../../proxy/telemetry/span-queue.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { readSpans } from '../support/otlp.ts'
import '../support/seed.ts'

const KIB = 1024

function start(batchSpans = 10_000) {
  const clock = manualClock(new EventLoop())
  const recorded = { values: new Float64Array(1), index: 0 }
  const dropped = { values: new Float64Array(1), index: 0 }
  const sent: { readonly bytes: Uint8Array; readonly count: number }[] = []
  const queue = spanQueue({
    clock,
    recorded,
    dropped,
    tracing: { batchSpans },
    send: (bytes, count) => sent.push({ bytes, count }),
  })
  const trace = new TraceContext()
  trace.traceId = '1'.repeat(32)
  let next = 0
  /** False: dropped. */
  const write = (characters: number): boolean => {
    const span = queue.writer()
    if (span === null) return false
    span.begin(trace, 1, ++next, 0, 0, false, 1)
    span.what(`span ${next}`, 1, 1, 2)
    const name = Uint8Array.from([0x0a, 1, 97])
    for (let left = characters; left > 0; left -= 256) span.text(name, 'x'.repeat(Math.min(left, 256)))
    span.end()
    queue.added()
    return true
  }
  return { queue, sent, write, counts: () => [recorded.values[0]!, dropped.values[0]!], written: () => next }
}

test('what lies in the memory of both threads is never written over before it was taken', () => {
  const step = fc.oneof(
    { weight: 20, arbitrary: fc.record({ write: fc.integer({ min: 0, max: 8000 }) }) },
    { weight: 1, arbitrary: fc.constant('flush' as const) },
    { weight: 2, arbitrary: fc.constant('take' as const) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), steps => {
      const { queue, sent, write, counts, written } = start()
      let asked = 0
      const names: string[] = []
      const take = () => {
        const part = sent.shift()
        if (part === undefined) return
        const spans = readSpans([part.bytes])
        expect(spans.length).toBe(part.count)
        names.push(...spans.map(({ name }) => name))
        queue.credit(part.bytes.length)
      }
      for (const one of steps) {
        if (one === 'flush') queue.flush()
        else if (one === 'take') take()
        else {
          asked++
          write(one.write)
        }
        expect(sent.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThanOrEqual(KIB * KIB)
      }
      queue.flush()
      while (sent.length > 0) take()
      expect(names).toEqual(Array.from({ length: written() }, (_, i) => `span ${i + 1}`))
      expect(counts()).toEqual([written(), asked - written()])
    }),
    { numRuns: 10 },
  )
})

test('a control thread that takes nothing costs 1 MiB, and all goes on when it does', () => {
  const { queue, sent, write } = start()
  const fill = () => {
    let count = 0
    while (count < 1000 && write(4000)) count++
    queue.flush()
    return count
  }
  const held = () => sent.reduce((sum, { bytes }) => sum + bytes.length, 0)
  fill()
  expect(held()).toBeGreaterThan(900 * KIB)
  expect(held()).toBeLessThanOrEqual(KIB * KIB)
  const names: string[] = []
  // Around the ring and around: what was not taken stays as it was written.
  for (let round = 0; round < 12; round++) {
    const { bytes } = sent.shift()!
    names.push(...readSpans([bytes]).map(({ name }) => name))
    queue.credit(bytes.length)
    fill()
    expect(held()).toBeLessThanOrEqual(KIB * KIB)
  }
  expect(names).toEqual(names.map((_, i) => `span ${i + 1}`))
  expect(names.length).toBeGreaterThan(500)
})

test('few spans touch little memory: all taken, it begins at its start', () => {
  const { queue, sent, write } = start()
  for (let i = 0; i < 1000; i++) {
    write(500)
    queue.flush()
    const { bytes } = sent.shift()!
    expect(bytes.byteOffset).toBe(0)
    queue.credit(bytes.length)
  }
})

test('a part has no more spans than a batch', () => {
  const { queue, sent, write } = start(100)
  for (let i = 0; i < 250; i++) write(10)
  queue.flush()
  expect(sent.map(({ count }) => count)).toEqual([100, 100, 50])
})
