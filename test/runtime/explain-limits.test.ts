import { expect, test } from 'vitest'
import type { ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { ExplainAnswer } from '../../proxy/core/channel.ts'
import { Mesh } from '../support/mesh.ts'
import { A, B } from '../support/orders.ts'
import { listenerSpec, type ServiceOverrides, serviceSpec, snapshotOf } from '../support/specs.ts'
import { respond, silent } from '../support/upstream.ts'

const BREAKER = {
  errorPercent: 50,
  slowCallMs: 0,
  slowPercent: 50,
  windowMs: 10_000,
  volume: 2,
  openMs: 5_000,
  maxOpenMs: 60_000,
  jitterPercent: 0,
  probes: 1,
}

async function started(overrides: ServiceOverrides, more: Partial<ServiceSpec>) {
  const orders = {
    ...serviceSpec('orders', [A], { outliers: { consecutiveGatewayFailures: 0 }, ...overrides }),
    ...more,
  }
  const mesh = await Mesh.start(snapshotOf([orders, serviceSpec('spare', [B])], [listenerSpec({ service: 'orders' })]))
  mesh.upstream(A).answer = silent
  return mesh
}

function explain(mesh: Mesh): ExplainAnswer & { readonly words: readonly string[] } {
  const question = { what: 'explain', method: 'GET', url: '/', headers: [], listener: null } as const
  mesh.thread.receive({ kind: 'ask', id: 7, question })
  const reply = mesh.messages.findLast(message => message.kind === 'answer' && message.id === 7)
  if (reply?.kind !== 'answer') throw new Error('no answer')
  const answer = reply.answer as ExplainAnswer
  return { ...answer, words: answer.steps.map(({ stage, text }) => `${stage}: ${text}`) }
}

/** What a request is told now, by its record; it is the last one of the mesh. */
function live(mesh: Mesh) {
  mesh.caller().get()
  mesh.settle()
  const { status, failure, detail, notes } = mesh.flight
  return { status, failure, detail, notes }
}

test('a limit: what is left of it, and no permit is taken by asking', async () => {
  const mesh = await started({ limits: { requests: 2 } }, {})
  mesh.caller().get()
  mesh.settle()
  for (let i = 0; i < 5; i++) expect(explain(mesh).words).toContain('limits: 1 of 2 requests in use')
  mesh.caller().get()
  mesh.settle()
  const { record } = explain(mesh)
  expect(record).toMatchObject(live(mesh))
  expect(record).toMatchObject({ status: 503, failure: 'pool-overflow', detail: '`limits.requests`' })
})

test('a breaker: how it stands, its refusal as a request gets it, and no probe is taken by asking', async () => {
  const mesh = await started({}, { breaker: BREAKER })
  expect(explain(mesh).words).toContain('breaker: closed, 0 of 0 answers failed and 0 were slow within 10 s')
  mesh.upstream(A).answer = respond('HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n')
  for (let i = 0; i < 2; i++) live(mesh)
  const { record, words } = explain(mesh)
  expect(words).toContain('breaker: open, for 5.0 s more')
  expect(record).toMatchObject(live(mesh))
  mesh.advance(5000)
  mesh.upstream(A).answer = silent
  for (let i = 0; i < 5; i++) {
    const asked = explain(mesh)
    expect(asked.words).toContain('breaker: open, the next request is a probe')
    expect(asked.record).toMatchObject({ failure: '' })
  }
  mesh.caller().get()
  mesh.settle()
  expect(mesh.upstream(A).requests).toHaveLength(3)
})

test('a fallback: the reply, or where it goes', async () => {
  const reply = { status: 202, headers: [], body: 'later' }
  for (const [to, expected] of [
    [null, 'fallback: a circuit-breaking limit of the service is reached: answered with 202'],
    [
      { service: 'spare', subset: null },
      'fallback: a circuit-breaking limit of the service is reached: it goes to spare',
    ],
  ] as const) {
    const fallback = { on: ['overflow'] as const, reply: to === null ? reply : null, to }
    const mesh = await started({ limits: { requests: 1 } }, { fallback })
    mesh.caller().get()
    mesh.settle()
    const { record, words } = explain(mesh)
    expect(words).toContain(`filters: ${expected}`)
    const { status, failure, notes } = live(mesh)
    expect(record).toMatchObject({ failure, notes })
    expect(notes).toEqual([expected])
    if (to === null) expect([record!.status, status]).toEqual([202, 202])
    else expect(record!.attempts[0]!.endpoint).toBe(B)
  }
})

test('a queue: that it would wait', async () => {
  const queue = { requests: 5, intervalMs: 100, targetMs: 10 }
  const mesh = await started({ limits: { requests: 1 } }, { queue })
  mesh.caller().get()
  mesh.settle()
  const { record, words } = explain(mesh)
  expect(words).toContain(
    'filters: queue: a circuit-breaking limit of the service is reached: it would wait for a permit',
  )
  expect(record).toMatchObject({ failure: '' })
})
