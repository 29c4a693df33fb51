import { describe, expect, test } from 'vitest'
import type { ExplainAnswer, ToControl } from '../../proxy/core/channel.ts'
import { type Mesh, nextMicrotasks } from '../support/mesh.ts'
import { A, FOREIGN, request, transparent } from '../support/redirected.ts'

describe('an explanation', () => {
  const explained = async (mesh: Mesh, url: string, to?: string): Promise<ExplainAnswer> => {
    const question = { what: 'explain', method: 'GET', url, headers: [], listener: null } as const
    mesh.thread.receive({ kind: 'ask', id: 7, question: to === undefined ? question : { ...question, to } })
    await nextMicrotasks()
    const answer = mesh.messages.findLast(message => message.kind === 'answer')
    return (answer as Extract<ToControl, { kind: 'answer' }>).answer as ExplainAnswer
  }

  test.each([
    ['http://www.example.com/', FOREIGN, 'original', 'PassthroughCluster', 'it goes on to where it was going'],
    ['http://www.example.com/', A, 'address', 'orders', `${A} belongs to it`],
    ['http://orders/', FOREIGN, 'host', 'orders', 'found by host'],
    ['http://10.0.0.7:8080/', undefined, 'address', 'orders', `${A} belongs to it`],
    ['tcp://10.0.0.9:7000', undefined, 'address', 'db', '10.0.0.9:7000 belongs to it'],
    ['http://mail.example.com/', '192.0.2.25:25', 'original', 'PassthroughCluster', 'no server name is given'],
  ])('%s to %s goes by its %s to %s', async (url, to, by, service, text) => {
    const mesh = await transparent()
    const { record, steps } = await explained(mesh, url, to)
    expect(record).toMatchObject({ by, service, failure: '' })
    expect(steps.map(step => step.text).join('\n')).toContain(text)
    expect(mesh.upstreams.every(({ dials }) => dials === 0)).toBe(true)
  })

  test('what may not be reached is refused there too', async () => {
    const mesh = await transparent('passThrough: deny')
    const { record, steps } = await explained(mesh, 'http://www.example.com/', FOREIGN)
    expect(record).toMatchObject({ flag: 'UAEX', status: 403 })
    expect(steps.map(step => step.text).join('\n')).toContain('passThrough does not allow it')
  })

  test.each(['orders:80', '10.0.0.7', '10.0.0.7:0'])('"%s" is no address', async to => {
    const mesh = await transparent()
    expect((await explained(mesh, 'http://orders/', to)).error).toContain('is not an address with a port')
  })
})

describe('virtual addresses', () => {
  test('lead to their service on any port; one that is not there yet is asked for', async () => {
    const mesh = await transparent('', '', { onDemandMs: 2_000 })
    const put = [
      ['240.64.0.1', 'orders'],
      ['240.64.0.2', 'later'],
    ] as const
    mesh.thread.receive({ kind: 'virtual-addresses', id: 1, put, drop: [] })
    expect(request(mesh, '240.64.0.1:9', '240.64.0.1:9').statuses).toEqual([200])
    expect(mesh.flight).toMatchObject({ by: 'address', service: 'orders' })
    request(mesh, '240.64.0.2:80', '240.64.0.2')
    expect(mesh.messages).toContainEqual({ kind: 'want', service: 'later' })
  })
})

describe('in Kubernetes', () => {
  const registered = { hosts: ['orders'], port: 80, isUsual: true, otherPorts: [9090], addresses: ['10.96.0.5:80'] }
  const wanted = (mesh: Mesh) => mesh.messages.flatMap(message => (message.kind === 'want' ? [message.service] : []))
  const cluster = () =>
    transparent('', '', ({ services }) => ({
      onDemandMs: 2_000,
      clusterDomain: 'cluster.local',
      services: { ...services, orders: { ...services.orders!, registered } },
    }))

  test('the address of a Service leads to it, whatever the name', async () => {
    const mesh = await cluster()
    expect(request(mesh, '10.96.0.5:80', 'www.example.com').statuses).toEqual([200])
    expect(mesh.flight).toMatchObject({ by: 'address', service: 'orders' })
  })

  test('an address that nothing is known of is asked for, and goes on to where it was going', async () => {
    const mesh = await cluster()
    const caller = request(mesh, FOREIGN, 'www.example.com')
    expect(wanted(mesh)).toEqual([FOREIGN])
    mesh.thread.receive({ kind: 'unknown-service', service: FOREIGN, why: { certain: true, reason: 'none' } })
    await nextMicrotasks()
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expect(mesh.flight).toMatchObject({ by: 'original' })
    request(mesh, FOREIGN, 'www.example.com')
    expect(wanted(mesh)).toEqual([FOREIGN])
  })

  test('another port of the Service is another service, which is asked for', async () => {
    const mesh = await cluster()
    request(mesh, '10.96.0.5:9090', 'orders:9090')
    expect(wanted(mesh)).toEqual(['orders:9090'])
    mesh.thread.receive({ kind: 'virtual-addresses', id: 1, put: [['240.64.0.1', 'orders']], drop: [] })
    request(mesh, '240.64.0.1:9090', '240.64.0.1')
    expect(wanted(mesh)).toEqual(['orders:9090'])
    expect(request(mesh, '240.64.0.1:80', '240.64.0.1').statuses).toEqual([200])
  })
})

describe('names that Consul may know', () => {
  const unknown = { certain: true, reason: 'Consul knows no service "legacy"' }
  const wants = (mesh: Mesh) => mesh.messages.filter(({ kind }) => kind === 'want').length

  test('are looked up once, and go on to their address when they are not known', async () => {
    const mesh = await transparent('', '', { onDemandMs: 2_000 })
    const caller = request(mesh, FOREIGN, 'legacy')
    expect([wants(mesh), caller.statuses]).toEqual([1, []])
    // Another name does not wait for it.
    expect(request(mesh, FOREIGN, 'www.example.com').statuses).toEqual([200])
    mesh.thread.receive({ kind: 'unknown-service', service: 'legacy', why: unknown })
    await nextMicrotasks()
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expect(mesh.flight).toMatchObject({ by: 'original', notes: [`on demand: ${unknown.reason}`] })
    expect(request(mesh, FOREIGN, 'legacy').statuses).toEqual([200])
    expect(wants(mesh)).toBe(1)
    mesh.advance(2_000)
    request(mesh, FOREIGN, 'legacy')
    expect(wants(mesh)).toBe(2)
  })

  test('names of elsewhere are not looked up at all', async () => {
    const mesh = await transparent('', '', { onDemandMs: 2_000 })
    for (let i = 0; i < 50; i++) request(mesh, FOREIGN, `site-${i}.example.com`)
    expect(wants(mesh)).toBe(0)
  })
})
