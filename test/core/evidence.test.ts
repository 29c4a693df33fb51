import { expect, test } from 'vitest'
import { ownCells } from '../../proxy/core/cells.ts'
import { EVIDENCE_WORDS, Evidence } from '../../proxy/core/evidence.ts'
import { evidenceText } from '../../proxy/core/evidence-text.ts'

const make = () => new Evidence(ownCells.open('x', EVIDENCE_WORDS))

test('keeps the last eight, the oldest first, with their ages', () => {
  const evidence = make()
  for (let i = 0; i < 20; i++) evidence.note(`status ${i}`, `id-${i}`, 1_000 + i)
  const kept = evidence.failures(1_100)
  expect(kept).toHaveLength(8)
  expect(kept[0]).toEqual({ what: 'status 12', requestId: 'id-12', agoMs: 88 })
  expect(kept[7]).toEqual({ what: 'status 19', requestId: 'id-19', agoMs: 81 })
})

test('a request id is anything that a caller sends: what is long is cut, what is no ASCII does no harm', () => {
  const evidence = make()
  evidence.note('stream-reset-after-response', 'x'.repeat(1_000), 0)
  evidence.note('status 503', 'grün\u0000\u001b[31m\u{1f600}', 0)
  expect(evidence.failures(0)).toEqual([
    { what: 'stream-reset-after-response', requestId: 'x'.repeat(40), agoMs: 0 },
    { what: 'status 503', requestId: 'gr?n??[31m??', agoMs: 0 },
  ])
})

test('goes on where the clock of the process no longer fits into a word', () => {
  const evidence = make()
  const now = 2 ** 31 - 10
  evidence.note('status 503', '', now)
  expect(evidence.failures(now + 25)[0]!.agoMs).toBe(25)
})

test('the reason is that of the last ejection', () => {
  const evidence = make()
  expect(evidence.reason).toBe('')
  evidence.reason = 'a long reason of before'
  evidence.reason = 'short'
  expect(evidence.reason).toBe('short')
})

test('in words', () => {
  expect(evidenceText({ what: 'status 503', requestId: 'abc', agoMs: 12 })).toBe('status 503 12 ms ago (request abc)')
  expect(evidenceText({ what: 'connect-refused', requestId: '', agoMs: 61_400 })).toBe('connect-refused 61 s ago')
})
