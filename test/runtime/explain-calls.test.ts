import { expect, test } from 'vitest'
import type { ExplainAnswer } from '../../proxy/core/channel.ts'
import type { Mesh } from '../support/mesh.ts'
import { A, B, orders } from '../support/orders.ts'
import { routeSpec, serviceSpec } from '../support/specs.ts'
import { respond } from '../support/upstream.ts'

/** What /explain says of timeouts and retries. */

function steps(mesh: Mesh, method = 'GET', headers: readonly (readonly [string, string])[] = []) {
  mesh.thread.receive({ kind: 'ask', id: 1, question: { what: 'explain', method, url: '/', headers, listener: null } })
  const reply = mesh.messages.findLast(message => message.kind === 'answer')
  if (reply?.kind !== 'answer') throw new Error('no answer')
  const text = (stage: string) => (reply.answer as ExplainAnswer).steps.find(step => step.stage === stage)?.text
  return { timeouts: text('timeouts'), retries: text('retries'), hedge: text('hedge') }
}

test('the defaults', async () => {
  const { mesh } = await orders({ endpoints: [A, B] })
  expect(steps(mesh)).toEqual({
    timeouts: 'request 15s, per try off, idle 5m, longest stream off',
    retries:
      'GET may run twice; elsewhere at once, at the same endpoint after a wait of up to 25ms, at most 250ms; budget: 0 of 100 spent in 10 s',
    hedge: undefined,
  })
  expect(steps(mesh, 'POST').retries).toMatch(/^POST only where no endpoint has had it; /)
})

test('what is left of the budget, which is not touched', async () => {
  const { mesh } = await orders({
    endpoints: [A, B],
    retries: { on: ['gateway-error'], budget: { percent: 20, minPerSecond: 1 } },
    outliers: { consecutiveGatewayFailures: 0 },
  })
  for (const name of [A, B]) mesh.upstream(name).answer = respond('HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n')
  for (let i = 0; i < 5; i++) mesh.caller().get()
  mesh.settle()
  for (let i = 0; i < 3; i++) expect(steps(mesh).retries).toMatch(/budget: 5 of 11 spent in 10 s$/)
})

test('of the route, and what the caller says', async () => {
  const { timeouts } = serviceSpec('orders', [])
  const { mesh } = await orders({
    routes: [routeSpec({ timeouts: { ...timeouts, requestMs: 2000, maxStreamMs: 60_000 } })],
  })
  const field = 'x-envoy-expected-rq-timeout-ms'
  expect(steps(mesh, 'GET', [[field, '300']]).timeouts).toBe(
    `request 2s (of the route), per try off, idle 5m, longest stream 1m (of the route), its caller waits 300ms (${field})`,
  )
  expect(steps(mesh, 'GET', [[field, '3000']]).timeouts).toMatch(/3s \(.*\), which is not shorter than request$/)
})

test('a second try', async () => {
  const { mesh } = await orders({
    endpoints: [A, B],
    retries: { hedge: { afterMs: 0, percentile: 95, minSamples: 3 }, statuses: [409] },
  })
  expect(steps(mesh).hedge).toBe('none yet: p95 needs 3 answers of the last minute')
  expect(steps(mesh, 'POST').hedge).toBe('none: POST may not run twice')
  expect(steps(mesh).retries).toContain('; also after statuses 409; ')
  for (let i = 0; i < 3; i++) mesh.caller().get()
  mesh.settle()
  expect(steps(mesh).hedge).toMatch(/^a second try elsewhere after \d+ms, which is p95 of the last minute$/)
})
