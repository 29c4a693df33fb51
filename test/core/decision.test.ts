import { expect, test } from 'vitest'
import { AttemptRecord } from '../../proxy/core/decision.ts'

/** They are used again: what an attempt left there must not be told of the next. */
test('a record of an attempt begins as if it were new', () => {
  const used = new AttemptRecord()
  for (const field of Object.keys(used)) Object.assign(used, { [field]: 'left over' })
  used.begin(77)
  const fresh = new AttemptRecord()
  fresh.startedAt = 77
  expect(used).toEqual(fresh)
})
