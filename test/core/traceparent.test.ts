import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Random } from '../../proxy/core/clock.ts'
import { TraceContext } from '../../proxy/core/trace.ts'
import { isTraceparent, parsed, RANDOM, SAMPLED, traceparentOf } from '../../proxy/core/traceparent.ts'
import { seeded } from '../support/random.ts'
import '../support/seed.ts'

const T = '12345678901234567890123456789012'
const P = '1234567890123456'

function begun(random: Random): TraceContext {
  const trace = new TraceContext()
  trace.beginTrace(random)
  trace.newSpan(random)
  return trace
}

/** The cases of the public test suite (w3c/trace-context, test/test.py). */
describe('traceparent', () => {
  test.each([
    `00-${T}-${P}-01`,
    `00-${T}-${P}-00`,
    `00-${T}-${P}-ff`,
    `cc-${T}-${P}-01`,
    `cc-${T}-${P}-01-what-the-future-will-be-like`,
    `01-${T}-${P}-09`,
  ])('%s is valid', text => {
    expect(isTraceparent(text)).toBe(true)
  })

  test.each([
    ['characters that follow version 00', `00-${T}-${P}-01.`],
    ['a part that follows version 00', `00-${T}-${P}-01-what-the-future-will-be-like`],
    ['no dash before what follows', `cc-${T}-${P}-01.what-the-future-will-be-like`],
    ['version ff', `ff-${T}-${P}-01`],
    ['a version that is no hex', `.0-${T}-${P}-01`],
    ['a version that is no hex', `0.-${T}-${P}-01`],
    ['a version too long', `000-${T}-${P}-01`],
    ['a version too long', `0000-${T}-${P}-01`],
    ['a version too short', `0-${T}-${P}-01`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${P}-01`],
    ['a trace id that is no hex', `00-.${T.slice(1)}-${P}-01`],
    ['a trace id that is no hex', `00-${T.slice(1)}.-${P}-01`],
    ['a trace id too long', `00-${T}3-${P}-01`],
    ['a trace id too short', `00-${T.slice(1)}-${P}-01`],
    ['upper case', `00-${'A'.repeat(32)}-${P}-01`],
    ['a parent id of zeros', `00-${T}-${'0'.repeat(16)}-01`],
    ['a parent id that is no hex', `00-${T}-.${P.slice(1)}-01`],
    ['a parent id that is no hex', `00-${T}-${P.slice(1)}.-01`],
    ['a parent id too long', `00-${T}-${P}7-01`],
    ['a parent id too short', `00-${T}-${P.slice(1)}-01`],
    ['flags that are no hex', `00-${T}-${P}-.0`],
    ['flags that are no hex', `00-${T}-${P}-0.`],
    ['flags too long', `00-${T}-${P}-001`],
    ['flags too short', `00-${T}-${P}-1`],
    ['two fields', `00-${T}-${P}-01, 00-${T}-${P}-01`],
    ['two fields of a later version', `cc-${T}-${P}-01, cc-${T}-${P}-01`],
    ['nothing', ''],
    ['a character beyond Latin-1', `00-${T.slice(1)}\u0131-${P}-01`],
  ])('%s is as good as none: %s', (_what, text) => {
    expect(isTraceparent(text)).toBe(false)
  })

  test('only flags that are known are passed on', () => {
    const flagsOf = (flags: string) => isTraceparent(`00-${T}-${P}-${flags}`) && parsed.flags
    expect(flagsOf('ff')).toBe(SAMPLED | RANDOM)
    expect(flagsOf('08')).toBe(0)
  })

  test('what is made of ids is valid, and says them again', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 3 }), (seed, flags) => {
        const random = seeded(seed)
        const trace = begun(random)
        trace.flags = flags
        trace.tell(trace.spanHigh, trace.spanLow)
        const text = traceparentOf(trace)
        expect(text).toBe(`00-${trace.traceId}-${trace.spanId}-0${flags}`)
        if (!isTraceparent(text) || parsed.flags !== flags) return false
        const { trace0, trace1, trace2, trace3, spanHigh, spanLow } = parsed
        return (
          [trace0, trace1, trace2, trace3].join() === [trace.trace0, trace.trace1, trace.trace2, trace.trace3].join() &&
          [spanHigh, spanLow].join() === [trace.spanHigh, trace.spanLow].join()
        )
      }),
    )
  })

  test('ids are never zeros alone', () => {
    expect(begun(() => 0)).toMatchObject({ traceId: `${'0'.repeat(31)}1`, spanId: `${'0'.repeat(15)}1` })
    expect(begun(() => 1 - 2 ** -53)).toMatchObject({ traceId: 'f'.repeat(32), spanId: 'f'.repeat(16) })
  })

  test('ids of a text are that text again', () => {
    const trace = new TraceContext()
    expect(trace).toMatchObject({ traceId: '', parentId: '', hasTrace: false, hasParent: false })
    trace.traceId = 'fedcba98765432100123456789abcdef'
    trace.parentId = '8000000000000000'
    expect(trace).toMatchObject({ traceId: 'fedcba98765432100123456789abcdef', parentId: '8000000000000000' })
    expect(trace).toMatchObject({ hasTrace: true, hasParent: true, hasSpan: false, spanId: '' })
  })
})
