import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { WireOptions } from '../support/memory-wire.ts'
import { Mesh } from '../support/mesh.ts'
import { A, expectQuiet } from '../support/orders.ts'
import type { PlainEnd } from '../support/plain-end.ts'
import { listenerSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

const BUFFER = 256 * 1024

async function tunnelMesh(
  wires: { readonly downstream?: WireOptions; readonly upstream?: WireOptions } = {},
): Promise<Mesh> {
  const service = serviceSpec('orders', [A], { protocol: 'tcp', limits: { bufferBytes: BUFFER } })
  return await Mesh.start(
    snapshotOf([service], [listenerSpec({ service: 'orders', protocol: 'tcp', limits: { bufferBytes: BUFFER } })]),
    wires,
  )
}

async function pair(
  wires: Parameters<typeof tunnelMesh>[0] = {},
): Promise<{ mesh: Mesh; down: PlainEnd; up: PlainEnd }> {
  const mesh = await tunnelMesh(wires)
  const ends = mesh.plainUpstream(A)
  const down = mesh.plainCaller()
  mesh.settle()
  return { mesh, down, up: ends[0]! }
}

/** Sends it all, with regard to what the wire can take. */
function pour(from: PlainEnd, bytes: Buffer, piece = 100_000): void {
  let at = 0
  const go = () => {
    while (at < bytes.length) {
      const chunk = bytes.subarray(at, at + piece)
      at += chunk.length
      if (!from.send(chunk)) return
    }
    from.wire.end()
  }
  from.onDrained = go
  go()
}

describe('back-pressure', () => {
  test.each(['down', 'up'] as const)(
    'a %sstream side that does not read stops the other, and holds no more than the limit',
    async side => {
      const { mesh, down, up } = await pair({ downstream: { window: 10_000 }, upstream: { window: 10_000 } })
      const [from, to] = side === 'down' ? [up, down] : [down, up]
      const bytes = Buffer.alloc(8 * 1024 * 1024, 'abcdefg')
      to.wire.pause()
      pour(from, bytes)
      mesh.settle()
      expect(from.wire.unsent).toBeGreaterThan(0)
      expect(Math.max(...mesh.wires.map(({ peakUnsent }) => peakUnsent))).toBeLessThanOrEqual(BUFFER / 4 + 64 * 1024)
      expect(to.receivedBytes).toBe(0)
      to.wire.resume()
      mesh.settle()
      expect(to.received.equals(bytes)).toBe(true)
      expect([to.gotEnd, from.gotEnd]).toEqual([true, false])
      to.wire.end()
      mesh.settle()
      expect([down.over, up.over]).toEqual([true, true])
      expectQuiet(mesh)
    },
  )

  test('a read after a full one gets a buffer of its own, a read after any other none', async () => {
    const { mesh, down, up } = await pair({ upstream: { readSize: () => 64 * 1024 } })
    const wire = mesh.wires.find(each => each.expected === 0)!
    expect(wire.expected).toBe(0)
    down.send(Buffer.alloc(64 * 1024))
    mesh.settle()
    expect(mesh.wires[0]!.expected).toBe(Number.POSITIVE_INFINITY)
    down.send(Buffer.alloc(20_000))
    mesh.settle()
    expect(mesh.wires[0]!.expected).toBe(0)
    expect(up.receivedBytes).toBe(64 * 1024 + 20_000)
  })
})

test('bytes written while a side is slow are cut by a reset, and never end as if they were whole', async () => {
  const { mesh, down, up } = await pair({ downstream: { window: 1000 } })
  down.wire.pause()
  up.send(Buffer.alloc(50_000))
  mesh.settle()
  mesh.advance(3_700_000)
  down.wire.resume()
  mesh.settle()
  expect(down.gotEnd).toBe(false)
  expect(down.error).toMatchObject({ code: 'ECONNRESET' })
  expect(mesh.flight).toMatchObject({ failure: 'tunnel-idle' })
  expectQuiet(mesh)
})

test('whatever the pieces, the windows and the order, both sides get the same bytes and one end', async () => {
  const small = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 70_000 }))
  const wire = fc.record({
    window: small,
    read: fc.array(small, { minLength: 1, maxLength: 5 }),
    latencyMs: fc.integer({ min: 0, max: 3 }),
  })
  const side = fc.record({
    size: fc.integer({ min: 0, max: 300_000 }),
    piece: fc.integer({ min: 500, max: 90_000 }),
    after: fc.integer({ min: 0, max: 5 }),
  })
  await fc.assert(
    fc.asyncProperty(
      wire,
      wire,
      side,
      side,
      fc.integer({ min: 0, max: 5 }),
      async (downstream, upstream, fromDown, fromUp, connectMs) => {
        const mesh = await tunnelMesh({ downstream: wireOptions(downstream), upstream: wireOptions(upstream) })
        mesh.upstream(A).connectMs = connectMs
        const ends = mesh.plainUpstream(A)
        const down = mesh.plainCaller()
        const sent = { down: pattern(fromDown.size, 3), up: pattern(fromUp.size, 5) }
        mesh.advance(fromDown.after)
        pour(down, sent.down, fromDown.piece)
        mesh.advance(10)
        const up = ends[0]!
        mesh.advance(fromUp.after)
        pour(up, sent.up, fromUp.piece)
        mesh.advance(2_000_000)
        expect([digest(up.received), digest(down.received)]).toEqual([digest(sent.down), digest(sent.up)])
        expect([down.gotEnd, up.gotEnd, down.over, up.over, down.error, up.error]).toEqual([
          true,
          true,
          true,
          true,
          null,
          null,
        ])
        expect(mesh.flight).toMatchObject({ flag: '-', bytesIn: sent.down.length, bytesOut: sent.up.length })
        expectQuiet(mesh)
      },
    ),
    { numRuns: 60 },
  )
})

function wireOptions({ window, read, latencyMs }: { window: number; read: number[]; latencyMs: number }): WireOptions {
  let at = 0
  return { window, latencyMs, readSize: () => read[at++ % read.length]! + 200 }
}

function pattern(size: number, step: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i++) bytes[i] = (i * step + (i >> 8)) & 255
  return bytes
}

function digest(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex')
}
