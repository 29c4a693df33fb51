import { describe, expect, test } from 'vitest'
import type { FlightView } from '../../proxy/core/channel.ts'
import * as frames from '../codec/h2/support/frames.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { Mesh } from '../support/mesh.ts'
import { A, orders } from '../support/orders.ts'
import { listenerSpec, type ServiceOverrides, serviceSpec, snapshotOf } from '../support/specs.ts'
import { respond } from '../support/upstream.ts'

/**
 * What a sidecar answers itself before its application had anything of the request is tried elsewhere, whatever the
 * request is; and only a sidecar is believed.
 */

const SIDECARS = ['10.0.9.1:20000', '10.0.9.2:20001'] as const
const APPLICATIONS = ['10.0.0.1:80', '10.0.0.2:80'] as const

interface Options {
  readonly service?: ServiceOverrides
  readonly application?: ServiceOverrides
  readonly offers?: number
}

/** caller -> outbound listener -> two sidecars, each with an application of its own. */
async function twoInstances({ service = {}, application = {}, offers = 1 }: Options = {}): Promise<Mesh> {
  const mesh = new Mesh()
  SIDECARS.forEach((sidecar, i) => void mesh.linked.set(sidecar, 20_000 + i))
  const local = { multiplex: false, retries: { on: [], attempts: 1 }, timeouts: { requestMs: 0 }, ...application }
  const inbound = SIDECARS.map((_, i) =>
    listenerSpec({
      direction: 'inbound',
      listen: { address: '127.0.0.1', port: 20_000 + i },
      service: `app${i}`,
      multiplex: offers,
    }),
  )
  const reasons = await mesh.apply(
    snapshotOf(
      [
        serviceSpec('orders', SIDECARS, service),
        ...APPLICATIONS.map((name, i) => serviceSpec(`app${i}`, [name], local)),
      ],
      [listenerSpec({ service: 'orders' }), ...inbound],
    ),
  )
  expect(reasons).toEqual([])
  return mesh
}

/** Until both are known as sidecars. */
function meetAll(mesh: Mesh): void {
  for (let i = 0; i < 8; i++) mesh.caller().get('/meet')
  mesh.settle()
  for (let i = 0; i < 8; i++) mesh.callers[i]!.get('/meet')
  mesh.settle()
  for (const caller of mesh.callers.splice(0)) caller.close()
  mesh.settle()
  const { endpoints } = mesh.endpoints().find(({ name }) => name === 'orders')!
  expect(endpoints.map(({ protocol }) => protocol)).toEqual(['HTTP/2 hop', 'HTTP/2 hop'])
}

const outbound = (mesh: Mesh): FlightView[] => mesh.flights().filter(({ direction }) => direction === 'outbound')
const post = (path = '/') => `POST ${path} HTTP/1.1\r\nHost: orders\r\nContent-Length: 4\r\n\r\nbody`

describe('an application that is down behind a live sidecar', () => {
  test('costs no request: each goes to the other instance, a POST too, with its body', async () => {
    const mesh = await twoInstances()
    meetAll(mesh)
    mesh.upstream(APPLICATIONS[0]).connect = 'refuse'
    for (const connection of mesh.upstream(APPLICATIONS[0]).open) connection.close()
    mesh.settle()
    for (let i = 0; i < 12; i++) {
      const caller = mesh.caller().send(post(`/${i}`))
      mesh.settle()
      expect(caller.statuses).toEqual([200])
      expect(caller.received).not.toMatch(/outrigger-failure/i)
    }
    expect(
      mesh
        .upstream(APPLICATIONS[1])
        .requests.filter(({ target }) => target !== '/meet')
        .map(({ text }) => text),
    ).toEqual(Array(12).fill('body'))
    const retried = outbound(mesh).find(({ attempts }) => attempts.length === 2)!
    expect(retried.attempts[0]).toMatchObject({
      failure: 'application-unreachable',
      detail: `the sidecar at ${SIDECARS[0]} answered: nothing listens at its application (connect-refused)`,
      status: 503,
      retry: 'yes: connect-failure',
      hop: true,
    })
    expect(retried.attempts[1]).toMatchObject({ failure: '', status: 200 })
  })

  test('counts against it, until it is ejected', async () => {
    const mesh = await twoInstances({ service: { retries: { budget: { minPerSecond: 100 } } as never } })
    meetAll(mesh)
    mesh.upstream(APPLICATIONS[0]).connect = 'refuse'
    for (const connection of mesh.upstream(APPLICATIONS[0]).open) connection.close()
    mesh.settle()
    for (let i = 0; i < 30; i++) {
      mesh.caller().send(post())
      mesh.settle()
    }
    const [first, second] = mesh.endpoints().find(({ name }) => name === 'orders')!.endpoints
    expect([first!.state, second!.state]).toEqual(['ejected', 'admitting'])
    expect(first!.failures).toBe(5)
  })

  test('the answer of its sidecar passes where there is no other try, and says nothing more than it did', async () => {
    const mesh = await twoInstances({ service: { retries: { attempts: 1 } } })
    meetAll(mesh)
    for (const name of APPLICATIONS) {
      mesh.upstream(name).connect = 'refuse'
      for (const connection of mesh.upstream(name).open) connection.close()
    }
    mesh.settle()
    const caller = mesh.caller().send(post())
    mesh.settle()
    expect(caller.statuses).toEqual([503])
    expect(JSON.parse(caller.last.text)).toMatchObject({ failure: 'connect-refused' })
    expect(caller.received).not.toMatch(/outrigger-failure/i)
  })

  test('not where connect-failure is not retried', async () => {
    const mesh = await twoInstances({ service: { retries: { on: ['refused-stream'] } } })
    meetAll(mesh)
    mesh.upstream(APPLICATIONS[0]).connect = 'refuse'
    for (const connection of mesh.upstream(APPLICATIONS[0]).open) connection.close()
    mesh.settle()
    for (let i = 0; i < 4; i++) mesh.caller().send(post())
    mesh.settle()
    expect(mesh.callers.map(({ statuses }) => statuses[0]).sort()).toContain(503)
  })

  test('over gRPC, where the two speak HTTP/2 anyway', async () => {
    const mesh = await twoInstances({ service: { protocol: 'grpc' }, application: { protocol: 'grpc' } })
    const other = new Http2Endpoint(mesh, APPLICATIONS[1])
    other.answer = ({ stream }) => reply(stream, 200, ['content-type', 'application/grpc'], 'x', ['grpc-status', '0'])
    mesh.upstream(APPLICATIONS[0]).connect = 'refuse'
    for (let i = 0; i < 6; i++) {
      const call = mesh
        .http2Caller()
        .ask({ method: 'POST', fields: ['content-type', 'application/grpc', 'te', 'trailers'], body: 'call' })
      mesh.advance(100)
      expect([call.status, call.trailing?.get('grpc-status')]).toEqual([200, '0'])
    }
    expect(other.served.every(({ fields }) => fields.get('grpc-previous-rpc-attempts') === undefined)).toBe(true)
    expect(outbound(mesh).some(({ attempts }) => attempts[0]!.failure === 'application-unreachable')).toBe(true)
  })
})

describe('nobody else is believed', () => {
  test('not an application behind a sidecar', async () => {
    const mesh = await twoInstances()
    meetAll(mesh)
    for (const name of APPLICATIONS)
      mesh.upstream(name).answer = respond(
        'HTTP/1.1 503 Down\r\nOutrigger-Failure: connect-refused\r\nContent-Length: 0\r\n\r\n',
      )
    const caller = mesh.caller().send(post())
    mesh.settle()
    expect(caller.statuses).toEqual([503])
    expect(outbound(mesh)[0]!.attempts).toHaveLength(1)
    expect(caller.received).not.toMatch(/outrigger-failure/i)
  })

  test('not one that speaks HTTP/2', async () => {
    const mesh = await twoInstances({ service: { protocol: 'http2' }, application: { protocol: 'http2' } })
    for (const name of APPLICATIONS)
      new Http2Endpoint(mesh, name).answer = ({ stream }) => {
        reply(stream, 503, ['outrigger-failure', 'connect-refused'], '')
      }
    const caller = mesh.caller().send(post())
    mesh.settle()
    expect(caller.statuses).toEqual([503])
    expect(outbound(mesh)[0]!.attempts).toHaveLength(1)
  })

  test('not an endpoint without a sidecar, whatever it says', async () => {
    const { mesh, upstream } = await orders({ protocol: 'http2', endpoints: [A, '10.0.0.2:80'] })
    for (const name of [A, '10.0.0.2:80'])
      mesh.upstream(name).serve = wire => {
        wire.handler = { bytes() {}, drained() {}, ended() {}, closed() {} }
        wire.write(Buffer.concat([frames.settings(3, 100), frames.settingsAck]))
        mesh.loop.after(
          5,
          () => void wire.write(frames.headers(1, true, ':status', '503', 'outrigger-failure', 'connect-refused')),
        )
      }
    const caller = mesh.caller().send(post())
    mesh.advance(20)
    expect(caller.statuses).toEqual([503])
    expect(mesh.flight.attempts).toHaveLength(1)
    expect(upstream.dials + mesh.upstream('10.0.0.2:80').dials).toBe(1)
  })

  test('not where the application had it in an attempt before', async () => {
    const mesh = await twoInstances({ application: { retries: { on: ['reset-before-response'], attempts: 2 } } })
    meetAll(mesh)
    for (const name of APPLICATIONS) {
      const application = mesh.upstream(name)
      for (const connection of application.open) connection.close()
      application.onHead = (_request, connection) => {
        application.connect = 'refuse'
        connection.close()
      }
    }
    mesh.settle()
    const caller = mesh.caller().send(post())
    mesh.advance(100)
    expect(caller.statuses).toEqual([503])
    expect(outbound(mesh)[0]!.attempts).toHaveLength(1)
  })
})

describe('nobody else is told', () => {
  const asked = async (offers: number, ...settings: number[]) => {
    const mesh = await twoInstances({ offers })
    mesh.upstream(APPLICATIONS[0]).connect = 'refuse'
    const caller = mesh.caller(20_000)
    caller.reader.push = () => {}
    caller.sendMore(Buffer.concat([frames.hello, frames.settings(...settings), frames.get(1)]))
    mesh.settle()
    return frames.linesOf(Buffer.from(caller.received, 'latin1')).join('\n')
  }

  test('a caller that does not say that it is a sidecar', async () => {
    expect(await asked(1)).not.toContain('outrigger-failure')
    expect(await asked(1, 0xf0e2, 1)).toContain('outrigger-failure: connect-refused')
    expect(await asked(0, 0xf0e2, 1)).not.toContain('outrigger-failure')
  })

  test('a caller on HTTP/1.1', async () => {
    const mesh = await twoInstances()
    mesh.upstream(APPLICATIONS[0]).connect = 'refuse'
    const caller = mesh.caller(20_000).get()
    mesh.settle()
    expect(caller.statuses).toEqual([503])
    // An option, which ends with the connection, and no field.
    expect(caller.received).toMatch(/^connection: outrigger-h2, outrigger-failure\.connect-refused\r$/im)
    expect(caller.received.match(/outrigger-failure/gi)).toHaveLength(1)
  })

  test('nor one where this is not offered, or that speaks HTTP/1.0', async () => {
    for (const [offers, request] of [
      [0, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
      [1, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n'],
    ] as const) {
      const mesh = await twoInstances({ offers })
      mesh.upstream(APPLICATIONS[0]).connect = 'refuse'
      const caller = mesh.caller(20_000).send(request)
      mesh.settle()
      expect(caller.statuses).toEqual([503])
      expect(caller.received).not.toMatch(/unsent/i)
    }
  })
})

describe('an application that goes away with a request that it may have seen', () => {
  /** As it gets the request, and nothing listens afterwards. */
  function ends(mesh: Mesh): void {
    const upstream = mesh.upstream(APPLICATIONS[0])
    upstream.onHead = (_request, connection) => {
      upstream.connect = 'refuse'
      connection.close()
    }
  }
  /** By the path of the second one, both known as sidecars or not. */
  async function afterTheEnd(request: (path: string) => string, known: boolean) {
    const mesh = await twoInstances()
    if (known) meetAll(mesh)
    ends(mesh)
    const statuses = Array.from({ length: 6 }, (_, i) => {
      const caller = mesh.caller().send(request(`/${i}`))
      mesh.advance(200)
      expect(caller.received).not.toMatch(/outrigger-/i)
      return caller.statuses[0]
    })
    return { mesh, statuses }
  }
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: orders\r\n\r\n`

  test.each([
    ['over HTTP/2', true],
    ['over HTTP/1.1', false],
  ])('a GET goes to the other instance, %s', async (_how, known) => {
    const { mesh, statuses } = await afterTheEnd(get, known)
    expect(statuses).toEqual(Array(6).fill(200))
    const first = outbound(mesh).flatMap(({ attempts }) =>
      attempts.filter(({ failure }) => failure.startsWith('reset')),
    )
    expect(first[0]).toMatchObject({ status: 503, retry: 'yes: reset-before-response', hop: known })
    expect(first[0]!.detail).toBe(
      `the sidecar at ${SIDECARS[0]} answered: its application closed the connection before it answered (reset-before-response)`,
    )
  })

  test('a POST does not: it may have been acted on', async () => {
    const { mesh, statuses } = await afterTheEnd(post, true)
    expect(new Set(statuses)).toEqual(new Set([200, 503]))
    for (const { attempts } of outbound(mesh).filter(({ status }) => status === 503))
      expect(attempts.map(({ retry }) => retry)).toEqual(['no: 503 to a request that cannot be sent again'])
  })

  test('nothing is told of an answer that the application has given', async () => {
    const application = { retries: { on: ['5xx'], attempts: 2 } } as const
    const mesh = await twoInstances({ application, service: { retries: { on: ['reset-before-response'] } } })
    meetAll(mesh)
    const upstream = mesh.upstream(APPLICATIONS[0])
    upstream.answer = (_request, connection) => {
      upstream.connect = 'refuse'
      connection.send('HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      connection.end()
    }
    const statuses = Array.from({ length: 6 }, () => {
      const caller = mesh.caller().get()
      mesh.advance(500)
      return caller.statuses[0]
    })
    expect(statuses.filter(status => status !== 200).length).toBeGreaterThan(0)
    expect(outbound(mesh).every(({ attempts }) => attempts.length === 1)).toBe(true)
  })
})

describe('the first request to an instance, which goes over HTTP/1.1', () => {
  const toldOver1 = 'Connection: outrigger-h2, outrigger-failure.connect-refused'

  test.each([
    ['GET', 'GET /first HTTP/1.1\r\nHost: orders\r\n\r\n'],
    ['POST', post('/first')],
    [
      'chunked POST',
      'POST /first HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n',
    ],
  ])('goes to the other one, when the application is down: %s', async (_what, request) => {
    const mesh = await twoInstances()
    mesh.upstream(APPLICATIONS[0]).connect = 'refuse'
    for (let i = 0; i < 6; i++) {
      const caller = mesh.caller().send(request)
      mesh.settle()
      expect(caller.statuses).toEqual([200])
      expect(caller.received).not.toMatch(/outrigger/i)
    }
    expect(mesh.upstream(APPLICATIONS[1]).requests).toHaveLength(6)
    const retried = outbound(mesh).find(({ attempts }) => attempts.length === 2)!
    expect(retried.attempts[0]).toMatchObject({
      failure: 'application-unreachable',
      detail: `the sidecar at ${SIDECARS[0]} answered: nothing listens at its application (connect-refused)`,
      status: 503,
      retry: 'yes: connect-failure',
    })
    expect(outbound(mesh).some(({ attempts }) => attempts[0]!.failure !== '' && !attempts[0]!.hop)).toBe(true)
  })

  test('ends after as many attempts as there may be, when no application is there', async () => {
    const mesh = await twoInstances()
    for (const name of APPLICATIONS) mesh.upstream(name).connect = 'refuse'
    const caller = mesh.caller().send(post())
    mesh.advance(1_000)
    expect(caller.statuses).toEqual([503])
    expect(JSON.parse(caller.last.text)).toMatchObject({ failure: 'connect-refused' })
    // That the tries are used up is for the caller; what the far sidecar said is not.
    expect(caller.received).toContain('x-outrigger-overloaded: true')
    expect(caller.received.replace('x-outrigger-overloaded', '')).not.toMatch(/outrigger-/i)
    expect(outbound(mesh)[0]!.attempts).toHaveLength(2)
  })

  test.each([false, true])('is not sent again with more of a body than is kept (over HTTP/2: %s)', async isMet => {
    const mesh = await twoInstances({ service: { retries: { replayBytes: 1_000 } } })
    if (isMet) meetAll(mesh)
    for (const name of APPLICATIONS) {
      mesh.upstream(name).connect = 'refuse'
      for (const connection of mesh.upstream(name).open) connection.close()
    }
    mesh.settle()
    const caller = mesh
      .caller()
      .send(`POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 2000\r\n\r\n${'x'.repeat(2_000)}`)
    mesh.settle()
    expect(caller.statuses).toEqual([503])
    expect(outbound(mesh)[0]!.attempts).toHaveLength(1)
  })

  test('not where the service has multiplex: false, because nothing could prove it', async () => {
    const mesh = await twoInstances({ service: { multiplex: false } })
    for (const name of APPLICATIONS) mesh.upstream(name).connect = 'refuse'
    const caller = mesh.caller().send(post())
    mesh.settle()
    expect(caller.statuses).toEqual([503])
    expect(outbound(mesh)[0]!.attempts).toHaveLength(1)
    expect(caller.received).not.toMatch(/outrigger-/i)
  })

  test('an application behind a sidecar is not believed', async () => {
    const mesh = await twoInstances()
    for (const name of APPLICATIONS)
      mesh.upstream(name).answer = respond(`HTTP/1.1 503 Down\r\n${toldOver1}\r\nContent-Length: 0\r\n\r\n`)
    const caller = mesh.caller().send(post())
    mesh.settle()
    expect(caller.statuses).toEqual([503])
    expect(outbound(mesh)[0]!.attempts).toHaveLength(1)
    expect(mesh.upstream(APPLICATIONS[0]).requests.length + mesh.upstream(APPLICATIONS[1]).requests.length).toBe(1)
  })

  test('an endpoint without a sidecar is not believed, and its answer passes whole', async () => {
    const { mesh } = await orders({ multiplex: true, endpoints: [A, '10.0.0.2:80'] })
    const asked: string[] = []
    for (const name of [A, '10.0.0.2:80'])
      mesh.upstream(name).serve = wire => {
        let isOver = false
        wire.handler = {
          bytes(chunk, length) {
            if (isOver) return
            const what = chunk.latin1Slice(0, Math.min(length, 4))
            asked.push(what)
            const status = what === 'POST' ? `503 Down\r\n${toldOver1}` : '400 Bad Request'
            wire.write(Buffer.from(`HTTP/1.1 ${status}\r\nContent-Length: 4\r\n\r\ndown`))
            isOver = what !== 'POST'
            if (isOver) wire.end()
          },
          drained() {},
          ended() {
            if (!isOver) wire.end()
          },
          closed() {},
        }
      }
    const caller = mesh.caller().send(post())
    mesh.advance(20_000)
    expect(caller.statuses).toEqual([503])
    expect(caller.last.text).toBe('down')
    expect(caller.received).not.toMatch(/outrigger/i)
    expect(mesh.flight.attempts).toHaveLength(1)
    // Nothing but the request, and the question whether it is a sidecar; and it is not asked that again at once.
    expect(asked).toEqual(['POST', 'PRI '])
    mesh.caller().send(post())
    mesh.advance(100)
    expect(asked.filter(what => what === 'POST')).toHaveLength(2)
  })

  test('an endpoint that closes behind such an answer is not believed either', async () => {
    const { mesh } = await orders({ multiplex: true, endpoints: [A, '10.0.0.2:80'] })
    for (const name of [A, '10.0.0.2:80'])
      mesh.upstream(name).serve = wire => {
        wire.handler = {
          bytes(chunk, length) {
            if (chunk.latin1Slice(0, Math.min(length, 4)) !== 'POST') return
            wire.write(Buffer.from(`HTTP/1.1 503 Down\r\n${toldOver1}\r\n\r\ndown`))
            wire.end()
          },
          drained() {},
          ended: () => wire.end(),
          closed() {},
        }
      }
    const caller = mesh.caller().send(post())
    mesh.advance(20_000)
    expect(caller.statuses).toEqual([503])
    expect(caller.last.text).toBe('down')
    expect(mesh.flight.attempts).toHaveLength(1)
  })

  test('a caller that gives up meanwhile leaves nothing behind', async () => {
    const { mesh } = await orders({ multiplex: true, endpoints: [A] })
    mesh.upstream(A).serve = wire => {
      wire.handler = {
        bytes(chunk, length) {
          if (chunk.latin1Slice(0, Math.min(length, 4)) === 'POST')
            wire.write(Buffer.from(`HTTP/1.1 503 Down\r\n${toldOver1}\r\nContent-Length: 0\r\n\r\n`))
        },
        drained() {},
        ended: () => wire.end(),
        closed() {},
      }
    }
    const caller = mesh.caller().send(post())
    mesh.settle()
    expect(caller.statuses).toEqual([])
    caller.close()
    mesh.advance(60_000)
    expect(mesh.flight).toMatchObject({ flag: 'DC' })
    expect(mesh.endpoints().find(({ name }) => name === 'orders')!.endpoints[0]).toMatchObject({ active: 0 })
  })
})
