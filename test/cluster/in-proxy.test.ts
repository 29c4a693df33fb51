import { describe, expect, test } from 'vitest'
import { Mesh } from '../support/mesh.ts'
import { A, B, C, expectQuiet, type OrdersOptions, orders } from '../support/orders.ts'
import { endpointSpec, listenerSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

/** The cookies of the last answer, as a browser would give them back. */
function cookiesOf(answer: { readonly headers: readonly (readonly [string, string])[] }): string {
  return answer.headers
    .filter(([name]) => name.toLowerCase() === 'set-cookie')
    .map(([, value]) => value.slice(0, value.indexOf(';')))
    .join('; ')
}

async function started(options: OrdersOptions) {
  const { mesh } = await orders(options)
  const served = () => [A, B, C].map(name => mesh.upstream(name).requests.length)
  return { mesh, served }
}

describe('through the whole proxy', () => {
  test('a sticky session keeps a caller at its endpoint, on whatever connection', async () => {
    const { mesh, served } = await started({
      endpoints: [A, B, C],
      balancer: { sticky: { cookie: 'session', ttlMs: 60_000, path: '/', secret: 'of the tests' } },
    })
    const first = mesh.caller().get()
    mesh.settle()
    const cookie = cookiesOf(first.last)
    expect(cookie).toMatch(/^session=[A-Za-z0-9_-]{22}$/)
    const before = served()
    for (let i = 0; i < 20; i++) {
      const caller = mesh.caller().get('/', `Cookie: ${cookie}\r\n`)
      mesh.settle()
      expect(cookiesOf(caller.last)).toBe('')
      caller.close()
    }
    first.close()
    mesh.settle()
    const grown = served().map((count, i) => count - before[i]!)
    expect(grown.toSorted((a, b) => a - b)).toEqual([0, 0, 20])
    expectQuiet(mesh)
  })

  test('a hash cookie is made once, and the caller without cookies comes anywhere', async () => {
    const hashOn = [{ kind: 'cookie', name: 'shard', ttlMs: 60_000, path: '/', terminal: false }] as const
    const { mesh } = await started({ endpoints: [A, B, C], balancer: { type: 'maglev', tableSize: 1009, hashOn } })
    const caller = mesh.caller()
    const seen = new Set<string>()
    for (let i = 0; i < 20; i++) {
      caller.get()
      mesh.settle()
      seen.add(cookiesOf(caller.last))
    }
    expect(seen.size).toBe(20)
    const [cookie] = seen
    caller.get('/', `Cookie: ${cookie}\r\n`)
    mesh.settle()
    expect(cookiesOf(caller.last)).toBe('')
  })

  test('a retry finds the one endpoint of the next priority', async () => {
    const { mesh } = await started({ endpoints: [A, endpointSpec(B, { priority: 1 })] })
    mesh.upstream(A).connect = 'refuse'
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expect(mesh.upstream(B).requests).toHaveLength(1)
  })

  test('endpoints come and go by deltas while requests run', async () => {
    const mesh = await Mesh.start(snapshotOf([serviceSpec('orders', [A, B])], [listenerSpec({ service: 'orders' })]))
    const caller = mesh.caller()
    const ask = () => {
      for (let i = 0; i < 6; i++) {
        caller.get()
        mesh.settle()
      }
    }
    ask()
    mesh.thread.receive({
      kind: 'endpoints',
      service: 'orders',
      delta: { put: [endpointSpec(C), endpointSpec(A, { health: 'critical' })], drop: [] },
    })
    await Promise.resolve()
    ask()
    expect(caller.statuses).toEqual(Array(12).fill(200))
    expect(mesh.upstream(A).requests).toHaveLength(3)
    expect(mesh.upstream(B).requests).toHaveLength(6)
    expect(mesh.upstream(C).requests).toHaveLength(3)
  })
})
