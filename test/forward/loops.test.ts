import { describe, expect, test } from 'vitest'
import { Mesh } from '../support/mesh.ts'
import { A, expectQuiet, orders } from '../support/orders.ts'
import { listenerSpec, serviceSpec, snapshotOf } from '../support/specs.ts'
import { meet, twoSidecars } from '../support/two-sidecars.ts'

/** An endpoint that leads back here is 508, after a request or two, and names the loop. */

const OWN = '127.0.0.1:8000'

async function circle(
  endpoints: readonly string[],
  listener = {},
  service = {},
  own: readonly string[] = [OWN],
): Promise<Mesh> {
  const mesh = new Mesh()
  for (const name of own) mesh.linked.set(name, 8000)
  mesh.names.set('me.example.com', '127.0.0.1')
  expect(await mesh.apply(snapshotOf([serviceSpec('orders', endpoints, service)], [listenerSpec(listener)]))).toEqual(
    [],
  )
  return mesh
}

describe('an endpoint that is a listener of this sidecar', () => {
  test.each([
    ['the shared one', {}, OWN],
    ['the one of the service', { service: 'orders' }, OWN],
    ['one on all addresses', { listen: { address: '0.0.0.0', port: 8000 } }, OWN],
    [
      'one on all addresses, by an address of this machine',
      { listen: { address: '::', port: 8000 } },
      '10.0.0.100:8000',
    ],
    ['the name of this machine', {}, 'localhost:8000'],
    ['a name that leads there', {}, 'me.example.com:8000'],
  ])('%s', async (_name, listener, endpoint) => {
    const mesh = await circle([endpoint], listener, {}, [endpoint])
    const caller = mesh.caller().get()
    mesh.advance(1000)
    expect(caller.statuses).toEqual([508])
    expect(JSON.parse(caller.last.text)).toMatchObject({
      failure: 'connect-to-itself',
      detail: expect.stringContaining("this sidecar's own listener outbound "),
    })
    expect(mesh.flights()).toHaveLength(1)
    expect(mesh.upstreams.reduce((sum, { dials }) => sum + dials, 0)).toBeLessThanOrEqual(1)
    expectQuiet(mesh)
  })

  test('over HTTP/2', async () => {
    const mesh = await circle([OWN], {}, { protocol: 'grpc' })
    const plain = mesh.http2Caller().ask()
    const call = mesh.http2Caller().ask({ method: 'POST', fields: ['content-type', 'application/grpc'], body: 'x' })
    mesh.advance(1000)
    expect([plain.status, call.status, call.fields.get('grpc-status')]).toEqual([508, 200, '9'])
    expect(mesh.flights()).toHaveLength(2)
  })

  test('over TCP the connection is closed', async () => {
    const mesh = await circle([OWN], { service: 'orders', protocol: 'tcp' }, { protocol: 'tcp' })
    const caller = mesh.plainCaller()
    mesh.advance(3000)
    expect(caller.over).toBe(true)
    expect(mesh.flights().at(-1)).toMatchObject({ failure: 'connect-to-itself' })
    expect(mesh.upstream(OWN).dials).toBe(0)
  })

  test('over TCP, known only once it is reached', async () => {
    const mesh = await circle(['me.example.com:8000'], { service: 'orders', protocol: 'tcp' }, { protocol: 'tcp' }, [
      'me.example.com:8000',
    ])
    const caller = mesh.plainCaller()
    mesh.advance(3000)
    expect(caller.over).toBe(true)
    expect(mesh.upstream('me.example.com:8000').dials).toBeLessThan(5)
    expect(mesh.stat('outrigger_downstream_connections_active')).toBe(0)
  })

  test('beside good ones costs no request, and is ejected', async () => {
    const mesh = await circle([OWN, A])
    for (let i = 0; i < 40; i++) {
      const caller = mesh.caller().get()
      mesh.settle()
      expect(caller.statuses).toEqual([200])
    }
    const [own, good] = mesh.endpoints()[0]!.endpoints
    expect([own!.address, own!.state, good!.state]).toEqual([OWN, 'ejected', 'admitting'])
  })

  test('for another service, or for an application, is no loop', async () => {
    const mesh = new Mesh()
    for (const name of ['127.0.0.1:8001', '127.0.0.1:20000', '127.0.0.1:8000'])
      mesh.linked.set(name, Number(name.split(':')[1]))
    const listen = (port: number) => ({ address: '127.0.0.1', port })
    const services = [
      serviceSpec('orders', ['127.0.0.1:8001']),
      serviceSpec('next', ['127.0.0.1:20000']),
      serviceSpec('local_app:80', [A], { kind: 'local' }),
    ]
    const listeners = [
      listenerSpec(),
      listenerSpec({ listen: listen(8001), service: 'next' }),
      listenerSpec({ direction: 'inbound', listen: listen(20_000), service: 'local_app:80' }),
    ]
    expect(await mesh.apply(snapshotOf(services, listeners))).toEqual([])
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expect(mesh.upstream(A).requests).toHaveLength(1)
  })
})

describe('a longer circle', () => {
  test.each(['HTTP/1.1', 'HTTP/2'])('over two sidecars, by %s', async protocol => {
    const [one, two] = [new Mesh(), new Mesh()]
    const service = protocol === 'HTTP/2' ? { protocol: 'http2' as const } : {}
    for (const [mesh, other, name] of [
      [one, two, '10.0.2.1:8000'],
      [two, one, '10.0.1.1:8000'],
    ] as const) {
      expect(
        await mesh.apply(
          snapshotOf(
            [serviceSpec('orders', [name], { ...service, retries: { on: ['5xx', 'gateway-error'], attempts: 3 } })],
            [listenerSpec()],
          ),
        ),
      ).toEqual([])
      mesh.upstream(name).accept = wire => other.take(8000, wire)
    }
    const caller = one.caller().get()
    for (let i = 0; i < 400; i++) for (const mesh of [one, two]) mesh.advance(1)
    expect(caller.statuses).toEqual([508])
    expect(JSON.parse(caller.last.text)).toMatchObject({
      failure: 'loop',
      detail: expect.stringContaining('127.0.0.1'),
    })
    expect(one.upstream('10.0.2.1:8000').dials + two.upstream('10.0.1.1:8000').dials).toBeLessThanOrEqual(65)
    for (const mesh of [one, two]) for (const { active } of mesh.endpoints()) expect(active).toBe(0)
  })

  test('a long way is no circle', async () => {
    const { mesh, upstream } = await orders()
    const caller = mesh.caller().get('/', `X-Forwarded-For: ${Array(64).fill('10.0.0.1').join(', ')}\r\n`)
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expect(upstream.requests).toHaveLength(1)
    caller.get('/', `X-Forwarded-For: ${Array(65).fill('10.0.0.1').join(', ')}\r\n`)
    mesh.settle()
    expect(caller.statuses).toEqual([200, 508])
    expect(mesh.flight).toMatchObject({ failure: 'loop', attempts: [] })
    expectQuiet(mesh)
  })

  test('over the hop', async () => {
    const { mesh } = await twoSidecars()
    meet(mesh)
    const caller = mesh.caller().get('/', `X-Forwarded-For: ${Array(64).fill('10.0.0.1').join(', ')}\r\n`)
    mesh.settle()
    expect(caller.statuses).toEqual([508])
  })
})
