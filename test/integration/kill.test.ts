import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { startBackend, startBackends } from './support/backend.ts'
import { startLoad } from './support/load.ts'
import { freePort } from './support/ports.ts'
import { type RunningProxy, startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

// Backends that die or freeze under load. What can be hidden from callers is hidden, and what happened can be read
// afterwards.

const NO_FAILURES = new Map()

async function stateOf(proxy: RunningProxy, address: string) {
  return (await proxy.endpoints('orders')).find(endpoint => endpoint.address === address)!
}

describe.concurrent('one of three backends under load', () => {
  test('is killed: no request fails; it is ejected, and used again once it is back', async () => {
    const [victim, ...others] = await startBackends(3)
    const addresses = [victim!, ...others].map(({ address }) => address)
    const port = await freePort()
    await using proxy = await startProxy({
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
      discovery: { endpoints: { orders: addresses } },
      services: { orders: { outliers: { baseEjection: '1s' } } },
    })
    const load = startLoad({ port, path: '/', rate: 1000 })
    await until('each backend in use', async () =>
      (await proxy.endpoints('orders')).every(({ requests }) => requests > 100),
    )

    victim!.signal('SIGKILL')
    await victim!.ended
    const ejected = await until('its ejection', async () => {
      const state = await stateOf(proxy, victim!.address)
      return state.state === 'ejected' && state
    })
    expect(ejected.reason).toMatch(/^\d+ consecutive failures.*(connect-refused|reset-before-response)/)
    expect(ejected.ejectedForMs).toBeGreaterThan(0)
    await until('its line in the log', () => proxy.err().includes(`${victim!.address} of orders is ejected for 1 s`))
    const metrics = await proxy.metrics()
    expect(metrics.value('outrigger_upstream_failures_total', { endpoint: victim!.address })).toBeGreaterThanOrEqual(5)
    for (const { address } of others)
      expect(metrics.value('outrigger_upstream_failures_total', { endpoint: address })).toBe(0)
    // Probed while it is still down: ejected again, for longer, and nobody notices.
    await until('a second, longer ejection', () =>
      proxy.err().includes(`${victim!.address} of orders is ejected for 2 s`),
    )

    await using back = await startBackend(victim!.port)
    await until('its return', async () => (await stateOf(proxy, back.address)).state === 'admitting')
    await until('its line in the log', () => proxy.err().includes(`${back.address} of orders is admitted again`))
    const before = (await stateOf(proxy, back.address)).requests
    await until('its share of the requests', async () => (await stateOf(proxy, back.address)).requests > before + 200)

    const { good, failures } = await load.stop()
    expect(failures).toEqual(NO_FAILURES)
    expect((await proxy.metrics()).value('http_requests_total', { status: '200', method: 'GET' })).toBe(good)
    expect((await proxy.metrics()).value('outrigger_upstream_requests_active')).toBe(0)
    await Promise.all(others.map(each => each.stop()))
  })

  test('freezes (SIGSTOP): with a time for each try no request fails; thawed, it is used again', async () => {
    const [victim, ...others] = await startBackends(3)
    const port = await freePort()
    await using proxy = await startProxy({
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
      discovery: { endpoints: { orders: [victim!, ...others].map(({ address }) => address) } },
      services: {
        orders: {
          timeouts: { perTry: '2s' },
          retries: { on: ['connect-failure', 'reset-before-response', 'per-try-timeout'], attempts: 3 },
          outliers: { baseEjection: '1s' },
        },
      },
    })
    const load = startLoad({ port, path: '/', rate: 300 })
    await until('each backend in use', async () =>
      (await proxy.endpoints('orders')).every(({ requests }) => requests > 200),
    )
    victim!.signal('SIGSTOP')
    const { reason } = await until('its ejection', async () => {
      const state = await stateOf(proxy, victim!.address)
      return state.state === 'ejected' && state
    })
    expect(reason).toContain('per-try-timeout')
    await sleep(500)
    victim!.signal('SIGCONT')
    await until('its return', async () => (await stateOf(proxy, victim!.address)).state === 'admitting')
    expect((await load.stop()).failures).toEqual(NO_FAILURES)
    const metrics = await proxy.metrics()
    expect(metrics.value('outrigger_upstream_requests_total')).toBeGreaterThan(metrics.value('http_requests_total'))
    await Promise.all([victim!, ...others].map(each => each.stop()))
  })
})

test.concurrent('all backends are killed: callers get 503 with the reason, and 200 as soon as one is back', async () => {
  const backends = await startBackends(2)
  const port = await freePort()
  await using proxy = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
    discovery: { endpoints: { orders: backends.map(({ address }) => address) } },
    services: { orders: { outliers: { baseEjection: '500ms' } } },
  })
  const load = startLoad({ port, path: '/', rate: 200 })
  await until('good answers', () => load.good() > 100)
  for (const backend of backends) backend.signal('SIGKILL')
  await until('failures', () => load.failed() > 50)
  // A route never disappears: the last endpoint stays in use, however often it fails.
  expect((await proxy.endpoints('orders')).filter(({ state }) => state === 'ejected').length).toBeLessThanOrEqual(1)
  await using back = await startBackend(backends[0]!.port)
  const before = load.good()
  await until('good answers again', () => load.good() > before + 300)
  const { failures } = await load.stop()
  expect([...failures.keys()]).toEqual(['status 503'])
  expect((await proxy.metrics()).value('http_requests_total', { status: '503', flags: 'UF' })).toBeGreaterThan(0)
  expect(back.running()).toBe(true)
})
