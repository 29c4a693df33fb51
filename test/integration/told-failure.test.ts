import { expect, test } from 'vitest'
import { type Backend, startBackend } from './support/backend.ts'
import { curl } from './support/curl.ts'
import { freePort } from './support/ports.ts'
import { get, startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

// Three real sidecars: an application that is down behind a live one costs its callers nothing, from the first request
// on.

test('requests that a sidecar answered for its dead application go to the other instance, whatever they are', async () => {
  const [onePort, otherPort, port] = [await freePort(), await freePort(), await freePort()]
  const appPorts = [await freePort(), await freePort()] as const
  await using _one = await startProxy({
    service: 'orders',
    inbound: [{ listen: `127.0.0.1:${onePort}`, forward: `127.0.0.1:${appPorts[0]}` }],
  })
  await using _other = await startProxy({
    service: 'orders',
    inbound: [{ listen: `127.0.0.1:${otherPort}`, forward: `127.0.0.1:${appPorts[1]}` }],
  })
  const callers = {
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
    discovery: { endpoints: { orders: [`127.0.0.1:${onePort}`, `127.0.0.1:${otherPort}`] } },
  }
  let app: Backend = await startBackend(appPorts[1])
  const first = await startProxy({ ...callers, services: { orders: { balancer: { type: 'round_robin' } } } })
  // Nothing is known of either instance: the first requests go over HTTP/1.1.
  for (let i = 0; i < 4; i++) {
    const answer = await get(port, '/echo', { method: 'POST', body: `order ${i}` })
    expect(answer.status).toBe(200)
    expect(Object.keys(answer.headers).filter(name => name.startsWith('outrigger'))).toEqual([])
    expect(String(answer.headers.connection)).not.toContain('outrigger')
  }
  const flights = await first.flights()
  const retried = flights.find(({ attempts }) => attempts.length === 2)!
  expect(retried.attempts[0]).toMatchObject({
    failure: 'application-unreachable',
    detail: `the sidecar at 127.0.0.1:${onePort} answered: nothing listens at its application (connect-refused)`,
    retry: 'yes: connect-failure',
    hop: false,
  })
  // Callers on HTTP/2, and later requests, which go over the hop.
  const over2 = await curl('--http2-prior-knowledge', '-sS', '-d', 'order', `http://127.0.0.1:${port}/echo`)
  expect(over2).toMatchObject({ exit: 0, status: 200 })
  for (let i = 0; i < 20; i++) expect((await get(port, '/', { method: 'POST', body: 'x' })).status).toBe(200)
  await first.stop()
  // The other one is down now, and the first one starts: nobody has to be told.
  await app.stop()
  app = await startBackend(appPorts[0])
  await using _second = await startProxy(callers)
  for (let i = 0; i < 6; i++) expect((await get(port, '/', { method: 'POST', body: 'x' })).status).toBe(200)
  // None is there: the answer says so, after two attempts.
  await app.stop()
  await until('a 503', async () => (await get(port, '/', { method: 'POST', body: 'x' })).status === 503)
  const { body, headers } = await get(port, '/', { method: 'POST', body: 'x' })
  expect(JSON.parse(body)).toMatchObject({ status: 503 })
  // That the tries are used up is for the caller; what the far sidecars said is not.
  expect(Object.entries(headers).filter(pair => pair.join().includes('outrigger'))).toEqual([
    ['x-outrigger-overloaded', 'true'],
  ])
})
