import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { startBackend } from './support/backend.ts'
import { freePort } from './support/ports.ts'
import { get, startProxy } from './support/proxy.ts'
import { rawClient } from './support/raw.ts'
import { until, within } from './support/until.ts'

// A real process that is short of file descriptors: a threshold that a hundred connections reach.

const GET = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n'

test('a proxy short of file descriptors sheds requests and refuses connections, says so, and serves again', async () => {
  await using backend = await startBackend()
  const port = await freePort()
  const config = {
    accessLog: 'off',
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
    discovery: { endpoints: { orders: [backend.address] } },
  }
  await using proxy = await startProxy(config)
  const { pid } = proxy
  const limit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))![1])
  const open = readdirSync(`/proc/${pid}/fd`).length
  const percent = (more: number) => ((open + more) / limit) * 100
  proxy.write({ ...config, overload: { descriptors: { closeAt: 0, shedAt: percent(40), refuseAt: percent(80) } } })
  const active = async (action: string) => (await proxy.metrics()).value('outrigger_overload_active', { action })
  await proxy.said('the reload', (out, err) => (out + err).includes('overload: descriptors.shedAt'))

  const clients = await Promise.all(Array.from({ length: 100 }, () => rawClient(port)))
  await until('refused connections', async () => (await active('refuse')) === 1, 20_000)
  expect(await active('shed')).toBe(1)
  clients[0]!.send(GET)
  const answer = await clients[0]!.sees('x-outrigger-overloaded: true')
  expect(answer).toContain('HTTP/1.1 503')
  expect(answer).toContain('"flag":"OM"')
  using refused = await rawClient(port)
  await within('a refused connection', Promise.race([refused.ended, refused.closed]))
  expect((await proxy.admin('/ready')).status).toBe(200)
  await proxy.said('the line of the log', (out, err) => (out + err).includes('overload: new connections are refused'))

  for (const { socket } of clients) socket.destroy()
  await until('the end of it', async () => (await active('refuse')) === 0 && (await active('shed')) === 0, 20_000)
  expect((await get(port, '/')).status).toBe(200)
}, 60_000)
