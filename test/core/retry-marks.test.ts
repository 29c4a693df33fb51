import { expect, test } from 'vitest'
import { CELL_MEMORY_BYTES, ownCells } from '../../proxy/core/cells.ts'
import { Exchange } from '../../proxy/core/exchange.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { RetryMarks } from '../../proxy/core/retry-marks.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'

const exchangeOf = (requestId: string, traceparent = '') => {
  const headers = new HeaderList(traceparent === '' ? [] : ['traceparent', traceparent])
  const request = { method: 'GET', scheme: 'http', authority: 'o', path: '/', upgrade: '', headers } as const
  const exchange = new Exchange({ address: '', port: 0, local: '', localPort: 0 }, 'inbound', 'http/1.1', request)
  exchange.begin(request, 0)
  exchange.requestId = requestId
  return exchange
}
const trace = (id: string) => `00-${id.padStart(32, '0')}-00000000000000aa-00`

test('a request is known by its id or by its trace, for half a minute', () => {
  const marks = new RetryMarks('spent', ownCells)
  marks.mark(exchangeOf('a', trace('1')), 1000)
  expect(marks.has(exchangeOf('a'), 1000)).toBe(true)
  expect(marks.has(exchangeOf('b', trace('1')), 1000)).toBe(true)
  expect(marks.has(exchangeOf('b', trace('2')), 1000)).toBe(false)
  expect(marks.has(exchangeOf(''), 1000)).toBe(false)
  expect(marks.has(exchangeOf('a'), 30_999)).toBe(true)
  expect(marks.has(exchangeOf('a'), 31_000)).toBe(false)
})

test('what one data thread marks, the others know', () => {
  const memory = new SharedArrayBuffer(CELL_MEMORY_BYTES / 32)
  const [one, other] = [0, 1].map(thread => new RetryMarks('spent', sharedCells(memory, thread, 2)))
  one!.mark(exchangeOf('a'), 1000)
  expect([other!.has(exchangeOf('a'), 1000), other!.has(exchangeOf('b'), 1000)]).toEqual([true, false])
})

test('of 1,000 at a time nearly all are kept, and however many come, the newest are', () => {
  const marks = new RetryMarks('spent', ownCells)
  for (let i = 0; i < 100_000; i++) marks.mark(exchangeOf(`request ${i}`), i / 10)
  let kept = 0
  for (let i = 99_000; i < 100_000; i++) if (marks.has(exchangeOf(`request ${i}`), 10_000)) kept++
  expect(kept).toBeGreaterThan(950)
})
