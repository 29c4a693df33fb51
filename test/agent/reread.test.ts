import { expect, test } from 'vitest'
import { reread } from '../../agent/reread.ts'
import { agentSchema } from '../../mesh-config/agent/agent-file.ts'

const file = (written: object) => agentSchema.parse(written)

test('what comes into force at once, and what waits for a restart', () => {
  const before = file({ policies: { folder: 'a' }, traces: { sample: 10 } })
  expect(reread(before, file({ policies: { folder: 'a' }, traces: { sample: 10 } }))).toEqual({
    document: before,
    changed: [],
    waiting: [],
  })
  const after = file({
    policies: { folder: 'b', order: ['files'], prefix: 'other', zookeeper: { servers: ['127.0.0.1:2181'] } },
    traces: { sample: 20, spansPerSecond: 5, queue: '9MiB' },
    consul: {},
    state: 'state',
  })
  const first = reread(before, after)
  expect(first.changed.toSorted()).toEqual([
    'policies.folder',
    'policies.order',
    'policies.zookeeper',
    'traces.sample',
    'traces.spansPerSecond',
  ])
  const waiting = ['consul', 'policies.prefix', 'state', 'traces.queue']
  expect(first.waiting.toSorted()).toEqual(waiting)
  expect(first.document).toMatchObject({ policies: { folder: 'b', prefix: 'outrigger' }, traces: { sample: 20 } })
  // What is in force is told once, what waits is told again.
  const second = reread(first.document, after)
  expect(second.changed).toEqual([])
  expect(second.waiting.toSorted()).toEqual(waiting)
})
