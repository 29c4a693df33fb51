import { describe, expect, test } from 'vitest'
import type { Unknown } from '../../proxy/core/channel.ts'
import { Mesh } from '../support/mesh.ts'
import { endpointSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

/** What a data thread does with news of peers, and with requests for services that it does not know. */

const open = (...services: ReturnType<typeof serviceSpec>[]) => snapshotOf(services, undefined, { onDemandMs: 2_000 })
const request = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`
const wants = (mesh: Mesh) => mesh.messages.flatMap(message => (message.kind === 'want' ? [message.service] : []))
const microtasks = () => new Promise(resolve => setImmediate(resolve))

async function unknown(mesh: Mesh, service: string, why: Unknown): Promise<void> {
  mesh.thread.receive({ kind: 'unknown-service', service, why })
  await microtasks()
  mesh.settle()
}

describe('a service that no snapshot has', () => {
  test('is asked for once; the requests wait, and go their way when a snapshot has it', async () => {
    const mesh = await Mesh.start(open())
    const callers = [mesh.caller().send(request('cart')), mesh.caller().send(request('cart.service.consul:80'))]
    mesh.settle()
    expect(wants(mesh)).toEqual(['cart'])
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual([])
    await mesh.apply(open(serviceSpec('cart', ['10.0.0.9:80'])))
    await microtasks()
    mesh.settle()
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual([200, 200])
    expect(mesh.flight).toMatchObject({ service: 'cart', by: 'host', flag: '-' })
  })

  test('is not there: 404 NR with the reason', async () => {
    const mesh = await Mesh.start(open())
    const caller = mesh.caller().send(request('nix'))
    mesh.settle()
    await unknown(mesh, 'nix', { certain: true, reason: 'Consul knows no instance of "nix"' })
    expect(caller.statuses).toEqual([404])
    expect(mesh.flight).toMatchObject({ flag: 'NR', detail: 'Consul knows no instance of "nix"' })
  })

  test('cannot be looked up: 503 NC', async () => {
    const mesh = await Mesh.start(open())
    const caller = mesh.caller().send(request('cart'))
    mesh.settle()
    await unknown(mesh, 'cart', { certain: false, reason: 'Consul refused the connection' })
    expect(caller.statuses).toEqual([503])
    expect(mesh.flight).toMatchObject({ flag: 'NC', detail: 'Consul refused the connection' })
  })

  test('does not come in time: 503 NC, and the next request asks again', async () => {
    const mesh = await Mesh.start(open())
    const caller = mesh.caller().send(request('cart'))
    mesh.advance(2_010)
    await microtasks()
    mesh.settle()
    expect(caller.statuses).toEqual([503])
    caller.send(request('cart'))
    mesh.settle()
    expect(wants(mesh)).toEqual(['cart', 'cart'])
  })

  test('a caller that goes away while it waits is forgotten', async () => {
    const mesh = await Mesh.start(open())
    const caller = mesh.caller().send(request('cart'))
    mesh.settle()
    caller.close()
    mesh.settle()
    await mesh.apply(open(serviceSpec('cart', ['10.0.0.9:80'])))
    await microtasks()
    mesh.settle()
    expect(mesh.upstream('10.0.0.9:80').dials).toBe(0)
    expect(mesh.flight).toMatchObject({ flag: 'DC' })
  })

  test.each(['www.example.com', '10.0.0.1', 'a_very bad host', '[::1]:80', ''])(
    'a host that is no name of a service (%s) is not asked for',
    async host => {
      const mesh = await Mesh.start(open())
      const caller = mesh.caller().send(request(host))
      mesh.settle()
      expect(wants(mesh)).toEqual([])
      expect(caller.statuses[0]).toBeGreaterThanOrEqual(400)
    },
  )

  test('without on-demand discovery: 404 at once', async () => {
    const mesh = await Mesh.start(snapshotOf([]))
    const caller = mesh.caller().send(request('cart'))
    mesh.settle()
    expect([wants(mesh), caller.statuses]).toEqual([[], [404]])
  })

  test('a body that comes meanwhile is kept for it', async () => {
    const mesh = await Mesh.start(open())
    const caller = mesh.caller().send('POST / HTTP/1.1\r\nHost: cart\r\nContent-Length: 5\r\n\r\nhe')
    mesh.settle()
    caller.sendMore('llo')
    mesh.settle()
    await mesh.apply(open(serviceSpec('cart', ['10.0.0.9:80'])))
    await microtasks()
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expect(mesh.upstream('10.0.0.9:80').received).toContain('\r\n\r\nhello')
  })
})

describe('news of endpoints', () => {
  const addresses = (mesh: Mesh) => mesh.endpoints()[0]!.endpoints.map(({ address, health }) => `${address} ${health}`)

  test('change the host set in place, in order with snapshots', async () => {
    const mesh = await Mesh.start(open(serviceSpec('orders', ['10.0.0.1:80', '10.0.0.2:80'])))
    const critical = endpointSpec('10.0.0.2:80', { health: 'critical', healthReason: 'check http' })
    mesh.thread.receive({
      kind: 'endpoints',
      service: 'orders',
      delta: { put: [endpointSpec('10.0.0.3:80'), critical], drop: ['10.0.0.1:80'] },
    })
    await microtasks()
    expect(addresses(mesh).sort()).toEqual(['10.0.0.2:80 critical', '10.0.0.3:80 passing'])
    const callers = Array.from({ length: 4 }, () => mesh.caller().get())
    mesh.settle()
    expect(callers.flatMap(({ statuses }) => statuses)).toEqual([200, 200, 200, 200])
    expect(mesh.upstream('10.0.0.3:80').requests).toHaveLength(4)
  })

  test('of a service that is gone by now are passed over', async () => {
    const mesh = await Mesh.start(open(serviceSpec('orders', ['10.0.0.1:80'])))
    mesh.thread.receive({ kind: 'endpoints', service: 'cart', delta: { put: [endpointSpec('10.0.0.3:80')], drop: [] } })
    await microtasks()
    expect(mesh.endpoints().map(({ name }) => name)).toEqual(['orders'])
  })
})
