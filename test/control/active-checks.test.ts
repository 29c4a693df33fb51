import { expect, test } from 'vitest'
import type { HealthSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import { activeChecks } from '../../proxy/control/active-checks.ts'
import { type ToldEndpoints, toldEndpoints } from '../../proxy/control/told-endpoints.ts'
import type { ExplainAnswer } from '../../proxy/core/channel.ts'
import { healthSpec, httpCheck } from '../checks/support/checked.ts'
import { logTape } from '../support/log-tape.ts'
import { Mesh } from '../support/mesh.ts'
import { serviceSpec, snapshotOf } from '../support/specs.ts'
import { respond } from '../support/upstream.ts'

const [A, B] = ['10.0.0.1:80', '10.0.0.2:80'] as const
const service = (health: HealthSpec | null): ServiceSpec => ({
  ...serviceSpec('orders', [A, B]),
  ...(health === null ? {} : { health }),
})

/** A data thread with the checks of its control thread. */
async function start(health: HealthSpec | null) {
  const mesh = await Mesh.start(snapshotOf([service(health)]))
  const log = logTape()
  let uses = 0
  const checks = activeChecks({
    threads: { ask: async () => [{ thread: 0, answer: { uses: { orders: uses } } }] },
    changed: name => told.checked(name),
    before: {},
    clock: mesh.clock,
    random: mesh.random,
    dial: mesh.dial,
    log,
  })
  const told: ToldEndpoints = toldEndpoints({ tell: message => mesh.thread.receive(message) }, checks.overlay)
  const apply = async (next: HealthSpec | null) => {
    const snapshot = snapshotOf([service(next)])
    told.fill(snapshot, () => null)
    checks.applied(snapshot, ({ endpoints }) => endpoints)
    await loaded(() => next === null || checks.status().length > 0)
  }
  await apply(health)
  /** A data thread takes what it is told after the turn. */
  const pass = async (ms: number) => {
    mesh.loop.advance(ms)
    await new Promise(resolve => setImmediate(resolve))
    mesh.loop.settle()
  }
  return { mesh, checks, log, apply, pass, use: () => uses++ }
}

async function loaded(isThere: () => boolean): Promise<void> {
  await expect.poll(isThere, { timeout: 20_000 }).toBe(true)
  await new Promise(resolve => setImmediate(resolve))
}

const statesOf = (mesh: Mesh) => mesh.endpoints()[0]!.endpoints.map(({ health }) => health)

/** What /explain says of the health of the endpoints. */
function healthStep(mesh: Mesh): string | undefined {
  const question = { what: 'explain', method: 'GET', url: 'http://orders/', headers: [], listener: null } as const
  mesh.thread.receive({ kind: 'ask', id: 1, question })
  const reply = mesh.messages.findLast(message => message.kind === 'answer')
  const { steps } = (reply as { answer: ExplainAnswer }).answer
  return steps.find(({ stage }) => stage === 'health')?.text
}

test('a data thread gives an unhealthy endpoint no requests, and all of them where most are unhealthy', async () => {
  const { mesh, pass } = await start(healthSpec())
  const [a, b] = [mesh.upstream(A), mesh.upstream(B)]
  const ok = a.answer
  b.answer = (request, end) =>
    (request.target === '/healthz' ? respond('HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n') : ok)(request, end)
  await pass(1_000)
  expect(statesOf(mesh)).toEqual(['passing', 'failing'])
  expect(healthStep(mesh)).toBe(
    '1 of 2 endpoints do not pass: 10.0.0.2:80 is failing: GET http://10.0.0.2:80/healthz answers 503',
  )
  const requests = (upstream: typeof a) => upstream.requests.filter(({ target }) => target === '/').length
  for (let i = 0; i < 10; i++) mesh.caller().get('/')
  mesh.loop.advance(100)
  expect([requests(a), requests(b)]).toEqual([10, 0])
  a.answer = b.answer
  await pass(6_000)
  expect(statesOf(mesh)).toEqual(['failing', 'failing'])
  for (let i = 0; i < 10; i++) mesh.caller().get('/')
  mesh.loop.advance(100)
  expect(requests(b)).toBeGreaterThan(0)
})

test('without health: nothing is loaded, asked or changed; and when it is taken out again, neither', async () => {
  const { mesh, checks, apply, pass } = await start(null)
  mesh.loop.advance(60_000)
  expect(checks.status()).toEqual([])
  expect(mesh.upstreams.every(({ dials }) => dials === 0)).toBe(true)
  mesh.upstream(B).connect = 'refuse'
  await apply(healthSpec())
  await pass(1_000)
  expect(statesOf(mesh)).toEqual(['passing', 'failing'])
  await apply(null)
  await expect.poll(() => statesOf(mesh)).toEqual(['passing', 'passing'])
  const { dials } = mesh.upstream(B)
  mesh.loop.advance(60_000)
  expect(mesh.upstream(B).dials).toBe(dials)
})

test('a pattern is compiled before it is used, and one that cannot be leaves its service alone', async () => {
  const body = (value: string) => healthSpec({ check: httpCheck({ body: { kind: 'regex', value } }) })
  const { checks, log, apply, pass } = await start(body('^o.$'))
  await pass(1_000)
  expect(checks.status()[0]).toMatchObject({ healthy: 2 })
  await apply(body('(?!x)'))
  await expect.poll(() => checks.status()).toEqual([])
  expect(log.lines().at(-1)).toMatch(/^error orders: its health checks cannot be made: /)
})

test('the data threads are asked which services have requests', async () => {
  const { checks, use, pass } = await start(healthSpec({ noTrafficMs: 60_000 }))
  await pass(1_000)
  expect(checks.status()[0]).toMatchObject({ isQuiet: true, intervalMs: 60_000 })
  use()
  await pass(6_000)
  await expect.poll(() => checks.status()[0]!.isQuiet).toBe(false)
  checks.stop()
})
