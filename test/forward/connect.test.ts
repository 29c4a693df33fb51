import { describe, expect, test } from 'vitest'
import { connectService } from '../../mesh-config/host-name.ts'
import type { ConnectSpec } from '../../mesh-config/snapshot.ts'
import { Mesh } from '../support/mesh.ts'
import { A, expectQuiet } from '../support/orders.ts'
import { listenerSpec, type ServiceOverrides, serviceSpec, snapshotOf } from '../support/specs.ts'
import { http1Caller, http2End, rawUpstream } from '../support/tunnels.ts'

const OUTSIDE = 'api.example.com:443'
const everything: ConnectSpec = { services: true, hosts: [OUTSIDE] }

async function start(connect: ConnectSpec | null, options: ServiceOverrides = {}): Promise<Mesh> {
  const hosts = (connect?.hosts ?? []).map(host => serviceSpec(connectService(host), [host], { kind: 'connect' }))
  return await Mesh.start(snapshotOf([serviceSpec('orders', [A], options), ...hosts], [listenerSpec({ connect })]))
}

const callers = {
  'HTTP/1.1': (mesh: Mesh, authority: string) =>
    http1Caller(mesh.caller(), `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`),
  'HTTP/2': (mesh: Mesh, authority: string) =>
    http2End(mesh.http2Caller().ask({ method: 'CONNECT', authority, path: authority, upgrade: 'connect' })),
}
const services = {
  'a service': ['orders:443', A],
  'a service by its name in Consul': ['orders.service.consul:1', A],
  'a host that is named': ['API.example.com:443', OUTSIDE],
  'a service, with a dot behind it': ['orders.:443', A],
  'a host that is named, with a dot behind it': ['api.example.com.:443', OUTSIDE],
} as const

describe.each(Object.entries(callers))('CONNECT by %s', (_name, call) => {
  test.each(Object.entries(services))(
    'to %s is a TCP tunnel, each direction of which ends on its own',
    async (_what, [authority, address]) => {
      const mesh = await start(everything)
      mesh.names.set('api.example.com', '93.184.216.34')
      const ends = rawUpstream(mesh, address)
      const caller = call(mesh, authority)
      mesh.settle()
      const [far] = ends
      expect([caller.status, ends.length]).toEqual([200, 1])
      expect(mesh.stat('outrigger_tunnels_active', { upgrade: 'connect' })).toBe(1)
      // Nothing of the request is for it, and it may speak first.
      expect(far!.received).toBe('')
      far!.send('220 ready\r\n')
      caller.send('HELO\0\xff', true)
      mesh.settle()
      expect([caller.received, far!.received, far!.gotEnd, caller.gotEnd]).toEqual([
        '220 ready\r\n',
        'HELO\0\xff',
        true,
        false,
      ])
      far!.send('bye', true)
      mesh.settle()
      caller.close()
      mesh.settle()
      expect([caller.received, caller.gotEnd, far!.wasCut]).toEqual(['220 ready\r\nbye', true, false])
      expect(mesh.flight).toMatchObject({ method: 'CONNECT', status: 200, flag: '-', bytesIn: 6, bytesOut: 14 })
      expectQuiet(mesh)
    },
  )

  test.each(['http2', 'tcp'] as const)('to a service of `protocol: %s` speaks nothing there', async protocol => {
    const mesh = await start(everything, { protocol })
    const ends = rawUpstream(mesh, A)
    const caller = call(mesh, 'orders:443')
    mesh.settle()
    caller.send('raw')
    mesh.settle()
    expect([caller.status, ends[0]!.received]).toEqual([200, 'raw'])
    expect(mesh.endpoints()[0]!.endpoints[0]).toMatchObject({ connections: 1, idle: 0, active: 1 })
  })

  test('is cut on the other side when one cuts it', async () => {
    for (const side of ['caller', 'endpoint']) {
      const mesh = await start(everything)
      const ends = rawUpstream(mesh, A)
      const caller = call(mesh, 'orders:443')
      mesh.settle()
      if (side === 'caller') caller.cut()
      else ends[0]!.cut()
      mesh.settle()
      expect([caller, ends[0]!][side === 'caller' ? 1 : 0]!.wasCut).toBe(true)
      expectQuiet(mesh)
    }
  })

  test.each([
    ['where it is not allowed', null, 'orders:443', 403],
    ['to a host that is not named', everything, 'www.example.com:443', 404],
    ['to another port of one that is', everything, 'api.example.com:22', 404],
    ['to a service where only hosts are allowed', { services: false, hosts: [OUTSIDE] }, 'orders:443', 403],
    ['to the admin port', everything, '127.0.0.1:15000', 404],
    ['to this machine by name', everything, 'localhost:15000', 404],
    ['to the metadata of a cloud', everything, '169.254.169.254:80', 404],
    ['to an endpoint by its address', everything, A, 404],
    ['to what the snapshot calls a named host', everything, 'connect:443', 404],
  ] as const)('%s goes nowhere', async (_what, connect, authority, status) => {
    const mesh = await start(connect)
    const caller = call(mesh, authority)
    mesh.advance(2000)
    expect(caller.status).toBe(status)
    expect(mesh.upstreams.every(({ dials }) => dials === 0)).toBe(true)
  })

  test.each(['127.0.0.1', '::1', '169.254.169.254', 'fe80::1', '0.0.0.0'])(
    'to a name that leads to %s sends nothing there',
    async inside => {
      const mesh = await start(everything)
      mesh.names.set('api.example.com', inside)
      const ends = rawUpstream(mesh, OUTSIDE)
      const caller = call(mesh, OUTSIDE)
      caller.send('secret')
      mesh.advance(2000)
      expect(caller.status).toBe(503)
      expect(mesh.flight).toMatchObject({
        failure: 'connect-failed',
        detail: expect.stringContaining(`leads to ${inside}`),
      })
      expect(ends.map(({ received }) => received).join('')).toBe('')
      caller.close()
      mesh.settle()
      expectQuiet(mesh)
    },
  )
})

test('an address inside may be reached where it is named itself', async () => {
  const mesh = await start({ services: false, hosts: ['127.0.0.1:5432'] })
  const ends = rawUpstream(mesh, '127.0.0.1:5432')
  const caller = callers['HTTP/1.1'](mesh, '127.0.0.1:5432')
  mesh.settle()
  caller.send('hello')
  mesh.settle()
  expect([caller.status, ends[0]!.received]).toEqual([200, 'hello'])
})

test('the answer has no framing, and a CONNECT in HTTP/1.0 is one', async () => {
  const mesh = await start(everything)
  const ends = rawUpstream(mesh, A)
  const caller = http1Caller(mesh.caller(), 'CONNECT orders:443 HTTP/1.0\r\n\r\nearly')
  mesh.settle()
  expect(caller.head).toBe('HTTP/1.1 200 OK')
  expect(ends[0]!.received).toBe('early')
})

test('where nobody listens it is 503, after a try at another endpoint', async () => {
  const mesh = await start(everything)
  mesh.upstream(A).connect = 'refuse'
  const caller = mesh.caller().send('CONNECT orders:443 HTTP/1.1\r\nHost: orders:443\r\n\r\n', 'CONNECT')
  mesh.advance(2000)
  expect(caller.statuses).toEqual([503])
  expect(caller.last.header('connection')).toBe('close')
  expect(mesh.flight).toMatchObject({ failure: 'connect-refused', flag: 'UF' })
  expect(mesh.flight.attempts).toHaveLength(2)
  expectQuiet(mesh)
})

test('each tunnel has a connection of its own, within `limits.connections`', async () => {
  const mesh = await start(everything, { limits: { connections: 2, pending: 0 } })
  const ends = rawUpstream(mesh, A)
  const tunnels = Array.from({ length: 3 }, () => callers['HTTP/1.1'](mesh, 'orders:443'))
  mesh.settle()
  expect(tunnels.map(({ status }) => status)).toEqual([200, 200, 503])
  expect(mesh.upstream(A).dials).toBe(2)
  for (const tunnel of tunnels) tunnel.close()
  for (const end of ends) end.close()
  mesh.advance(2000)
  expectQuiet(mesh)
})
