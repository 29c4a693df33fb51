import { describe, expect, test } from 'vitest'
import type { GrpcCheckSpec, TcpCheckSpec } from '../../mesh-config/snapshot.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { Http2Endpoint, reply, type Served } from '../support/http2-endpoint.ts'
import type { MemoryWire } from '../support/memory-wire.ts'
import { PlainEnd } from '../support/plain-end.ts'
import { checked, healthSpec } from './support/checked.ts'

const A = '10.0.0.1:6379'
const hex = (text: string) => Buffer.from(text).toString('hex')
const ping: TcpCheckSpec = { kind: 'tcp', send: hex('PING\r\n'), receive: [hex('+PONG')] }

function tcp(check: TcpCheckSpec, serve: (end: PlainEnd) => void) {
  const all = checked(healthSpec({ check }), [A])
  const ends: PlainEnd[] = []
  all.mesh.upstream(A).serve = (wire: MemoryWire) => {
    const end = new PlainEnd(wire)
    ends.push(end)
    serve(end)
  }
  return { ...all, ends, state: () => all.states()[A] }
}

describe('a TCP check', () => {
  test('that sends nothing needs a connection only, and closes it', () => {
    const { pass, ends, state, mesh } = tcp({ kind: 'tcp', send: '', receive: [] }, () => {})
    pass(11_000)
    expect(ends.map(({ gotEnd, received }) => [gotEnd, received.length])).toEqual(Array(3).fill([true, 0]))
    expect(state()).toBe('passing')
    mesh.upstream(A).connect = 'refuse'
    pass(15_000)
    expect(state()).toBe('failing: ECONNREFUSED')
  })

  test('sends, and finds what it should in the pieces of the answer', () => {
    const { pass, ends, state } = tcp(ping, end => {
      end.onBytes = () => {
        end.send('+PO')
        end.send('NG\r\n')
      }
    })
    pass(200)
    expect([ends[0]!.text, state()]).toEqual(['PING\r\n', 'passing'])
  })

  test('has all of them one after the other', () => {
    const check: TcpCheckSpec = { kind: 'tcp', send: '', receive: [hex('220 '), hex('ESMTP')] }
    const states = ['220 mail ESMTP\r\n', 'ESMTP 220 \r\n'].map(greeting => {
      const { pass, state } = tcp(check, end => end.send(greeting))
      pass(1_200)
      return state()
    })
    expect(states).toEqual(['passing', 'failing: no answer within 1000 ms, and said only "ESMTP 220"'])
  })

  test.each([
    ['closes', (end: PlainEnd) => end.wire.end(), 'it closed the connection without an answer'],
    ['resets', (end: PlainEnd) => end.wire.reset(), 'the connection was reset without an answer'],
    [
      'says something else',
      (end: PlainEnd) => end.send('-LOADING Redis\r\n'),
      'no answer within 1000 ms, and said only "-LOADING Redis"',
    ],
    [
      'never stops',
      (end: PlainEnd) => {
        const more = () => {
          if (!end.over && end.send('x'.repeat(60_000))) end.onDrained = more
        }
        more()
      },
      'its first 16384 bytes are not what is expected',
    ],
  ])('one that %s', (_what, serve, trouble) => {
    const { pass, state, ends } = tcp(ping, serve)
    pass(1_200)
    expect(state()).toBe(`failing: ${trouble}`)
    expect(ends.every(({ over, gotEnd }) => over || gotEnd)).toBe(true)
  })
})

describe('a gRPC check', () => {
  const message = (...bytes: number[]) => Buffer.from([0, 0, 0, 0, bytes.length, ...bytes]).toString('latin1')
  const call: GrpcCheckSpec = {
    kind: 'grpc',
    service: 'shop.Orders',
    authority: 'orders',
    headers: [['x-team', 'shop']],
  }
  const respond = ({ stream }: Served, body: string, status: string) => {
    stream.head({ status: 200, headers: new HeaderList(['content-type', 'application/grpc']) }, false)
    if (body !== '') stream.data(Buffer.from(body, 'latin1'), false)
    stream.trailers(new HeaderList(['grpc-status', status]))
  }

  function grpc(answer: (request: Served) => void, over: Partial<GrpcCheckSpec> = {}) {
    const all = checked(healthSpec({ check: { ...call, ...over } }), [A])
    const endpoint = new Http2Endpoint(all.mesh, A)
    endpoint.answer = answer
    all.pass(1_200)
    return { ...all, endpoint, state: all.states()[A] }
  }

  test('asks the health service over a connection that is kept', () => {
    const { endpoint, state, pass } = grpc(request => respond(request, message(8, 1), '0'))
    pass(10_000)
    expect(state).toBe('passing')
    expect(endpoint.connections.length).toBe(1)
    const { method, path, authority, body, fields } = endpoint.served[0]!
    expect([method, path, authority]).toEqual(['POST', '/grpc.health.v1.Health/Check', 'orders'])
    expect(body).toBe(message(0x0a, 11, ...Buffer.from('shop.Orders')))
    expect([fields.get('content-type'), fields.get('te'), fields.get('x-team')]).toEqual([
      'application/grpc',
      'trailers',
      'shop',
    ])
  })

  test('of the whole server asks for no name', () => {
    const { endpoint } = grpc(request => respond(request, message(8, 1), '0'), { service: '' })
    expect(endpoint.served[0]!.body).toBe(message())
  })

  const what = 'the gRPC health of shop.Orders at 10.0.0.1:6379'
  test.each([
    ['NOT_SERVING', (r: Served) => respond(r, message(8, 2), '0'), `${what} is NOT_SERVING`],
    ['a status that is left out', (r: Served) => respond(r, message(), '0'), `${what} is UNKNOWN`],
    [
      'no such service',
      (r: Served) => reply(r.stream, 200, ['grpc-status', '5'], ''),
      `${what}: the call failed: it has no such service, or no health service`,
    ],
    ['unavailable', (r: Served) => respond(r, '', '14'), `${what}: the call failed: gRPC status 14`],
    ['no gRPC', (r: Served) => reply(r.stream, 404, [], 'not found'), `${what}: HTTP status 404, and no gRPC`],
    [
      'a message without a status',
      (r: Served) => reply(r.stream, 200, [], message(8, 1)),
      `${what}: the call failed: there is no gRPC status`,
    ],
    ['too much', (r: Served) => reply(r.stream, 200, [], 'x'.repeat(10_000)), `${what}: its answer is too long`],
    ['garbage in the message', (r: Served) => respond(r, message(0xff, 0xff, 0xff), '0'), `${what} is UNKNOWN`],
    ['nothing', () => {}, `${what}: no answer within 1000 ms`],
  ])('%s', (_what, answer, trouble) => {
    expect(grpc(answer).state).toBe(`failing: ${trouble}`)
  })
})
