import { describe, expect, test } from 'vitest'
import { explainText } from '../../proxy/admin/explain-text.ts'
import { flightText } from '../../proxy/admin/flights-text.ts'
import { readyLines } from '../../proxy/control/ready-lines.ts'
import type { ExplainAnswer } from '../../proxy/core/channel.ts'
import { clientHello } from '../support/client-hello.ts'
import { Mesh, nextMicrotasks } from '../support/mesh.ts'
import { A, B } from '../support/orders.ts'
import { accessLogSpec, listenerSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

// What people see of tunnels: /explain, /flights, the access log, the lines at the start.

const listeners = [
  listenerSpec({ listen: { address: '127.0.0.1', port: 6379 }, service: 'cache', protocol: 'tcp' }),
  listenerSpec({ listen: { address: '127.0.0.1', port: 15001 }, protocol: 'detect' }),
  listenerSpec({ listen: { address: '127.0.0.1', port: 15002 } }),
]
const services = [
  serviceSpec('cache', [A], { protocol: 'tcp', retries: { attempts: 3 } }),
  serviceSpec('web', [B], { hosts: ['www.example.com'] }),
  serviceSpec('empty', []),
]

async function explained(url: string, listener: string | null = null): Promise<ExplainAnswer> {
  const mesh = await Mesh.start(snapshotOf(services, listeners))
  mesh.thread.receive({ kind: 'ask', id: 1, question: { what: 'explain', method: 'GET', url, headers: [], listener } })
  const reply = mesh.messages.findLast(message => message.kind === 'answer')
  if (reply?.kind !== 'answer') throw new Error('no answer')
  return reply.answer as ExplainAnswer
}

describe('/explain', () => {
  test('of a service that speaks TCP', async () => {
    const answer = await explained('tcp://cache')
    expect(explainText(answer, answer.record!)).toBe(`TCP
│
├─ listener     outbound 127.0.0.1:6379, for cache only
├─ service      cache: the port is its own
├─ route        /*: the first that asks nothing of a request
├─ destination  cache: the only destination
├─ balancer     round_robin picks ${A}
├─ pool         a connection of its own would be made
├─ policy       3 attempts on connect-failure, idle 1h
│
└─ would be sent to ${A} (cache)
`)
  })

  test('of a server name', async () => {
    expect((await explained('tls://WWW.example.com:443')).record).toMatchObject({
      protocol: 'tcp',
      by: 'sni',
      service: 'web',
      attempts: [{ endpoint: B }],
    })
    const unknown = await explained('tls://nobody')
    expect(explainText(unknown, unknown.record!)).toContain('no service is known as "nobody"')
    expect(explainText(unknown, unknown.record!)).toContain('would be closed by the proxy NR, no route matches')
    expect((await explained('tls://empty')).record).toMatchObject({ flag: 'UH' })
    expect((await explained('tcp://web', '15001')).record).toMatchObject({ flag: 'NR' })
  })

  test('of a port that takes no tunnels, and of a request on the port of a service that speaks TCP', async () => {
    expect((await explained('tls://www.example.com', '15002')).error).toContain(
      'outbound 127.0.0.1:15002 takes HTTP only',
    )
    expect((await explained('/', '6379')).record).toMatchObject({ protocol: 'tcp', service: 'cache' })
    expect((await explained('http://cache/', '15002')).record).toMatchObject({
      protocol: 'http/1.1',
      flag: 'NR',
      service: 'cache',
    })
  })
})

test('a line of the access log, in both formats, and one of /flights', async () => {
  const template =
    '%PROTOCOL% %REQ(:METHOD)% %RESPONSE_CODE% %RESPONSE_FLAGS% %REQUESTED_SERVER_NAME% %UPSTREAM_CLUSTER% %UPSTREAM_HOST% %BYTES_RECEIVED% %BYTES_SENT% %DURATION%'
  for (const format of ['text', 'json'] as const) {
    const mesh = await Mesh.start(
      snapshotOf(services, listeners, {
        accessLog: accessLogSpec({ mode: 'on', format, template: format === 'text' ? template : null }),
      }),
    )
    const ends = mesh.plainUpstream(B)
    const caller = mesh.plainCaller(15001)
    const hello = await clientHello({ servername: 'www.example.com' })
    caller.send(hello)
    mesh.advance(10)
    ends[0]!.send('12345')
    mesh.advance(1240)
    caller.wire.end()
    ends[0]!.wire.end()
    mesh.advance(1000)
    await nextMicrotasks()
    const [line] = mesh.messages.flatMap(message => (message.kind === 'log' ? [message.lines] : []))
    if (format === 'text') expect(line).toBe(`TCP - 0 - www.example.com web ${B} ${hello.length} 5 1250\n`)
    else
      expect(JSON.parse(line!)).toMatchObject({
        protocol: 'TCP',
        method: null,
        path: null,
        response_code: 0,
        response_flags: null,
        authority: 'www.example.com',
        bytes_received: hello.length,
        bytes_sent: 5,
        duration: 1250,
        service: 'web',
        upstream_host: B,
      })
    expect(flightText(mesh.flight)).toMatch(
      /^\S+ {2}- - +1\.25 s {2}TCP www\.example\.com {2}-> {2}web at 10\.0\.0\.2:80 {2}\d+ B in, 5 B out\n$/,
    )
  }
})

test('a tunnel that went well is no error for the log of errors; one that did not is', async () => {
  const mesh = await Mesh.start(
    snapshotOf(services, listeners, {
      accessLog: accessLogSpec({ mode: 'errors', template: '%RESPONSE_FLAGS%' }),
    }),
  )
  const ends = mesh.plainUpstream(A)
  const [well, badly] = [mesh.plainCaller(6379), mesh.plainCaller(6379)]
  mesh.settle()
  well.wire.end()
  ends[0]!.wire.end()
  badly.wire.reset()
  mesh.advance(1000)
  expect(mesh.messages.flatMap(message => (message.kind === 'log' ? [message.lines] : [])).join('')).toBe('DC\n')
})

test('the lines at the start say which ports take TCP', () => {
  expect(readyLines('title', snapshotOf(services, listeners), { admin: null }).split('\n').slice(1, 4)).toEqual([
    'outbound  127.0.0.1:6379   -> cache (1 endpoint), TCP',
    'outbound  127.0.0.1:15001  -> by Host or server name: cache, web, empty',
    'outbound  127.0.0.1:15002  -> by Host: web, empty',
  ])
})
