import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Mesh, nextMicrotasks } from '../support/mesh.ts'
import { A, expectQuiet, orders } from '../support/orders.ts'
import { downstreams, type TunnelEnd, upstreams } from '../support/tunnels.ts'
import '../support/seed.ts'

type Version = keyof typeof downstreams

const pairs: [Version, Version][] = [
  ['HTTP/1.1', 'HTTP/1.1'],
  ['HTTP/1.1', 'HTTP/2'],
  ['HTTP/2', 'HTTP/1.1'],
  ['HTTP/2', 'HTTP/2'],
]

async function start(down: Version, up: Version, options: Parameters<typeof orders>[0] = {}, protocol = 'websocket') {
  const { mesh, upstream } = await orders({ ...(up === 'HTTP/2' && { protocol: 'http2' }), ...options })
  const ends = upstreams[up](mesh, A)
  const caller = downstreams[down](mesh, protocol)
  mesh.settle()
  return { mesh, upstream, ends, caller, endpoint: ends[0]! }
}

describe.each(pairs)('a WebSocket from %s to %s', (down, up) => {
  test('carries bytes both ways, and each direction ends on its own', async () => {
    const { mesh, caller, endpoint } = await start(down, up)
    expect(caller.status).toBe(101)
    expect(mesh.stat('outrigger_tunnels_active', { upgrade: 'websocket' })).toBe(1)
    caller.send('from the caller')
    endpoint.send('from the endpoint')
    mesh.settle()
    expect([endpoint.received, caller.received]).toEqual(['from the caller', 'from the endpoint'])

    caller.send(', the last', true)
    mesh.settle()
    expect([endpoint.received, endpoint.gotEnd, caller.gotEnd]).toEqual(['from the caller, the last', true, false])
    endpoint.send(', still here')
    mesh.settle()
    expect(caller.received).toBe('from the endpoint, still here')
    endpoint.send('', true)
    mesh.settle()
    expect([caller.gotEnd, caller.wasCut, endpoint.wasCut]).toEqual([true, false, false])
    expect(mesh.flight).toMatchObject({
      status: 101,
      flag: '-',
      method: 'GET',
      path: '/chat',
      bytesIn: 25,
      bytesOut: 29,
    })
    expect(mesh.stat('outrigger_tunnels_active')).toBe(0)
    expectQuiet(mesh)
  })

  test('goes on towards the endpoint when the endpoint has ended', async () => {
    const { mesh, caller, endpoint } = await start(down, up)
    endpoint.send('bye', true)
    mesh.settle()
    expect([caller.received, caller.gotEnd]).toEqual(['bye', true])
    caller.send('not yet')
    mesh.settle()
    expect([endpoint.received, endpoint.gotEnd]).toEqual(['not yet', false])
    caller.send('', true)
    mesh.settle()
    expect([endpoint.gotEnd, endpoint.wasCut, mesh.flight.flag]).toEqual([true, false, '-'])
    expectQuiet(mesh)
  })

  test('is cut on the other side when one cuts it', async () => {
    const first = await start(down, up)
    first.caller.cut()
    first.mesh.settle()
    expect([first.endpoint.wasCut, first.mesh.flight.flag]).toEqual([true, 'DC'])
    expectQuiet(first.mesh)
    const second = await start(down, up)
    second.endpoint.cut()
    second.mesh.settle()
    expect([second.caller.wasCut, second.mesh.flight.flag]).toEqual([true, up === 'HTTP/2' ? 'UR' : 'UC'])
    expectQuiet(second.mesh)
  })

  test('ends when nothing has moved for `timeouts.tunnel`, in neither direction', async () => {
    const { mesh, caller, endpoint } = await start(down, up, {
      timeouts: { idleMs: 1000, tunnelMs: 60_000, requestMs: 500 },
    })
    for (const end of [caller, endpoint, caller]) {
      mesh.advance(59_000)
      end.send('ping')
      mesh.settle()
    }
    mesh.advance(59_000)
    expect([caller.wasCut, endpoint.wasCut]).toEqual([false, false])
    mesh.advance(2000)
    expect([caller.wasCut, endpoint.wasCut]).toEqual([true, true])
    expect(mesh.flight).toMatchObject({ failure: 'tunnel-idle', flag: 'SI', status: 101 })
    expect(mesh.endpoints()[0]!.endpoints[0]).toMatchObject({ state: 'admitting' })
    expectQuiet(mesh)
  })

  test('what the caller says before the answer goes nowhere before it', async () => {
    const { mesh, upstream } = await orders({
      ...(up === 'HTTP/2' && { protocol: 'http2' }),
      timeouts: { connectMs: 60_000 },
    })
    upstream.connectMs = 1000
    const ends = upstreams[up](mesh, A)
    const caller = downstreams[down](mesh)
    mesh.advance(500)
    caller.send('too soon')
    mesh.advance(100)
    expect(upstream.received).not.toContain('too soon')
    mesh.advance(2000)
    expect([caller.status, ends[0]!.received]).toEqual([101, 'too soon'])
    expect(
      upstream.connections.every(
        ({ received }) => received === '' || received.indexOf('too soon') > received.indexOf('\r\n\r\n'),
      ),
    ).toBe(true)
  })

  test('holds no more than its buffers while one side does not read', async () => {
    const { mesh, caller, endpoint } = await start(down, up, {
      mesh: { upstream: { window: 65_536 }, downstream: { window: 65_536 } },
    })
    const chunk = Buffer.alloc(64 * 1024, 'x')
    const stop = mesh.wires.length
    expect(stop).toBe(2)
    for (const far of [caller, endpoint] as TunnelEnd[]) {
      const near = far === caller ? endpoint : caller
      for (let i = 0; i < 64; i++) near.send(chunk)
    }
    mesh.settle()
    for (const wire of mesh.wires) expect(wire.peakUnsent).toBeLessThan(1024 * 1024)
    caller.send('', true)
    endpoint.send('', true)
    mesh.settle()
    expect(mesh.flight).toMatchObject({ bytesIn: 64 * 65_536, bytesOut: 64 * 65_536, flag: '-' })
    expectQuiet(mesh)
  })

  test('the bytes are the same however they are cut', async () => {
    const piece = fc.string({ unit: fc.constantFrom('a', 'b', '\r', '\n', '\0', '\xff'), maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.boolean(), piece), { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        async (pieces, sizes) => {
          let at = 0
          const readSize = () => sizes[at++ % sizes.length]!
          const { mesh, caller, endpoint } = await start(down, up, {
            mesh: { downstream: { readSize }, upstream: { readSize } },
          })
          let [sent, answered] = ['', '']
          for (const [isUp, text] of pieces) {
            if (isUp) sent += text
            else answered += text
            ;(isUp ? caller : endpoint).send(text)
            if (text.length % 3 === 0) mesh.settle()
          }
          caller.send('', true)
          endpoint.send('', true)
          mesh.settle()
          expect([endpoint.received, caller.received]).toEqual([sent, answered])
          expect([endpoint.gotEnd, caller.gotEnd, mesh.flight.flag]).toEqual([true, true, '-'])
          expectQuiet(mesh)
        },
      ),
      { numRuns: 30 },
    )
  })
})

const text = (payload: string) => Buffer.concat([Buffer.from([0x81, payload.length]), Buffer.from(payload)])
const masked = (payload: string) =>
  Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), Buffer.from(payload)])
const latin1 = (bytes: Buffer) => bytes.toString('latin1')
const GOING_AWAY = '\x88\x02\x03\xe9'

test.each(pairs)(
  'a connection that comes down hard after both have said Close is no failure, from %s to %s',
  async (down, up) => {
    const close = { caller: Buffer.from([0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]), endpoint: Buffer.from([0x88, 2, 3, 0xe8]) }
    for (const side of ['caller', 'endpoint'] as const) {
      const ends = await start(down, up)
      const { mesh, caller, endpoint } = ends
      caller.send(close.caller)
      endpoint.send(close.endpoint)
      mesh.settle()
      ends[side].cut()
      mesh.settle()
      if (side === 'endpoint') {
        expect([caller.gotEnd, caller.wasCut]).toEqual([true, false])
        // The place of the stream that came down is another's by now.
        const next = downstreams[down](mesh)
        mesh.settle()
        caller.send('nobody hears this')
        mesh.settle()
        expect(ends.ends.map(({ received }) => received.includes('nobody'))).toEqual([false, false])
        caller.send('', true)
        next.cut()
        mesh.settle()
      } else {
        const next = downstreams[down](mesh)
        mesh.settle()
        expect(next.status).toBe(101)
        next.cut()
        mesh.settle()
      }
      expect(mesh.flights().map(({ status, flag }) => [status, flag])).toContainEqual([101, '-'])
      expect(mesh.stat('outrigger_upstream_failures_total')).toBe(0)
      expectQuiet(mesh)
    }
  },
)

describe.each(pairs)('a drain with a WebSocket from %s to %s', (down, up) => {
  async function drain(mesh: Mesh, timeoutMs = 20_000): Promise<void> {
    mesh.thread.receive({ kind: 'drain', side: 'all', delayMs: 0, timeoutMs })
    mesh.advance(0)
    // Inbound first: a promise between.
    await nextMicrotasks()
    mesh.settle()
  }

  test('leaves it alone until a second before the end, then tells both sides 1001', async () => {
    const { mesh, caller, endpoint } = await start(down, up)
    await drain(mesh)
    mesh.advance(18_000)
    caller.send(masked('hello'))
    endpoint.send(text('there'))
    mesh.advance(900)
    expect([latin1(masked('hello')), latin1(text('there'))]).toEqual([endpoint.received, caller.received])
    mesh.advance(200)
    expect(caller.received.slice(7)).toBe(GOING_AWAY)
    const close = Buffer.from(endpoint.received.slice(11), 'latin1')
    expect([close[0], close[1], close[6]! ^ close[2]!, close[7]! ^ close[3]!, close.length]).toEqual([
      0x88, 0x82, 3, 0xe9, 8,
    ])
    expect([caller.gotEnd, endpoint.gotEnd]).toEqual([true, true])
    // Both answer, as they must, and close.
    caller.send(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 3, 0xe9]), true)
    endpoint.send(Buffer.from([0x88, 2, 3, 0xe9]), true)
    mesh.settle()
    expect([caller.wasCut, endpoint.wasCut]).toEqual([false, false])
    expect([caller.received.length, endpoint.received.length]).toEqual([11, 19])
    expect(mesh.flight).toMatchObject({ status: 101, failure: 'drained', flag: 'LR' })
    caller.close()
    mesh.advance(3000)
    expectQuiet(mesh)
  })

  test('waits for the end of a frame that is under way', async () => {
    const { mesh, caller, endpoint } = await start(down, up)
    const [question, answer] = [masked('hello'), text('there')]
    caller.send(question.subarray(0, 3))
    endpoint.send(answer.subarray(0, 4))
    await drain(mesh, 500)
    mesh.advance(100)
    expect([endpoint.received.length, caller.received.length]).toEqual([3, 4])
    caller.send(Buffer.concat([question.subarray(3), masked('too late')]))
    endpoint.send(Buffer.concat([answer.subarray(4), text('too late')]))
    mesh.settle()
    expect(endpoint.received.slice(0, 11)).toBe(latin1(question))
    expect(endpoint.received.length).toBe(11 + 8)
    expect(caller.received).toBe(latin1(answer) + GOING_AWAY)
    mesh.advance(1000)
    expect(mesh.flight.flag).toBe('LR')
  })

  test('adds nothing to one that is closing already, and cuts what does not end', async () => {
    const { mesh, caller, endpoint } = await start(down, up)
    const close = Buffer.from([0x88, 2, 3, 0xe8])
    endpoint.send(close)
    mesh.settle()
    await drain(mesh, 5000)
    mesh.advance(4900)
    expect([caller.received, endpoint.received, caller.gotEnd]).toEqual([latin1(close), '', false])
    mesh.advance(200)
    expect([caller.wasCut, endpoint.wasCut]).toEqual([true, true])
    expect(mesh.flight).toMatchObject({ failure: 'drained', flag: 'LR' })
  })

  test('cuts what is no WebSocket at the end', async () => {
    const { mesh, caller, endpoint } = await start(down, up, { upgrades: ['irc'] }, 'irc')
    endpoint.send(text('there'))
    await drain(mesh, 5000)
    mesh.advance(4900)
    expect([caller.received, caller.wasCut]).toEqual([latin1(text('there')), false])
    mesh.advance(200)
    expect([caller.wasCut, endpoint.wasCut]).toEqual([true, true])
  })
})
