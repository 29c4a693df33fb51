import { expect, test } from 'vitest'
import { A, B, expectQuiet, orders } from '../support/orders.ts'
import { expectQuiet as expectHopQuiet, twoSidecars } from '../support/two-sidecars.ts'
import { ok, respond } from '../support/upstream.ts'

/** What sidecars tell each other of retries: `x-outrigger-attempt`, `x-outrigger-overloaded`. */

const down = respond('HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n')
const told = (request: { header(name: string): string | undefined }) => request.header('x-outrigger-attempt')

test('an endpoint is told which try it gets, of those that one has had', async () => {
  const { mesh } = await orders({
    endpoints: [A, B],
    retries: { on: ['gateway-error', 'connect-failure'], attempts: 3 },
  })
  for (const name of [A, B]) mesh.upstream(name).answer = down
  mesh.caller().get()
  mesh.advance(100)
  expect([A, B].flatMap(name => mesh.upstream(name).requests.map(told)).toSorted()).toEqual(['2', '3', undefined])
  // Nothing of it has reached the first one.
  mesh.upstream(A).connect = 'refuse'
  for (const connection of mesh.upstream(A).open) connection.close()
  mesh.settle()
  mesh.upstream(B).answer = ok
  for (let i = 0; i < 2; i++) mesh.caller().get()
  mesh.settle()
  expect(mesh.upstream(B).requests.slice(-2).map(told)).toEqual([undefined, undefined])
  expectQuiet(mesh)
})

test('a request that is a retry itself may use half of the budget', async () => {
  const { mesh } = await orders({
    endpoints: [A, B],
    retries: { on: ['gateway-error'], budget: { percent: 0, minPerSecond: 1 } },
    outliers: { consecutiveGatewayFailures: 0 },
  })
  for (const name of [A, B]) mesh.upstream(name).answer = down
  const requests = () => mesh.upstream(A).requests.length + mesh.upstream(B).requests.length
  for (let i = 0; i < 20; i++) mesh.caller().get('/', 'x-outrigger-attempt: 2\r\n')
  mesh.settle()
  expect(requests()).toBe(25)
  const reasons = mesh.flights().map(({ attempts }) => attempts.at(-1)!.retry)
  expect(reasons).toContain('no: it came as a retry, and those may use half of the retry budget, which is spent')
  for (let i = 0; i < 20; i++) mesh.caller().get()
  mesh.settle()
  expect(requests()).toBe(25 + 25)
  expectQuiet(mesh)
})

test('an answer that says to be tried enough is not tried again, and those before hear it as well', async () => {
  const { mesh } = await orders({ endpoints: [A, B], retries: { on: ['gateway-error'] } })
  for (const name of [A, B])
    mesh.upstream(name).answer = respond(
      'HTTP/1.1 503 Down\r\nX-Outrigger-Overloaded: true\r\nContent-Length: 0\r\n\r\n',
    )
  const caller = mesh.caller().get()
  mesh.settle()
  expect([caller.statuses, caller.last.header('x-outrigger-overloaded')]).toEqual([[503], 'true'])
  expect(mesh.flight.attempts.map(({ retry }) => retry)).toEqual([
    'no: the answer says that it was tried as often as it may be, or is over limits (x-outrigger-overloaded)',
  ])
  expectQuiet(mesh)
})

test('who asked is told when the tries are used up, and not after one that was never to be repeated', async () => {
  for (const [attempts, on, expected] of [
    [2, ['gateway-error'], 'true'],
    [1, ['gateway-error'], undefined],
    [2, ['connect-failure'], undefined],
  ] as const) {
    const { mesh } = await orders({ endpoints: [A, B], retries: { on, attempts } })
    for (const name of [A, B]) mesh.upstream(name).answer = down
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.last.header('x-outrigger-overloaded')).toBe(expected)
  }
})

test('so is one that is over the limits of the service', async () => {
  const { mesh, upstream } = await orders({ limits: { requests: 1 } })
  upstream.answer = () => {}
  mesh.caller().get()
  const caller = mesh.caller().get()
  mesh.settle()
  expect([caller.statuses, caller.last.header('x-outrigger-overloaded')]).toEqual([[503], 'true'])
})

test('between two sidecars: an application whose own callers made no call that was tried enough says nothing', async () => {
  const { mesh, application } = await twoSidecars({ retries: { on: ['gateway-error'], attempts: 2 } })
  application.answer = down
  const caller = mesh.caller().get()
  mesh.advance(100)
  expect(caller.statuses).toEqual([503])
  expect(application.requests).toHaveLength(2)
  expectHopQuiet(mesh)
})
