import { describe, expect, test } from 'vitest'
import { type Contender, Permits } from '../../proxy/pool/permits.ts'
import { Mesh } from '../support/mesh.ts'
import { A, B, expectQuiet } from '../support/orders.ts'
import { listenerSpec, serviceSpec, snapshotOf } from '../support/specs.ts'
import { ok, type Upstream } from '../support/upstream.ts'

class Waiting implements Contender {
  withoutDial = 0
  open = 0
  readonly room = { mayConnect: true, takeConnection: () => true }
  dials = 0
  readonly waitingSince: number

  constructor(waitingSince: number) {
    this.waitingSince = waitingSince
  }

  dial(): void {
    this.withoutDial--
    this.dials++
  }
}

describe('permits', () => {
  function setUp(connections: number) {
    const [first, late, early] = [new Waiting(9), new Waiting(5), new Waiting(3)]
    const permits = new Permits(first, [late, early])
    permits.limitTo(connections, 3)
    const wait = (contender: Waiting) => {
      contender.withoutDial++
      permits.wait()
    }
    return { permits, first, late, early, wait }
  }

  test('are as many as the limit', () => {
    const { permits } = setUp(2)
    expect([permits.take(), permits.take(), permits.take()]).toEqual([true, true, false])
    permits.give()
    expect([permits.isFull, permits.take(), permits.isFull]).toEqual([false, true, true])
  })

  test('that are given back go to tunnels, then to the contender that has waited the longest', () => {
    const { permits, first, late, early, wait } = setUp(1)
    permits.take()
    for (const contender of [late, early, first]) wait(contender)
    expect(permits.mayWait).toBe(false)
    const dials = () => [first, early, late].map(contender => contender.dials)
    expect(permits.rival).toBe(first)
    permits.give()
    expect(dials()).toEqual([1, 0, 0])
    expect(permits.rival).toBe(early)
    permits.give()
    expect(dials()).toEqual([1, 1, 0])
    permits.give()
    expect(dials()).toEqual([1, 1, 1])
    expect(permits.rival).toBeNull()
  })

  test('of a raised limit go to those that wait; a lowered one takes none away', () => {
    const { permits, late, wait } = setUp(1)
    permits.take()
    wait(late)
    wait(late)
    permits.limitTo(3, 3)
    expect(late.dials).toBe(2)
    permits.limitTo(1, 3)
    permits.give()
    expect([permits.isFull, permits.take()]).toEqual([true, false])
  })
})

describe('a tunnel that waits', () => {
  const listeners = [
    listenerSpec({ service: 'orders' }),
    listenerSpec({ listen: { address: '127.0.0.1', port: 8001 }, service: 'orders', protocol: 'tcp' }),
  ]

  function answerSlowly(mesh: Mesh, upstream: Upstream, ms: number): void {
    upstream.answer = (request, connection) => void mesh.loop.after(ms, () => ok(request, connection))
  }

  test('gets the next connection that requests leave, before more requests of a busy service do', async () => {
    const limits = { connections: 1 }
    const mesh = await Mesh.start(snapshotOf([serviceSpec('orders', [A], { limits })], listeners))
    const upstream = mesh.upstream(A)
    answerSlowly(mesh, upstream, 100)
    const busy = [1, 2, 3, 4].map(() => mesh.caller().get())
    mesh.advance(10)
    const tunnel = mesh.plainCaller(8001)
    tunnel.send('GET /through HTTP/1.1\r\nHost: a\r\n\r\n')
    mesh.advance(250)
    expect(tunnel.text).toContain('200 OK')
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/', '/through'])
    tunnel.wire.reset()
    mesh.advance(1000)
    expect(busy.map(({ statuses }) => statuses)).toEqual([[200], [200], [200], [200]])
    expectQuiet(mesh)
  })

  test('gets the permit of a connection that would become idle', async () => {
    const limits = { connections: 1 }
    const mesh = await Mesh.start(snapshotOf([serviceSpec('orders', [A], { limits })], listeners))
    answerSlowly(mesh, mesh.upstream(A), 100)
    const caller = mesh.caller().get()
    mesh.advance(10)
    const tunnel = mesh.plainCaller(8001)
    mesh.advance(200)
    expect(caller.statuses).toEqual([200])
    expect(mesh.stat('outrigger_tcp_connections_active')).toBe(1)
    expect(mesh.endpoints()[0]!.endpoints[0]).toMatchObject({ connections: 1, idle: 0, pending: 0 })
    tunnel.wire.reset()
    mesh.settle()
    expectQuiet(mesh)
  })

  test('at one endpoint takes nothing from another but its idle connection', async () => {
    const limits = { connections: 2 }
    const mesh = await Mesh.start(snapshotOf([serviceSpec('orders', [A, B], { limits })], listeners))
    const callers = [mesh.caller().get(), mesh.caller().get()]
    mesh.settle()
    expect(callers.map(({ statuses }) => statuses)).toEqual([[200], [200]])
    const tunnels = [mesh.plainCaller(8001), mesh.plainCaller(8001)]
    mesh.settle()
    expect(mesh.stat('outrigger_tcp_connections_active')).toBe(2)
    expect(mesh.upstream(A).open.length + mesh.upstream(B).open.length).toBe(2)
    for (const { wire } of tunnels) wire.reset()
    mesh.settle()
    expectQuiet(mesh)
  })
})
