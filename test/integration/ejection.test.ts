import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { freePort } from './support/ports.ts'
import { get, startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

/** An application in this process. */
async function application(answer: RequestListener) {
  const server = createServer(answer)
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

describe('a proxy with several data threads', () => {
  test('ejects after five failures in a row over all of them, and one request brings the endpoint back', async () => {
    let isBroken = true
    let broken = 0
    /** Once it is well again: the requests that came before the first of them was answered. */
    let probes = 0
    let isAnswered = false
    await using bad = await application((_request, response) => {
      if (isBroken) {
        broken++
        return void response.writeHead(503).end()
      }
      if (!isAnswered) probes++
      // Long enough for others to come meanwhile.
      setTimeout(() => {
        isAnswered = true
        response.end('well again')
      }, 300)
    })
    await using good = await application((_request, response) => response.end('fine'))
    await using another = await application((_request, response) => response.end('fine'))
    const port = await freePort()
    await using proxy = await startProxy({
      workers: 3,
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
      discovery: { endpoints: { orders: [bad.address, good.address, another.address] } },
      services: {
        orders: { balancer: { type: 'round_robin' }, outliers: { baseEjection: '2s' }, retries: { attempts: 1 } },
      },
    })
    const stateOf = async () => (await proxy.endpoints('orders')).find(({ address }) => address === bad.address)!
    // Each on a connection of its own: the system gives it to any of the threads.
    const ask = () => get(port, '/')
    const statuses: number[] = []
    await until('its ejection', async () => {
      for (let i = 0; i < 3; i++) statuses.push((await ask()).status)
      return (await stateOf()).state === 'ejected'
    })
    // A thread that has not been told yet may send one more.
    expect(broken).toBeGreaterThanOrEqual(5)
    expect(broken).toBeLessThanOrEqual(7)
    expect(statuses.filter(status => status === 503)).toHaveLength(broken)
    await until('its line in the log', () => proxy.err().includes(`${bad.address} of orders is ejected for 2 s`))
    expect(proxy.err()).toMatch(
      /5 consecutive failures, last: status 503; its last failures: (status 503 \d+ ms ago \(request [^)]+\)(, )?){5}/,
    )
    const { value } = await proxy.metrics()
    expect(value('outrigger_upstream_ejected', { endpoint: bad.address })).toBe(1)
    expect(value('outrigger_upstream_ejections_total', { endpoint: bad.address })).toBe(1)
    // All data threads know within 100 ms.
    await new Promise(resolve => setTimeout(resolve, 100))
    const before = broken
    const after = await Promise.all(Array.from({ length: 60 }, ask))
    expect(new Set(after.map(({ status }) => status))).toEqual(new Set([200]))
    expect(broken).toBe(before)

    isBroken = false
    await until('its time to be over', async () => (await stateOf()).state !== 'ejected')
    await Promise.all(Array.from({ length: 60 }, ask))
    expect(probes).toBe(1)
    expect(await until('its return', async () => (await stateOf()).state === 'admitting' && stateOf())).toMatchObject({
      state: 'admitting',
    })
    expect(proxy.err()).toContain(`${bad.address} of orders is admitted again`)
  })
})
