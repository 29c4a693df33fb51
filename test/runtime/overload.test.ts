import { describe, expect, test } from 'vitest'
import type { OverloadSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { ExplainAnswer } from '../../proxy/core/channel.ts'
import { Shedding } from '../../proxy/filter/overload.ts'
import { Relief } from '../../proxy/listener/relief.ts'
import { OverloadManager } from '../../proxy/runtime/overload.ts'
import { statsWriter } from '../../proxy/telemetry/stats.ts'
import { Mesh } from '../support/mesh.ts'
import { A, expectQuiet } from '../support/orders.ts'
import { seeded } from '../support/random.ts'
import { listenerSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

const spec: OverloadSpec = {
  heap: { closeAt: 85, shedAt: 90, refuseAt: 95 },
  lag: { closeAt: 0, shedAt: 1000, refuseAt: 5000 },
  descriptors: { closeAt: 85, shedAt: 0, refuseAt: 95 },
}

async function started(overload: OverloadSpec | null = spec, more: Partial<ServiceSpec> = {}) {
  const used = { heap: 0.1, descriptors: 0.1 }
  const pressure = { heap: () => used.heap, descriptors: () => used.descriptors }
  const snapshot = snapshotOf([{ ...serviceSpec('orders', [A]), ...more }], [listenerSpec({ service: 'orders' })], {
    ...(overload === null ? {} : { overload }),
  })
  const mesh = await Mesh.start(snapshot, { pressure })
  return { mesh, used }
}

function ask(mesh: Mesh) {
  const caller = mesh.caller()
  caller.get()
  mesh.settle()
  const { last } = caller
  caller.close()
  mesh.settle()
  return last
}

const events = (mesh: Mesh) =>
  mesh.messages.flatMap(message =>
    message.kind === 'event' && message.event.kind === 'overload' ? [message.event] : [],
  )
const active = (mesh: Mesh, action: string) => mesh.stat('outrigger_overload_active', { action })

describe('shedding', () => {
  test('begins after three looks, refuses a growing share with 503 OM, and ends after three looks well below', async () => {
    const { mesh, used } = await started()
    used.heap = 0.92
    mesh.advance(2500)
    expect(ask(mesh).status).toBe(200)
    mesh.advance(1000)
    expect(active(mesh, 'shed')).toBe(1)
    expect(mesh.stat('outrigger_overload_pressure_ratio', { monitor: 'heap' })).toBeCloseTo(92 / 95, 5)
    const statuses = Array.from({ length: 400 }, () => ask(mesh).status)
    const shed = statuses.filter(status => status === 503).length
    // (92 - 90) / (95 - 90)
    expect(shed).toBeGreaterThan(120)
    expect(shed).toBeLessThan(200)
    expect(mesh.stat('outrigger_overload_shed_requests_total')).toBe(shed)
    // Above nine tenths of the threshold it goes on, with the least share.
    used.heap = 0.82
    mesh.advance(10_000)
    expect(active(mesh, 'shed')).toBe(1)
    used.heap = 0.8
    mesh.advance(2000)
    expect(active(mesh, 'shed')).toBe(1)
    mesh.advance(1500)
    expect(active(mesh, 'shed')).toBe(0)
    for (let i = 0; i < 50; i++) expect(ask(mesh).status).toBe(200)
    expect(events(mesh).filter(({ action }) => action === 'shed')).toEqual([
      { kind: 'overload', action: 'shed', isOn: true, detail: 'its heap is in use to 92 %' },
      { kind: 'overload', action: 'shed', isOn: false, detail: '' },
    ])
    expectQuiet(mesh)
  })

  test('takes the low ones first, and the high ones last', async () => {
    const { mesh, used } = await started(spec, { priority: { header: 'x-priority', usual: 'normal' } })
    used.heap = 0.92
    mesh.advance(3500)
    const shed = (priority: string) => {
      let count = 0
      for (let i = 0; i < 300; i++) {
        const caller = mesh.caller()
        caller.send(`GET / HTTP/1.1\r\nHost: orders\r\nx-priority: ${priority}\r\n\r\n`)
        mesh.settle()
        if (caller.last.status === 503) count++
        caller.close()
      }
      return count / 300
    }
    // 40 % of the normal ones.
    expect(shed('high')).toBe(0)
    expect(shed('normal')).toBeGreaterThan(0.3)
    expect(shed('normal')).toBeLessThan(0.5)
    expect(shed('low')).toBeGreaterThan(0.7)
    expect(shed('low')).toBeLessThan(0.9)
  })

  test('says when to come again, and what is short', async () => {
    const { mesh, used } = await started()
    const open = mesh.caller()
    used.heap = 0.99
    mesh.advance(3500)
    open.get()
    mesh.settle()
    expect(open.last.status).toBe(503)
    expect(open.last.header('retry-after')).toBe('1')
    expect(open.last.header('x-outrigger-overloaded')).toBe('true')
    expect(JSON.parse(open.last.text)).toMatchObject({ flag: 'OM', detail: 'its heap is in use to 99 %' })
    expect(mesh.flight).toMatchObject({ flag: 'OM', failure: 'overloaded', detail: 'its heap is in use to 99 %' })
    expect(mesh.upstream(A).requests).toEqual([])
  })

  test('is explained without being counted', async () => {
    const { mesh, used } = await started()
    used.heap = 0.99
    mesh.advance(3500)
    const question = { what: 'explain', method: 'GET', url: '/', headers: [], listener: null } as const
    mesh.thread.receive({ kind: 'ask', id: 7, question })
    const found = mesh.messages.findLast(message => message.kind === 'answer' && message.id === 7)
    const { record, steps } = (found as { readonly answer: ExplainAnswer }).answer
    expect(record).toMatchObject({ status: 503, flag: 'OM' })
    expect(steps.map(({ text }) => text)).toContain(
      'overload: 100 % of the requests are shed: its heap is in use to 99 %',
    )
    expect(mesh.stat('outrigger_overload_shed_requests_total')).toBe(0)
  })
})

describe('connections', () => {
  test('from closeAt on carry one more answer, and as many as they like when it is over', async () => {
    const { mesh, used } = await started()
    const [kept, idle] = [mesh.caller(), mesh.caller()]
    kept.get()
    idle.get()
    const http2 = mesh.http2Caller()
    http2.ask({ method: 'GET', path: '/' })
    mesh.settle()
    used.descriptors = 0.9
    mesh.advance(3500)
    kept.get()
    mesh.settle()
    expect(kept.statuses).toEqual([200, 200])
    expect(kept.last.header('connection')).toBe('close')
    expect(http2.over).toBe(true)
    mesh.advance(6000)
    expect(idle.gotEnd).toBe(true)
    expect(ask(mesh).header('connection')).toBe('close')
    expect(active(mesh, 'close')).toBe(1)
    used.descriptors = 0.5
    mesh.advance(3500)
    const later = mesh.caller()
    later.get()
    mesh.settle()
    later.get()
    mesh.settle()
    expect(later.statuses).toEqual([200, 200])
    expect(later.last.header('connection')).toBeUndefined()
  })

  test('from refuseAt on are closed at once', async () => {
    const { mesh, used } = await started()
    used.descriptors = 0.96
    mesh.advance(3500)
    const caller = mesh.caller()
    mesh.settle()
    expect(caller.over).toBe(true)
    expect(mesh.stat('outrigger_overload_refused_connections_total')).toBe(1)
    used.descriptors = 0.5
    mesh.advance(3500)
    expect(ask(mesh).status).toBe(200)
  })
})

test('without a spec nothing is looked at, and a reload that takes it away ends what was on', async () => {
  const off = await started(null)
  off.used.heap = 1
  off.mesh.advance(10_000)
  expect(ask(off.mesh).status).toBe(200)
  const { mesh, used } = await started()
  used.heap = 0.99
  mesh.advance(3500)
  expect(active(mesh, 'refuse')).toBe(1)
  await mesh.apply(snapshotOf([serviceSpec('orders', [A])], [listenerSpec({ service: 'orders' })]))
  expect(active(mesh, 'refuse')).toBe(0)
  expect(ask(mesh).status).toBe(200)
})

describe('the lag of a thread', () => {
  function manager() {
    const counter = { values: new Float64Array(1), index: 0 }
    const shedding = new Shedding(counter, seeded(1))
    const relief = new Relief(counter)
    const seen: string[] = []
    const own = new OverloadManager({
      stats: statsWriter(() => {}),
      thread: 0,
      pressure: { heap: () => 0, descriptors: () => 0 },
      shedding,
      relief,
      event: event => void (event.kind === 'overload' && seen.push(`${event.action} ${event.isOn}: ${event.detail}`)),
    })
    own.configure(spec)
    return { own, shedding, relief, seen }
  }

  test('counts when it lasts: one long pause is none', () => {
    const { own, shedding, seen } = manager()
    for (const lag of [4000, 0, 3000, 2000, 10, 6000, 0]) own.look(lag)
    expect([shedding.share, seen]).toEqual([0, []])
  })

  test('of a second sheds, of five refuses all; new connections too', () => {
    const { own, shedding, relief, seen } = manager()
    for (let i = 0; i < 3; i++) own.look(2000)
    expect(shedding.share).toBe(0.25)
    expect(seen).toEqual(['shed true: the data thread is late by 2000 ms'])
    for (let i = 0; i < 3; i++) own.look(6000)
    expect([shedding.share, relief.refuses]).toEqual([1, true])
    for (let i = 0; i < 3; i++) own.look(0)
    expect([shedding.share, relief.refuses, relief.closes]).toEqual([0, false, false])
  })
})
