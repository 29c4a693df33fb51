import { describe, expect, test } from 'vitest'
import { A, expectQuiet, orders } from '../support/orders.ts'
import { matchSpec, routeSpec } from '../support/specs.ts'
import { http1Caller, KEY, upgradeRequest, upstreams } from '../support/tunnels.ts'
import { meet, twoSidecars } from '../support/two-sidecars.ts'
import { silent } from '../support/upstream.ts'

/**
 * What a service does not allow among `upgrades` is an offer that may be ignored (RFC 9110 section 7.8), and what comes
 * behind an offer may be no HTTP.
 */

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n'
const offer = (protocol: string, more = '', line = 'GET / HTTP/1.1') =>
  `${line}\r\nHost: orders\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${more}\r\n`

describe('an offer of another protocol than the service has', () => {
  test.each([
    ['TLS/1.2, as of Apache HttpClient 5.4', offer('TLS/1.2'), ''],
    ['two in one field', offer('TLS/1.2, HTTP/1.1'), ''],
    ['one with a body', `${offer('TLS/1.2', 'Content-Length: 4\r\n', 'POST / HTTP/1.1')}body`, 'body'],
    [
      'one with a chunked body',
      `${offer('TLS/1.3', 'Transfer-Encoding: chunked\r\n', 'PUT / HTTP/1.1')}4\r\nbody\r\n0\r\n\r\n`,
      'body',
    ],
    ['a WebSocket without a key', offer('websocket'), ''],
    ['any other', offer('irc/2'), ''],
  ])('is ignored: %s', async (_name, request, body) => {
    const { mesh, upstream } = await orders({ upgrades: [] })
    const caller = mesh.caller().send(request)
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expect(upstream.requests[0]!.text).toBe(body)
    expect(upstream.requests[0]!.names.map(name => name.toLowerCase())).not.toContain('upgrade')
    expect(upstream.requests[0]!.header('connection')).toBeUndefined()
    expectQuiet(mesh)
  })

  test('keeps the connection where nobody acts on it before the answer', async () => {
    const { mesh, upstream } = await orders()
    const caller = mesh.caller()
    for (let i = 0; i < 3; i++) {
      caller.send(`${offer('TLS/1.2', 'Content-Length: 2\r\n', 'POST / HTTP/1.1')}hi`)
      mesh.settle()
    }
    expect(caller.statuses).toEqual([200, 200, 200])
    expect(caller.last.header('connection')).toBeUndefined()
    expect(upstream.connections).toHaveLength(1)
    expectQuiet(mesh)
  })

  test('ends it where somebody might', async () => {
    const { mesh } = await orders()
    const caller = mesh.caller().send(offer('irc'))
    mesh.settle()
    caller.sendMore(SMUGGLED)
    mesh.settle()
    expect([caller.statuses, caller.last.header('connection'), caller.gotEnd]).toEqual([[200], 'close', true])
    expectQuiet(mesh)
  })

  test('is answered in time as any request', async () => {
    const { mesh, upstream } = await orders({ timeouts: { requestMs: 1000 } })
    upstream.answer = silent
    const caller = mesh.caller().send(offer('TLS/1.2'))
    mesh.advance(1020)
    expect(caller.statuses).toEqual([504])
  })

  test('goes over the hop between two sidecars, whose application sees nothing of it', async () => {
    const { mesh, application } = await twoSidecars()
    meet(mesh)
    const caller = mesh.caller().send(offer('TLS/1.2', 'X-Own: 1\r\n'))
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expect(application.requests.at(-1)!.names.map(name => name.toLowerCase())).not.toContain('upgrade')
    expect(mesh.flights().find(({ direction }) => direction === 'outbound')!.attempts[0]!.hop).toBe(true)
  })

  test('leaves the one of several that the service has', async () => {
    const { mesh, upstream } = await orders()
    upstreams['HTTP/1.1'](mesh, A)
    const caller = http1Caller(mesh.caller(), upgradeRequest('irc, WebSocket'))
    mesh.settle()
    expect([caller.status, upstream.requests[0]!.header('upgrade')]).toEqual([101, 'WebSocket'])
  })
})

describe('what comes right behind an Upgrade that opens no tunnel is never a request', () => {
  test.each([
    ['a WebSocket that is refused', offer('websocket', `Sec-WebSocket-Key: ${KEY}\r\n`), 403],
    ['an offer that is ignored', offer('TLS/1.2'), 200],
    ['another one', offer('irc'), 200],
    [
      'a route that is not there',
      offer('websocket', `Sec-WebSocket-Key: ${KEY}\r\n`).replace(' / ', ' /nowhere '),
      404,
    ],
    ['CONNECT', 'CONNECT orders:80 HTTP/1.1\r\nHost: orders:80\r\n\r\n', 403],
    ['a malformed offer', offer('web socket'), 400],
  ])('%s', async (_name, request, status) => {
    for (const apart of [false, true]) {
      const { mesh, upstream } = await orders({
        upgrades: [],
        routes: ['/', '/smuggled'].map(value => routeSpec({ match: matchSpec({ path: { kind: 'exact', value } }) })),
      })
      const caller = mesh.caller()
      if (apart) caller.send(request).sendMore(SMUGGLED)
      else caller.send(`${request}${SMUGGLED}`, request.split(' ')[0]!)
      mesh.advance(2000)
      expect(caller.statuses).toEqual([status])
      expect([caller.last.header('connection'), caller.over]).toEqual(['close', true])
      expect(upstream.received).not.toContain('smuggled')
      expectQuiet(mesh)
    }
  })

  test('where the endpoint is not there', async () => {
    const { mesh, upstream } = await orders()
    upstream.connect = 'refuse'
    const caller = mesh.caller().send(`${upgradeRequest()}${SMUGGLED}`, 'GET')
    mesh.advance(2000)
    expect([caller.statuses, caller.over]).toEqual([[503], true])
  })
})

describe('an upgrade with a body, as of docker exec', () => {
  const exec = (framing: string, body: string) => `${offer('tcp', framing, 'POST /exec/1/start HTTP/1.1')}${body}`

  test.each([
    ['with a length', 'Content-Length: 13\r\n', '{"Tty": true}'],
    ['of chunks', 'Transfer-Encoding: chunked\r\n', 'd\r\n{"Tty": true}\r\n0\r\n\r\n'],
  ])('%s passes where its protocol is allowed: the body first, then the tunnel', async (_name, framing, body) => {
    const { mesh, upstream } = await orders({ upgrades: ['tcp'] })
    const ends = upstreams['HTTP/1.1'](mesh, A)
    const caller = http1Caller(mesh.caller(), `${exec(framing, body)}early`)
    mesh.settle()
    expect(caller.status).toBe(101)
    expect(upstream.requests[0]).toMatchObject({ method: 'POST', text: '{"Tty": true}' })
    caller.send('|more')
    ends[0]!.send('back')
    mesh.settle()
    expect([ends[0]!.received, caller.received]).toEqual(['early|more', 'back'])
    caller.send('', true)
    ends[0]!.send('', true)
    mesh.settle()
    expect(mesh.flight).toMatchObject({ status: 101, flag: '-' })
    expectQuiet(mesh)
  })

  test('a 101 before the body is whole is none', async () => {
    const { mesh, upstream } = await orders({ upgrades: ['tcp'] })
    upstream.onHead = (_request, connection) =>
      void connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
    const caller = mesh.caller().send(exec('Content-Length: 13\r\n', '{"Tty"'))
    mesh.settle()
    expect(caller.statuses).toEqual([502])
    expect(mesh.flight.detail).toContain('101 before the request was whole')
    expectQuiet(mesh)
  })
})
