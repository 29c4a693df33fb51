import { describe, expect, test, vi } from 'vitest'
import { Originals } from '../../proxy/runtime/originals.ts'
import type { Mesh } from '../support/mesh.ts'
import { A, B, FOREIGN, request, transparent } from '../support/redirected.ts'

const asked = (mesh: Mesh) => mesh.upstreams.filter(({ requests }) => requests.length > 0).map(({ name }) => name)

describe('a redirected request', () => {
  test.each([
    ['orders', A],
    ['orders:8080', FOREIGN],
    ['orders.example.com', FOREIGN],
    ['ORDERS.service.consul', '127.0.0.1:1'],
  ])('that names a known service (%s) goes there, whatever address it was going to', async (host, to) => {
    const mesh = await transparent()
    const caller = request(mesh, to, host)
    expect(caller.statuses).toEqual([200])
    expect([[A], [B]]).toContainEqual(asked(mesh))
    expect(mesh.flight).toMatchObject({ by: 'host', service: 'orders', flag: '-' })
  })

  test('that names nothing known goes to the service that its address belongs to, and is balanced', async () => {
    const mesh = await transparent()
    const caller = mesh.redirected(A)
    for (let i = 0; i < 4; i++) {
      caller.send(`GET /${i} HTTP/1.1\r\nHost: 10.0.0.7:8080\r\n\r\n`)
      mesh.settle()
    }
    expect(caller.statuses).toEqual([200, 200, 200, 200])
    expect([mesh.upstream(A).requests.length, mesh.upstream(B).requests.length]).toEqual([2, 2])
    expect(mesh.flight).toMatchObject({ by: 'address', service: 'orders', route: '/*' })
  })

  test('an IPv6 endpoint is known however it is written', async () => {
    const mesh = await transparent()
    mesh.upstream('fd00:0::7:8080')
    request(mesh, '[fd00::7]:8080', '[fd00::7]:8080')
    expect(mesh.flight).toMatchObject({ by: 'address', service: 'six' })
  })

  test('of all else goes on to where it was going, on connections that are kept', async () => {
    const mesh = await transparent()
    const caller = mesh.redirected(FOREIGN)
    for (let i = 0; i < 3; i++) {
      caller.send(`GET /${i} HTTP/1.1\r\nHost: www.example.com\r\n\r\n`)
      mesh.settle()
    }
    expect(caller.statuses).toEqual([200, 200, 200])
    expect(mesh.upstream(FOREIGN).connections.length).toBe(1)
    expect(mesh.flight).toMatchObject({
      by: 'original',
      service: 'PassthroughCluster',
      destination: 'PassthroughCluster',
      attempts: [{ endpoint: FOREIGN, policy: 'original' }],
    })
    expect(mesh.stat('http_requests_total', { service: 'PassthroughCluster', status: '200' })).toBe(3)
  })

  test('a connection that was made to the port itself is served by name only', async () => {
    const mesh = await transparent()
    const caller = mesh.caller(15001).get('/')
    mesh.settle()
    caller.send('GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n')
    mesh.settle()
    expect(caller.statuses).toEqual([200, 404])
    expect(mesh.flight.detail).toBe(
      'no service is known as "www.example.com", and the connection was not redirected here',
    )
  })

  test('HTTP/2 of a caller that knows its server goes on as HTTP/2', async () => {
    const mesh = await transparent()
    const ends = mesh.plainUpstream(FOREIGN)
    const caller = mesh.http2Redirected(FOREIGN)
    caller.ask({ authority: 'grpc.example.com' })
    mesh.settle()
    expect(ends[0]!.text).toMatch(/^PRI \* HTTP\/2\.0/)
  })

  test('one destination that does not answer keeps no other waiting', async () => {
    const mesh = await transparent()
    mesh.upstream('192.0.2.1:80').connect = 'ignore'
    const stuck = Array.from({ length: 50 }, () => request(mesh, '192.0.2.1:80', 'black.hole'))
    expect(request(mesh, FOREIGN, 'www.example.com').statuses).toEqual([200])
    mesh.advance(10_000)
    expect(stuck.map(({ statuses }) => statuses)).toEqual(stuck.map(() => [503]))
    expect(mesh.flight).toMatchObject({ flag: 'UF', attempts: [{ endpoint: '192.0.2.1:80' }] })
  })
})

describe('what may be reached', () => {
  test('deny: what belongs to no service is refused, with the reason', async () => {
    const mesh = await transparent('passThrough: deny')
    expect(request(mesh, FOREIGN, 'www.example.com').statuses).toEqual([403])
    expect(mesh.flight).toMatchObject({
      flag: 'UAEX',
      failure: 'pass-through-denied',
      detail: `${FOREIGN} belongs to no known service, and passThrough does not allow it`,
    })
    expect(mesh.upstream(FOREIGN).dials).toBe(0)
    expect(request(mesh, A, '10.0.0.7').statuses).toEqual([200])
    const tcp = mesh.plainRedirected('192.0.2.7:9999')
    tcp.send('\x00\x01')
    mesh.settle()
    expect([tcp.over, tcp.error !== null]).toEqual([true, true])
    expect(mesh.flight).toMatchObject({ protocol: 'tcp', flag: 'UAEX' })
  })

  test.each([
    ['93.184.216.34:80', 'x', 200],
    ['93.184.217.1:80', 'x', 403],
    ['192.0.2.1:5432', 'x', 200],
    ['192.0.2.1:5433', 'x', 403],
    ['192.0.2.9:443', 'api.example.com', 200],
    ['192.0.2.9:80', 'api.example.com', 403],
    ['192.0.2.9:443', 'a.example.org', 200],
    ['192.0.2.9:443', 'example.org', 403],
  ])('a list: %s as %s is answered with %i', async (to, host, status) => {
    const list = '[93.184.216.0/24, 192.0.2.1:5432, api.example.com:443, "*.example.org:443"]'
    const mesh = await transparent(`passThrough: ${list}, opaquePorts: []`)
    expect(request(mesh, to, host).statuses).toEqual([status])
  })
})

describe('a redirected connection that is not HTTP', () => {
  test('to the endpoint of a service that speaks TCP goes there without waiting for a byte', async () => {
    const mesh = await transparent()
    const ends = mesh.plainUpstream('10.0.0.9:7000')
    const caller = mesh.plainRedirected('10.0.0.9:7000')
    mesh.settle()
    ends[0]!.send('hello, who are you?')
    mesh.settle()
    expect(caller.text).toBe('hello, who are you?')
    caller.wire.end()
    ends[0]!.wire.end()
    mesh.settle()
    expect(mesh.flight).toMatchObject({ by: 'address', service: 'db', protocol: 'tcp' })
  })

  test('to a port where servers speak first goes on at once', async () => {
    const mesh = await transparent()
    const ends = mesh.plainUpstream('192.0.2.25:25')
    const caller = mesh.plainRedirected('192.0.2.25:25')
    mesh.settle()
    ends[0]!.send('220 ready\r\n')
    mesh.settle()
    expect(caller.text).toBe('220 ready\r\n')
  })

  test('from a client that says nothing goes on after `firstByte`', async () => {
    const mesh = await transparent()
    const ends = mesh.plainUpstream('192.0.2.33:3307')
    mesh.plainRedirected('192.0.2.33:3307')
    mesh.settle()
    expect(ends.length).toBe(0)
    mesh.advance(299)
    expect(ends.length).toBe(0)
    mesh.advance(1)
    expect(ends.length).toBe(1)
  })

  test('a thousand silent clients hinder nobody', async () => {
    const mesh = await transparent()
    mesh.upstream('192.0.2.33:3307').connect = 'ignore'
    for (let i = 0; i < 1000; i++) mesh.plainRedirected('192.0.2.33:3307', 15001, 10_000 + i)
    mesh.advance(300)
    expect(request(mesh, FOREIGN, 'www.example.com').statuses).toEqual([200])
    mesh.advance(10_000)
    expect(mesh.plainCallers.every(({ over }) => over)).toBe(true)
  })

  test.each([
    ['get key\r\n', 'memcached'],
    ['PING hello\r\n', 'Redis, as text'],
    ['CONNECT example.com:443 HTTP/1.1\r\n\r\n', 'a tunnel through another proxy'],
    ['GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n', 'a request to another proxy'],
    ['SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n', 'SSH'],
    ['0 \x02\x01\x01', 'LDAP'],
  ])('%j goes on as it is (%s)', async bytes => {
    const mesh = await transparent()
    const ends = mesh.plainUpstream('192.0.2.3:4000')
    mesh.plainRedirected('192.0.2.3:4000').send(bytes)
    mesh.settle()
    expect(ends[0]?.text).toBe(bytes)
  })

  test('a method that is not known makes a request all the same, however it is split', async () => {
    const mesh = await transparent()
    const caller = mesh.redirected(FOREIGN)
    for (const part of ['PROP', 'FIND /a', 'b HTTP/1.', '1\r\nHost: dav.example.com\r\n\r\n']) {
      caller.send(part, ...(part === 'PROP' ? ['PROPFIND'] : []))
      mesh.settle()
    }
    expect(caller.statuses).toEqual([200])
    expect(mesh.flight).toMatchObject({ method: 'PROPFIND', path: '/ab' })
  })
})

describe('a connection of the sidecar that was redirected to itself', () => {
  test('is closed at both ends, and it is said what to do', async () => {
    const mesh = await transparent()
    // It comes back from the port that the sidecar dials from.
    mesh.upstream(FOREIGN).connectMs = 5
    const caller = request(mesh, FOREIGN, 'www.example.com')
    const back = mesh.redirected(FOREIGN, 15001, 50_000)
    mesh.advance(5)
    expect(caller.statuses).toEqual([508])
    expect(back.over).toBe(false)
    expect(mesh.messages).toContainEqual({
      kind: 'event',
      event: expect.objectContaining({ kind: 'listener-error', detail: expect.stringContaining('exempt its user') }),
    })
    // The other order: the connection is made before it is accepted.
    mesh.upstream(FOREIGN).connectMs = 0
    mesh.advance(20_000)
    request(mesh, FOREIGN, 'www.example.com')
    const late = mesh.redirected(FOREIGN, 15001, 50_000)
    mesh.settle()
    expect([late.over, late.wasReset]).toEqual([true, true])
  })
})

describe('what is kept', () => {
  /** The destinations behind the outbound listener. */
  async function counted(): Promise<{ mesh: Mesh; originals: Originals }> {
    const configure = vi.spyOn(Originals.prototype, 'configure')
    const mesh = await transparent()
    const at = configure.mock.calls.findIndex(([spec]) => spec.name === 'PassthroughCluster')
    const originals = configure.mock.contexts[at] as Originals
    configure.mockRestore()
    return { mesh, originals }
  }

  test('destinations go when they are idle, with their connections', async () => {
    const { mesh, originals } = await counted()
    for (let i = 0; i < 300; i++) {
      const caller = request(mesh, `198.51.${i >> 8}.${i & 255}:80`, `site-${i}.example.com`)
      caller.wire.destroy()
    }
    mesh.settle()
    const open = () => mesh.upstreams.filter(upstream => upstream.open.length > 0).length
    expect([open(), originals.size]).toEqual([300, 300])
    mesh.advance(400_000)
    expect([open(), originals.size]).toEqual([0, 0])
  })

  test('of ten thousand names the oldest make room, but for those in use', async () => {
    const { mesh, originals } = await counted()
    const first = '192.0.2.1:80'
    mesh.plainUpstream(first)
    const used = request(mesh, first, 'first.example.com')
    for (let i = 0; i < 10_100; i++) {
      const to = `198.${i >> 8}.${i & 255}.1:80`
      mesh.upstream(to).connect = 'refuse'
      request(mesh, to, `site-${i}.example.com`).wire.destroy()
    }
    expect(originals.size).toBeLessThanOrEqual(10_000)
    expect([used.over, used.statuses]).toEqual([false, []])
    expect(request(mesh, FOREIGN, 'www.example.com').statuses).toEqual([200])
  })
})

describe('inbound', () => {
  test('goes to the port it was going to, whatever its Host says', async () => {
    const mesh = await transparent()
    const caller = mesh.redirected('10.0.0.100:3000', 15006).send('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expect(asked(mesh)).toEqual(['10.0.0.100:3000'])
    expect(mesh.flight).toMatchObject({
      direction: 'inbound',
      destination: 'local_app:3000',
      attempts: [{ endpoint: '10.0.0.100:3000' }],
    })
  })

  test('a connection to the port itself is refused', async () => {
    const mesh = await transparent()
    const caller = mesh.caller(15006).get('/')
    mesh.settle()
    expect(caller.statuses).toEqual([404])
  })

  test('a malformed request is refused, and does not pass as bytes', async () => {
    const mesh = await transparent()
    const caller = mesh.redirected('10.0.0.100:3000', 15006).send('GET\t/ HTTP/1.1\r\n\r\n', 'GET')
    mesh.settle()
    expect(caller.statuses).toEqual([400])
    expect(mesh.upstream('10.0.0.100:3000').dials).toBe(0)
  })
})
