import { describe, expect, test } from 'vitest'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type { Http2Exchange } from '../support/http2-caller.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { Mesh } from '../support/mesh.ts'
import { A, expectQuiet } from '../support/orders.ts'
import { listenerSpec, type ServiceOverrides, serviceSpec, snapshotOf } from '../support/specs.ts'
import { meet, expectQuiet as quiet, twoSidecars } from '../support/two-sidecars.ts'
import { type Answer, respond, silent } from '../support/upstream.ts'

/** A data thread has a total for what it holds of bodies. Those that fill it pay for it, and the others go on. */

const KIB = 1024
const MIB = 1024 * KIB
const TOTAL = 4 * MIB

async function start(overrides: ServiceOverrides = {}, buffersBytes = TOTAL): Promise<Mesh> {
  const service = serviceSpec('orders', [A], { timeouts: { requestMs: 0 }, ...overrides })
  return await Mesh.start(
    snapshotOf(
      [service],
      [listenerSpec({ service: 'orders', protocol: overrides.protocol === 'tcp' ? 'tcp' : 'http' })],
      { buffersBytes },
    ),
  )
}

const body = Buffer.alloc(2 * MIB, 'x')
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const large: Answer = ({ target }, connection) => {
  if (target === '/') return void connection.send(OK)
  connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
  connection.send(body)
}

function stalledCaller(mesh: Mesh) {
  const caller = mesh.caller()
  caller.keep = false
  caller.wire.pause()
  return caller.get('/large')
}

/** Of flights that failed: their flags, and how often. */
function flags(mesh: Mesh): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { flag } of mesh.flights(true)) counts[flag] = (counts[flag] ?? 0) + 1
  return counts
}

/** A caller with nothing to do with it has its answers, small and large. */
function expectServed(mesh: Mesh): void {
  const quick = mesh.caller()
  quick.keep = false
  for (let i = 0; i < 3; i++) {
    quick.get('/')
    mesh.settle()
  }
  quick.get('/large')
  mesh.settle()
  expect(quick.statuses).toEqual([200, 200, 200, 200])
  expect(quick.last.bodyBytes).toBe(body.length)
  quick.close()
  mesh.settle()
}

describe('HTTP/1.1', () => {
  test('callers that do not read: each may hold less as they become more, then the largest are cut, and the others go on', async () => {
    const mesh = await start()
    mesh.upstream(A).answer = large
    const callers: ReturnType<typeof stalledCaller>[] = []
    for (let i = 0; i < 60; i++) {
      callers.push(stalledCaller(mesh))
      mesh.settle()
      expect(mesh.held).toBeLessThanOrEqual(TOTAL)
    }
    const cut = callers.filter(({ over }) => over).length
    expect(cut).toBeGreaterThan(0)
    // First of all those from before it became tight, which held 300 KiB.
    expect(callers.findIndex(({ over }) => !over)).toBeGreaterThanOrEqual(6)
    expect(flags(mesh)).toEqual({ OM: Math.min(cut, 64) })
    expect(mesh.stat('outrigger_data_thread_buffer_cuts_total')).toBe(cut)
    expect(mesh.flights(true)[0]).toMatchObject({ failure: 'out-of-room', status: 200, attempts: [{ endpoint: A }] })
    mesh.advance(1000)
    expect(mesh.stat('outrigger_data_thread_buffered_bytes')).toBe(mesh.held)
    expect(mesh.messages.some(message => message.kind === 'event' && message.event.kind === 'buffers-full')).toBe(true)
    expectServed(mesh)
    for (const { wire } of callers) wire.resume()
    mesh.settle()
    for (const { over, last } of callers.filter(caller => !caller.over))
      expect([over, last.bodyBytes]).toEqual([false, body.length])
    for (const caller of callers) caller.close()
    mesh.settle()
    expect(mesh.stat('outrigger_upstream_failures_total')).toBe(0)
    expectQuiet(mesh)
  })

  test('endpoints that do not read an upload: 503, and the endpoint is not blamed', async () => {
    const mesh = await start()
    mesh.upstream(A).onHead = ({ method }, { wire }) => {
      if (method === 'POST') wire.pause()
    }
    const callers = Array.from({ length: 60 }, () => {
      const caller = mesh.caller().send(`POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${body.length}\r\n\r\n`)
      caller.sendMore(body)
      mesh.settle()
      expect(mesh.held).toBeLessThanOrEqual(TOTAL)
      return caller
    })
    const answered = callers.filter(({ statuses }) => statuses.length !== 0)
    expect(answered.length).toBeGreaterThan(0)
    for (const { last } of answered)
      expect([last.status, last.body.toString()]).toEqual([503, expect.stringContaining('out-of-room')])
    expect(flags(mesh)).toEqual({ OM: answered.length })
    mesh.upstream(A).answer = large
    expectServed(mesh)
    expect(mesh.stat('outrigger_upstream_failures_total')).toBe(0)
    for (const caller of callers) caller.wire.reset()
    for (const { wire } of mesh.upstream(A).open) wire.resume()
    mesh.settle()
    expectQuiet(mesh)
  })

  test('uploads that wait for a connection', async () => {
    const mesh = await start({ limits: { connections: 1 }, timeouts: { connectMs: 0, requestMs: 0 } }, 2 * MIB)
    mesh.upstream(A).answer = silent
    mesh.caller().get('/')
    mesh.settle()
    const callers = Array.from({ length: 80 }, () => {
      const caller = mesh.caller().send(`PUT / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${body.length}\r\n\r\n`)
      caller.sendMore(body.subarray(0, 100_000))
      mesh.settle()
      expect(mesh.held).toBeLessThanOrEqual(2 * MIB)
      return caller
    })
    expect(callers.filter(({ statuses }) => statuses[0] === 503).length).toBeGreaterThan(30)
    for (const caller of mesh.callers) caller.close()
    mesh.settle()
    expect(mesh.held).toBe(0)
  })

  test('requests behind one that is not answered, and heads that are not finished', async () => {
    const mesh = await start({}, MIB)
    mesh.upstream(A).answer = silent
    const get = `GET / HTTP/1.1\r\nHost: orders\r\n\r\n`
    const callers = Array.from({ length: 60 }, (_, i) => {
      const caller = mesh.caller().send(i % 2 === 0 ? get : `${get.slice(0, -2)}X: ${'y'.repeat(50_000)}`)
      if (i % 2 === 0) caller.sendMore(get.repeat(2000))
      mesh.settle()
      expect(mesh.held).toBeLessThanOrEqual(MIB)
      return caller
    })
    expect(callers.filter(({ over, statuses }) => over || statuses.length !== 0).length).toBeGreaterThan(30)
    for (const caller of callers) caller.close()
    mesh.settle()
    expectQuiet(mesh)
  })
})

describe('HTTP/2', () => {
  const more = (mesh: Mesh, endpoint: Http2Endpoint, count: number, caller = mesh.http2Caller()): Http2Exchange[] => {
    endpoint.answer = ({ stream, path }) => {
      if (path === '/') return reply(stream, 200, [], 'ok')
      stream.head({ status: 200, headers: new HeaderList() }, false)
      stream.data(body.subarray(0, MIB), true)
    }
    return Array.from({ length: count }, () => {
      const got = caller.ask({ path: '/large' })
      got.accept = false
      mesh.settle()
      return got
    })
  }

  test('one caller with many streams that stand still pays, and slow readers beside it do not', async () => {
    const mesh = await start({ protocol: 'http2' })
    const endpoint = new Http2Endpoint(mesh, A)
    const others = Array.from({ length: 4 }, () => more(mesh, endpoint, 1)[0]!)
    const greedy = mesh.http2Caller()
    const streams = more(mesh, endpoint, 60, greedy)
    expect(mesh.held).toBeLessThanOrEqual(TOTAL)
    expect(streams.filter(({ failure }) => failure !== null).length).toBeGreaterThan(0)
    expect(others.map(({ failure }) => failure)).toEqual(Array(4).fill(null))
    expect(greedy.over).toBe(false)
    const small = mesh.http2Caller().ask()
    mesh.settle()
    expect(small.status).toBe(200)
    for (const got of [...others, ...streams]) if (got.failure === null) got.resume()
    mesh.settle()
    expect(others.map(({ bytes }) => bytes)).toEqual(Array(4).fill(MIB))
    expect(Object.keys(flags(mesh))).toEqual(['OM'])
    expectQuiet(mesh)
  })

  test('uploads that stand still at the endpoint are answered with 503 on streams of their own', async () => {
    const mesh = await start({ protocol: 'http2' })
    const endpoint = new Http2Endpoint(mesh, A)
    endpoint.accept = false
    const caller = mesh.http2Caller()
    const uploads = Array.from({ length: 60 }, () => {
      const got = caller.ask({ method: 'POST', body: null })
      got.send(body.subarray(0, MIB))
      mesh.settle()
      return got
    })
    expect(mesh.held).toBeLessThanOrEqual(TOTAL)
    const failed = uploads.filter(({ status }) => status !== 0)
    expect(failed.length).toBeGreaterThan(0)
    for (const { status, body: text } of failed)
      expect([status, text]).toEqual([503, expect.stringContaining('out-of-room')])
    expect(caller.over).toBe(false)
    const get = caller.ask()
    mesh.settle()
    expect(get.status).toBe(200)
    for (const got of uploads) if (got.status === 0) got.cancel()
    mesh.settle()
    expectQuiet(mesh)
  })

  test('a connection that takes nothing at all', async () => {
    const mesh = await start({ protocol: 'http2' }, 2 * MIB)
    const endpoint = new Http2Endpoint(mesh, A)
    const callers = Array.from({ length: 20 }, () => {
      const caller = mesh.http2Caller()
      mesh.settle()
      caller.wire.pause()
      more(mesh, endpoint, 1, caller)
      expect(mesh.held).toBeLessThanOrEqual(2 * MIB)
      return caller
    })
    for (const caller of callers) caller.wire.resume()
    mesh.settle()
    expect(mesh.held).toBeLessThanOrEqual(2 * MIB)
    for (const caller of callers) caller.close()
    mesh.settle()
    expectQuiet(mesh)
  })
})

test('between two sidecars each caller answers for itself', async () => {
  const { mesh, application } = await twoSidecars({ buffersBytes: TOTAL })
  meet(mesh)
  mesh.advance(10_000)
  application.answer = large
  const callers = Array.from({ length: 60 }, () => {
    const caller = stalledCaller(mesh)
    mesh.settle()
    expect(mesh.held).toBeLessThanOrEqual(TOTAL)
    return caller
  })
  expectServed(mesh)
  expect(callers.some(({ over }) => over)).toBe(true)
  for (const { wire } of callers) wire.resume()
  mesh.settle()
  const rest = callers.filter(caller => !caller.over)
  expect(rest.length).toBeGreaterThan(10)
  for (const { last } of rest) expect(last.bodyBytes).toBe(body.length)
  for (const caller of callers) caller.close()
  mesh.settle()
  quiet(mesh)
})

test('TCP tunnels', async () => {
  const mesh = await start({ protocol: 'tcp' })
  const ends = mesh.plainUpstream(A)
  const callers = Array.from({ length: 60 }, () => {
    const caller = mesh.plainCaller()
    mesh.settle()
    caller.wire.pause()
    ends.at(-1)!.send(body)
    mesh.settle()
    expect(mesh.held).toBeLessThanOrEqual(TOTAL)
    return caller
  })
  expect(flags(mesh).OM).toBeGreaterThan(0)
  for (const caller of callers) caller.wire.resume()
  mesh.settle()
  const rest = callers.filter(({ over }) => !over)
  expect(rest.length).toBeGreaterThan(10)
  for (const { receivedBytes } of rest) expect(receivedBytes).toBe(body.length)
  for (const caller of callers) caller.wire.reset()
  mesh.settle()
  expectQuiet(mesh)
})

test('the total is that of the present snapshot', async () => {
  const mesh = await start({}, 64 * MIB)
  mesh.upstream(A).answer = large
  const callers = Array.from({ length: 20 }, () => stalledCaller(mesh))
  mesh.settle()
  expect(mesh.held).toBeGreaterThan(TOTAL)
  const service = serviceSpec('orders', [A])
  await mesh.apply(snapshotOf([service], [listenerSpec({ service: 'orders' })], { buffersBytes: TOTAL }))
  mesh.settle()
  expect(mesh.held).toBeLessThanOrEqual(TOTAL)
  expect(callers.filter(({ over }) => over).length).toBeGreaterThan(4)
  mesh.upstream(A).answer = respond(OK)
})
