import { describe, expect, test } from 'vitest'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { respond, silent } from '../support/upstream.ts'
import { checked, healthSpec, httpCheck } from './support/checked.ts'

const A = '10.0.0.1:80'
const answer = (status: number, body = '') =>
  respond(`HTTP/1.1 ${status} X\r\nContent-Length: ${body.length}\r\n\r\n${body}`)

function one(over: Parameters<typeof httpCheck>[0] = {}, spec: Parameters<typeof healthSpec>[0] = {}) {
  const all = checked(healthSpec({ check: httpCheck(over), ...spec }), [A])
  return { ...all, endpoint: all.mesh.upstream(A), state: () => all.states()[A] }
}

describe('an HTTP check', () => {
  test('is a request with the name of the service, over a connection that is kept', () => {
    const { endpoint, pass, state } = one({ headers: [['X-Check', 'yes']] })
    pass(21_000)
    expect(endpoint.requests.length).toBe(5)
    expect(endpoint.connections.length).toBe(1)
    expect(endpoint.received.split('\r\n\r\n')[0]!.split('\r\n')).toEqual([
      'GET /healthz HTTP/1.1',
      'host: orders',
      'user-agent: outrigger-check',
      'accept: */*',
      'X-Check: yes',
    ])
    expect(state()).toBe('passing')
  })

  test('over a connection of its own where none is to be kept', () => {
    const { endpoint, pass } = one({}, { reuse: false })
    pass(11_000)
    expect(endpoint.connections.length).toBe(3)
    expect(endpoint.open.length).toBe(0)
  })

  test('goes to another port, and has the address for a host where there is no other', () => {
    const { mesh, pass } = one({ host: '' }, { port: 8081 })
    pass(200)
    expect(mesh.upstream('10.0.0.1:8081').received).toContain('\r\nhost: 10.0.0.1:8081\r\n')
  })

  test('is made anew at once where the connection that was kept has gone: that says nothing', () => {
    const { endpoint, pass, state, checks } = one()
    pass(1_000)
    // It closes just when the next request is on its way.
    endpoint.answer = (_request, connection) => {
      endpoint.answer = answer(200)
      connection.close()
    }
    pass(5_000)
    expect(endpoint.connections.length).toBe(2)
    expect(state()).toBe('passing')
    expect(checks.status()[0]!.counts).toEqual({ healthy: 2, unhealthy: 0, failed: 0, local: 0 })
  })

  test('dials again where the peer closed the idle connection', () => {
    const { endpoint, pass } = one()
    pass(1_000)
    endpoint.last.close()
    pass(5_000)
    expect(endpoint.connections.length).toBe(2)
    expect(endpoint.requests.length).toBe(2)
  })
})

describe('what its answer says', () => {
  test.each([
    ['204', answer(204), 'passing'],
    ['200 with a long body', answer(200, 'x'.repeat(200_000)), 'passing'],
    [
      'a body without end',
      (_: unknown, end: { send(text: string): void }) => {
        end.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        end.send(`${(100_000).toString(16)}\r\n${'x'.repeat(100_000)}\r\n`)
      },
      'passing',
    ],
    ['302', answer(302), 'failing: GET http://10.0.0.1:80/healthz answers 302'],
    [
      'an interim answer first',
      respond('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
      'passing',
    ],
    ['nothing', silent, 'failing: GET http://10.0.0.1:80/healthz: no answer within 1000 ms'],
    [
      'garbage',
      respond('SSH-2.0-OpenSSH\r\n'),
      'failing: GET http://10.0.0.1:80/healthz: the answer is not HTTP/1.1: malformed status line (RFC 9112 section 4)',
    ],
    [
      'a head without end',
      respond(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(60_000)}`),
      'failing: GET http://10.0.0.1:80/healthz: its answer is too long: too many bytes in the head',
    ],
    [
      'closes',
      (_: unknown, end: { close(): void }) => end.close(),
      'failing: GET http://10.0.0.1:80/healthz: it closed the connection without an answer',
    ],
    [
      'closes inside the body',
      (_: unknown, end: { send(text: string): void; close(): void }) => {
        end.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc')
        end.close()
      },
      'failing: GET http://10.0.0.1:80/healthz: the endpoint cut its answer short (the connection was closed)',
    ],
  ])('%s', (_what, serve, expected) => {
    const { endpoint, pass, state } = one()
    endpoint.answer = serve as never
    pass(1_300)
    expect(state()).toBe(expected)
  })

  test('a body that does not have what it should', () => {
    const { endpoint, pass, state } = one({ body: { kind: 'contains', value: 'ready' } })
    endpoint.answer = answer(200, 'starting')
    pass(200)
    expect(state()).toBe('failing: GET http://10.0.0.1:80/healthz: its body does not contain "ready"')
    endpoint.answer = answer(200, 'all ready')
    pass(10_100)
    expect(state()).toBe('passing')
  })

  test('a body that a pattern is looked for in, as far as it is read', () => {
    const { endpoint, pass, state } = one({ body: { kind: 'regex', value: 'db: (up|idle)' } })
    endpoint.answer = answer(200, `${'x'.repeat(60_000)} db: idle ${'x'.repeat(60_000)}`)
    pass(200)
    expect(state()).toBe('passing')
    endpoint.answer = answer(200, `${'x'.repeat(70_000)} db: idle`)
    pass(5_000)
    expect(state()).toBe('failing: GET http://10.0.0.1:80/healthz: its body does not match "db: (up|idle)"')
  })

  test('a good one that took too long counts as a failure', () => {
    const { endpoint, mesh, pass, state, checks } = one({ maxResponseMs: 200 })
    endpoint.answer = (_request, connection) =>
      void mesh.loop.after(300, () => connection.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
    pass(1_000)
    expect(state()).toMatch(/the answer took 300 ms, and at most 200 ms are good$/)
    expect(checks.status()[0]!.counts.failed).toBe(1)
  })

  test('one that dribbles is over at the timeout, and its connection is closed', () => {
    const { endpoint, mesh, pass, state } = one()
    endpoint.answer = (_request, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n')
      const more = () => {
        if (connection.over) return
        connection.send('x')
        mesh.loop.after(100, more)
      }
      more()
    }
    pass(1_300)
    expect(state()).toMatch(/no answer within 1000 ms$/)
    expect(endpoint.open.length).toBe(0)
  })
})

describe('over HTTP/2', () => {
  test('one connection for all checks of an endpoint', () => {
    const all = checked(healthSpec({ check: httpCheck({ protocol: 'h2' }) }), [A])
    const endpoint = new Http2Endpoint(all.mesh, A)
    all.pass(16_000)
    expect(endpoint.served.map(({ path, authority }) => `${authority}${path}`)).toEqual(Array(4).fill('orders/healthz'))
    expect(endpoint.connections.length).toBe(1)
    endpoint.answer = ({ stream }) => reply(stream, 503, [], '')
    all.pass(5_000)
    expect(all.states()[A]).toBe('failing: GET http://10.0.0.1:80/healthz answers 503')
    endpoint.answer = ({ stream }) => reply(stream, 200, [], 'x'.repeat(100_000))
    all.pass(10_100)
    expect(all.states()[A]).toBe('passing')
  })

  test('an endpoint of HTTP/1.1 is unhealthy, and one that hangs is given up', () => {
    const all = checked(healthSpec({ check: httpCheck({ protocol: 'h2' }) }), [A, '10.0.0.2:80'])
    all.mesh.upstream(A).serve = wire => {
      wire.handler = {
        bytes: () => void wire.write(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')),
        drained() {},
        ended() {},
        closed() {},
      }
    }
    const hanging = new Http2Endpoint(all.mesh, '10.0.0.2:80')
    hanging.answer = () => {}
    all.pass(1_300)
    expect(all.states()[A]).toMatch(/^failing: GET http:\/\/10.0.0.1:80\/healthz: /)
    expect(all.states()['10.0.0.2:80']).toMatch(/no answer within 1000 ms$/)
    expect(hanging.open.length).toBe(0)
  })

  test('a connection that says GOAWAY between two checks is replaced', () => {
    const all = checked(healthSpec({ check: httpCheck({ protocol: 'h2' }) }), [A])
    const endpoint = new Http2Endpoint(all.mesh, A)
    all.pass(1_000)
    endpoint.connections[0]!.connection.drain()
    all.pass(10_000)
    expect(endpoint.connections.length).toBe(2)
    expect(all.states()[A]).toBe('passing')
    expect(all.checks.status()[0]!.counts.failed).toBe(0)
  })
})
