import { beforeAll, describe, expect, test } from 'vitest'
import { clientHello } from '../support/client-hello.ts'
import { Mesh, nextMicrotasks } from '../support/mesh.ts'
import { A, B, expectQuiet } from '../support/orders.ts'
import { type ListenerOverrides, listenerSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

let hello: Buffer
let unknown: Buffer
let nameless: Buffer
const ALERT = (description: number) => Buffer.from([21, 3, 3, 0, 2, 2, description])

beforeAll(async () => {
  hello = await clientHello({ servername: 'www.example.com', ALPNProtocols: ['h2'] })
  unknown = await clientHello({ servername: 'nobody.example.com', ALPNProtocols: ['h2'] })
  nameless = await clientHello({ servername: '' })
})

const services = [serviceSpec('orders', [A]), serviceSpec('web', [B], { hosts: ['www.example.com'] })]

async function detecting(listener: ListenerOverrides = {}, readSize = 65_536): Promise<Mesh> {
  return await Mesh.start(snapshotOf(services, [listenerSpec({ protocol: 'detect', ...listener })]), {
    downstream: { readSize: () => readSize },
  })
}

describe('a port that finds out, for all services', () => {
  test.each([1, 7, 65_536])('HTTP/1, HTTP/2 and TLS, read in pieces of %i bytes', async readSize => {
    const mesh = await detecting({}, readSize)
    const http1 = mesh.caller().get()
    const http2 = mesh.http2Caller()
    const got = http2.ask()
    mesh.settle()
    expect(http1.statuses).toEqual([200])
    expect(got).toMatchObject({ status: 200 })
    const ends = mesh.plainUpstream(B)
    const tls = mesh.plainCaller()
    tls.send(hello)
    mesh.settle()
    expect(ends[0]!.received.equals(hello)).toBe(true)
    ends[0]!.send('ServerHello')
    mesh.settle()
    expect(tls.text).toBe('ServerHello')
    tls.wire.end()
    ends[0]!.wire.end()
    mesh.settle()
    expect(mesh.flight).toMatchObject({
      protocol: 'tcp',
      by: 'sni',
      authority: 'www.example.com',
      service: 'web',
      destination: 'web',
      flag: '-',
    })
    for (const protocol of ['http1', 'http2', 'tls'])
      expect(mesh.stat('outrigger_detected_connections_total', { protocol })).toBe(1)
    http1.close()
    http2.close()
    mesh.settle()
    expectQuiet(mesh)
  })

  test.each([
    ['a name nobody knows', () => unknown, 'no service is known as "nobody.example.com" (ALPN h2)'],
    ['no name', () => nameless, 'it names no server, and the port is for no one service'],
  ])('TLS with %s is told so', async (_what, bytes, detail) => {
    const mesh = await detecting()
    const caller = mesh.plainCaller()
    caller.send(bytes())
    mesh.settle()
    expect(caller.received.equals(ALERT(112))).toBe(true)
    expect([caller.gotEnd, caller.over]).toEqual([true, false])
    expect(mesh.flight).toMatchObject({ protocol: 'tcp', flag: 'NR', failure: 'no-route', detail })
    caller.wire.end()
    mesh.settle()
    expect([caller.over, caller.error]).toEqual([true, null])
    expectQuiet(mesh)
  })

  test('who was told, and does not close, is closed', async () => {
    const mesh = await detecting()
    mesh.plainCaller().send(unknown)
    mesh.advance(1100)
    expect(mesh.stat('outrigger_downstream_connections_active')).toBe(0)
    expect(mesh.stat('outrigger_tcp_connections_closed_total', { service: '-', flags: 'NR' })).toBe(1)
  })

  test('what is neither HTTP nor TLS has nowhere to go', async () => {
    const mesh = await detecting()
    const caller = mesh.plainCaller()
    caller.send('*1\r\n$4\r\nPING\r\n')
    mesh.settle()
    expect(caller.error).not.toBeNull()
    expect(mesh.flight).toMatchObject({
      flag: 'NR',
      detail: 'neither HTTP nor TLS, and the port is for no one service',
    })
    expectQuiet(mesh)
  })

  test('half a ClientHello is given timeouts.detect, a silent connection that of an idle one', async () => {
    const mesh = await detecting({ timeouts: { detectMs: 2000, idleMs: 10_000 } })
    const [half, silent] = [mesh.plainCaller(), mesh.plainCaller()]
    half.send(hello.subarray(0, 50))
    mesh.advance(2100)
    expect([half.received.equals(ALERT(40)), half.gotEnd, silent.gotEnd]).toEqual([true, true, false])
    expect(mesh.flight).toMatchObject({ flag: 'NR', detail: 'said too little within 2000 ms to tell where it goes' })
    expect(mesh.stat('outrigger_detection_timeouts_total')).toBe(1)
    mesh.advance(8000)
    expect(silent.gotEnd).toBe(true)
    expect(mesh.stat('outrigger_detection_timeouts_total')).toBe(1)
  })

  test('a thousand that say one byte of a ClientHello and stop: gone in time, while others are served', async () => {
    const mesh = await detecting({ timeouts: { detectMs: 2000 } })
    for (let i = 0; i < 1000; i++) mesh.plainCaller().send(hello.subarray(0, 1))
    mesh.settle()
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expect(mesh.stat('outrigger_downstream_connections_active')).toBe(1001)
    mesh.advance(2100 + 1100)
    expect(mesh.stat('outrigger_downstream_connections_active')).toBe(1)
    expect(mesh.stat('outrigger_detection_timeouts_total')).toBe(1000)
  })
})

describe('a port that finds out, for one service', () => {
  const one = { service: 'orders' }

  test('anything but HTTP goes to it, whatever the server name', async () => {
    const mesh = await detecting(one)
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    const ends = mesh.plainUpstream(A)
    for (const bytes of [
      unknown,
      nameless,
      Buffer.from('*1\r\n$4\r\nPING\r\n'),
      Buffer.from([0x16, 3, 1, 0, 9, 9, 9]),
    ]) {
      mesh.plainCaller().send(bytes)
      mesh.settle()
      expect(ends.at(-1)!.received.equals(bytes)).toBe(true)
    }
    expect(mesh.stat('outrigger_detected_connections_total', { protocol: 'tcp' })).toBe(2)
    expect(mesh.stat('outrigger_tcp_connections_active', { service: 'orders' })).toBe(4)
  })

  test('a server that speaks first is late, but not lost', async () => {
    const mesh = await detecting(one)
    const ends = mesh.plainUpstream(A)
    const caller = mesh.plainCaller()
    mesh.advance(4900)
    expect(ends).toEqual([])
    mesh.advance(200)
    ends[0]!.send('220 ready\r\n')
    mesh.settle()
    expect(caller.text).toBe('220 ready\r\n')
    expect(mesh.stat('outrigger_detection_timeouts_total')).toBe(1)
  })

  test('too few bytes are TCP when the time is up, or when nothing follows; but not the beginning of a request', async () => {
    const mesh = await detecting(one)
    const ends = mesh.plainUpstream(A)
    const [text, request, ended] = [mesh.plainCaller(), mesh.plainCaller(), mesh.plainCaller()]
    text.send('hello')
    request.send('GE')
    ended.send('bye')
    ended.wire.end()
    mesh.settle()
    expect(ends.map(end => [end.text, end.gotEnd])).toEqual([['bye', true]])
    mesh.advance(5100)
    expect(ends.map(end => end.text)).toEqual(['bye', 'hello'])
    expect(request.text).toContain('HTTP/1.1 408')
  })

  test('a request that breaks the rules is refused, and does not become a tunnel', async () => {
    const mesh = await detecting(one)
    for (const bytes of [
      'G@T / HTTP/1.1\r\nHost: orders\r\n\r\n',
      'GET\0/ HTTP/1.1\r\n\r\n',
      ' GET / HTTP/1.1\r\n\r\n',
      'GET / HTTP/1.1\r\nHost : a\r\n\r\n',
    ]) {
      const caller = mesh.plainCaller()
      caller.send(bytes)
      mesh.settle()
      expect(caller.text).toContain('HTTP/1.1 400')
    }
    expect(mesh.upstream(A).dials).toBe(0)
  })

  test('a drain lets go of who has said nothing', async () => {
    const mesh = await detecting(one)
    const caller = mesh.plainCaller()
    mesh.settle()
    mesh.thread.receive({ kind: 'drain', side: 'all', delayMs: 0, timeoutMs: 1000 })
    mesh.advance(10)
    await nextMicrotasks()
    mesh.settle()
    expect(caller.gotEnd).toBe(true)
  })
})

test('a port for HTTP tells a TLS caller with an alert, and the log why', async () => {
  const mesh = await detecting({ protocol: 'http' })
  const caller = mesh.plainCaller()
  caller.send(hello)
  mesh.settle()
  expect(caller.received.equals(ALERT(40))).toBe(true)
  expect(mesh.flight).toMatchObject({ flag: 'DPE', failure: 'tls-not-expected' })
  expect(mesh.upstream(A).dials + mesh.upstream(B).dials).toBe(0)
  caller.wire.end()
  mesh.settle()
  expectQuiet(mesh)
})

test('a server name that only the registry may know is asked for there', async () => {
  const mesh = await Mesh.start(snapshotOf(services, [listenerSpec({ protocol: 'detect' })], { onDemandMs: 1000 }))
  const [found, missing] = [mesh.plainCaller(), mesh.plainCaller()]
  found.send(await clientHello({ servername: 'stock.service.consul' }))
  missing.send(await clientHello({ servername: 'nothere' }))
  mesh.settle()
  expect(mesh.messages.flatMap(message => (message.kind === 'want' ? [message.service] : []))).toEqual([
    'stock',
    'nothere',
  ])
  mesh.thread.receive({
    kind: 'unknown-service',
    service: 'nothere',
    why: { certain: true, reason: 'Consul knows no service "nothere"' },
  })
  const ends = mesh.plainUpstream('10.0.0.9:443')
  await mesh.apply(
    snapshotOf([...services, serviceSpec('stock', ['10.0.0.9:443'])], [listenerSpec({ protocol: 'detect' })], {
      onDemandMs: 1000,
    }),
  )
  await nextMicrotasks()
  mesh.settle()
  expect(ends).toHaveLength(1)
  expect(missing.received.equals(ALERT(112))).toBe(true)
  expect(mesh.flight).toMatchObject({ flag: 'NR', detail: 'Consul knows no service "nothere"' })
})
