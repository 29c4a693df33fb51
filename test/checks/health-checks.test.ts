import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Outcome } from '../../proxy/checks/checker.ts'
import { EndpointCheck } from '../../proxy/checks/endpoint-check.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { endpointSpec } from '../support/specs.ts'
import { respond, silent } from '../support/upstream.ts'
import { checked, checking, healthSpec, httpCheck } from './support/checked.ts'

const [A, B] = ['10.0.0.1:80', '10.0.0.2:80'] as const
const answer = (status: number) => respond(`HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`)

describe('the state of an endpoint', () => {
  test('is what discovery says until its first check, which counts at once', () => {
    const { mesh, pass, states } = checked(healthSpec(), [A, B])
    mesh.upstream(B).connect = 'refuse'
    expect(states()).toEqual({ [A]: 'passing', [B]: 'passing' })
    pass(300)
    expect(states()).toEqual({ [A]: 'passing', [B]: 'failing: GET http://10.0.0.2:80/healthz: ECONNREFUSED' })
  })

  test('changes after failures in a row, and back after successes in a row', () => {
    const { mesh, pass, states, log } = checked(healthSpec(), [A])
    pass(1_000)
    const endpoint = mesh.upstream(A)
    endpoint.answer = answer(500)
    pass(10_000)
    expect(states()[A]).toBe('passing')
    endpoint.answer = answer(200)
    pass(5_000)
    endpoint.answer = answer(500)
    pass(10_000)
    expect(states()[A]).toBe('passing')
    pass(5_000)
    expect(states()[A]).toBe('failing: GET http://10.0.0.1:80/healthz answers 500')
    endpoint.answer = answer(200)
    pass(5_000)
    expect(states()[A]).not.toBe('passing')
    pass(5_000)
    expect(states()[A]).toBe('passing')
    expect(log.lines()).toEqual([
      'warn orders: 10.0.0.1:80 is unhealthy: GET http://10.0.0.1:80/healthz answers 500 service=orders endpoint=10.0.0.1:80',
      'info orders: 10.0.0.1:80 is healthy service=orders endpoint=10.0.0.1:80',
    ])
  })

  test('changes at once where the endpoint itself says that it is not to be used', () => {
    const { mesh, pass, states } = checked(healthSpec(), [A])
    pass(1_000)
    mesh.upstream(A).answer = answer(503)
    pass(5_000)
    expect(states()[A]).toBe('failing: GET http://10.0.0.1:80/healthz answers 503')
  })

  test('stays where this machine could not ask', () => {
    const { mesh, pass, states, checks } = checked(healthSpec(), [A])
    mesh.upstream(A).connect = 'lack'
    pass(60_000)
    expect(states()[A]).toBe('passing')
    expect(checks.status()[0]).toMatchObject({ unchecked: 1, counts: { local: 12, failed: 0 } })
    mesh.upstream(A).connect = 'refuse'
    pass(5_000)
    expect(states()[A]).toContain('ECONNREFUSED')
  })

  test('adds nothing to what discovery has against an endpoint, and keeps its doubts', () => {
    const { mesh, pass, checks } = checked(healthSpec(), [A])
    mesh.upstream(A).connect = 'refuse'
    pass(200)
    const critical = endpointSpec(A, { health: 'critical', healthReason: 'disk full' })
    expect(checks.overlay('orders', [critical])).toEqual([critical])
    const doubted = endpointSpec(A, { healthReason: 'left out' })
    expect(checks.overlay('orders', [doubted])[0]!.healthReason).toBe(
      'GET http://10.0.0.1:80/healthz: ECONNREFUSED; left out',
    )
  })

  test('keeps the same objects while nothing changes', () => {
    const { mesh, pass, checks } = checked(healthSpec(), [A, B])
    mesh.upstream(A).connect = 'refuse'
    const specs = [A, B].map(name => endpointSpec(name))
    pass(300)
    const shown = checks.overlay('orders', specs)
    pass(20_000)
    expect(checks.overlay('orders', specs)[0]).toBe(shown[0])
    expect(shown[1]).toBe(specs[1])
    expect(checks.overlay('users', specs)).toBe(specs)
  })

  test('is what a model of it says, whatever the results are', () => {
    const kinds = fc.constantFrom<Outcome['kind']>('healthy', 'unhealthy', 'failed', 'local')
    const between = fc.integer({ min: 1, max: 5 })
    fc.assert(
      fc.property(fc.array(kinds, { maxLength: 60 }), between, between, (results, unhealthyAfter, healthyAfter) => {
        const loop = new EventLoop()
        const told: string[] = []
        let at = 0
        const check = new EndpointCheck(
          A,
          { check: (_ms, done) => void loop.after(1, () => done({ kind: results[at++]!, trouble: 'x' })), stop() {} },
          {
            spec: healthSpec({ unhealthyAfter, healthyAfter }),
            line: { ask: asking => void (at < results.length && asking.begin()), done() {}, waiting: () => 0 },
            clock: manualClock(loop),
            random: () => 0.5,
            intervalMs: () => 1_000,
            counted() {},
            changed: ({ state }) => told.push(state),
          },
        )
        check.within(0)
        loop.advance(1_000 * (results.length + 2))

        let model = 'unchecked'
        let inRow: Outcome['kind'][] = []
        const changes: string[] = []
        for (const kind of results.filter(each => each !== 'local')) {
          const isGood = kind === 'healthy'
          if (inRow.length > 0 && (inRow[0] === 'healthy') !== isGood) inRow = []
          inRow.push(kind)
          const to = isGood ? 'healthy' : 'unhealthy'
          const enough =
            model === 'unchecked' || kind === 'unhealthy' || inRow.length >= (isGood ? healthyAfter : unhealthyAfter)
          if (to === model || !enough) continue
          if (model !== 'unchecked' || to === 'unhealthy') changes.push(to)
          model = to
        }
        expect(check.state).toBe(model)
        expect(told).toEqual(changes)
      }),
    )
  })
})

describe('when checks are made', () => {
  test('those of endpoints that come together are spread, and so are all after them', () => {
    const endpoints = Array.from({ length: 1_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}:80`)
    const { mesh, pass } = checked(healthSpec({ jitterPercent: 10 }), endpoints)
    const counts: number[] = []
    const dials = () => mesh.upstreams.reduce((sum, { requests }) => sum + requests.length, 0)
    for (let before = 0, i = 0; i < 100; i++) {
      pass(100)
      counts.push(dials() - before)
      before = dials()
    }
    expect(Math.max(...counts)).toBeLessThan(150)
    expect(counts.slice(0, 10).every(count => count > 50)).toBe(true)
    expect(dials()).toBeGreaterThan(1_900)
  })

  test('a service without requests is checked less often, and at its pace soon after the first', () => {
    const { mesh, checks, pass } = checked(healthSpec({ noTrafficMs: 60_000 }), [A])
    const endpoint = mesh.upstream(A)
    pass(119_000)
    expect(endpoint.requests.length).toBe(2)
    checks.used(new Map([['orders', 0]]))
    checks.used(new Map([['orders', 1]]))
    pass(200)
    expect(endpoint.requests.length).toBe(3)
    pass(55_000)
    expect(endpoint.requests.length).toBe(14)
    expect(checks.status()[0]!.isQuiet).toBe(false)
    checks.used(new Map([['orders', 1]]))
    pass(120_000)
    expect(endpoint.requests.length).toBeLessThanOrEqual(18)
    expect(checks.status()[0]).toMatchObject({ isQuiet: true, intervalMs: 60_000 })
  })

  test('one of a quiet service that may have changed is looked at again at the usual pace', () => {
    const { mesh, states, pass } = checked(healthSpec({ noTrafficMs: 60_000 }), [A])
    pass(200)
    mesh.upstream(A).connect = 'refuse'
    mesh.upstream(A).last.close()
    pass(60_000)
    expect(states()[A]).toBe('passing')
    pass(10_100)
    expect(states()[A]).toContain('ECONNREFUSED')
  })
})

describe('a bad neighbour', () => {
  test.each([
    ['never answers', { answer: silent }],
    ['takes no connection', { connect: 'ignore' as const }],
  ])('a service whose 2,000 endpoints all hang does not hold up the checks of another: it %s', (_what, behaviour) => {
    const bad = Array.from({ length: 2_000 }, (_, i) => `10.1.${i >> 8}.${i & 255}:80`)
    const { mesh, pass, states, checks } = checked(
      {
        bad: healthSpec({ intervalMs: 1_000, noTrafficMs: 1_000 }),
        orders: healthSpec({ intervalMs: 1_000, noTrafficMs: 1_000 }),
      },
      { bad, orders: [A, B] },
    )
    for (const name of bad) Object.assign(mesh.upstream(name), behaviour)
    pass(20_000)
    const [first, second] = checks.status()
    expect(first!.waiting).toBeGreaterThan(1_000)
    expect(second).toMatchObject({ name: 'orders', healthy: 2, waiting: 0 })
    expect(mesh.upstream(A).requests.length).toBeGreaterThanOrEqual(20)
    // What hangs is bounded.
    expect(first!.counts.failed).toBeLessThanOrEqual(20 * 256)
    mesh.upstream(B).answer = answer(503)
    pass(1_100)
    expect(states('orders')[B]).toContain('503')
  })

  test('five of them together: the others have their turn all the same', () => {
    const names = (n: number) => Array.from({ length: 400 }, (_, i) => `10.${n}.${i >> 8}.${i & 255}:80`)
    const bad = Object.fromEntries([1, 2, 3, 4, 5].map(n => [`bad${n}`, names(n)]))
    const spec = healthSpec({ intervalMs: 1_000, noTrafficMs: 1_000 })
    const { mesh, pass } = checked(
      { ...Object.fromEntries(Object.keys(bad).map(name => [name, spec])), orders: spec },
      { ...bad, orders: [A] },
    )
    for (const name of Object.values(bad).flat()) mesh.upstream(name).answer = silent
    pass(30_000)
    expect(mesh.upstream(A).requests.length).toBeGreaterThanOrEqual(14)
  })

  test('an endpoint that answers without end changes nothing for the next one', () => {
    const { mesh, pass, checks } = checked(healthSpec({ intervalMs: 1_000, noTrafficMs: 1_000 }), [A, B])
    mesh.upstream(A).answer = (_request, end) => {
      end.send('HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n')
      for (let i = 0; i < 100; i++) end.send('x'.repeat(60_000))
    }
    pass(10_000)
    expect(mesh.upstream(B).requests.length).toBe(10)
    expect(mesh.upstream(A).open.length).toBe(0)
    expect(checks.status()[0]).toMatchObject({ healthy: 2, counts: { failed: 0, unhealthy: 0 } })
  })
})

test('at most 1,000 connections are kept, and one that closes gives its place to another', () => {
  const endpoints = Array.from({ length: 1_200 }, (_, i) => `10.0.${i >> 8}.${i & 255}:80`)
  const { mesh, pass } = checked(healthSpec(), endpoints)
  const open = () => mesh.upstreams.reduce((sum, upstream) => sum + upstream.open.length, 0)
  pass(5_000)
  expect(open()).toBe(1_000)
  for (const { open: ends } of mesh.upstreams) for (const end of ends) end.close()
  pass(1)
  expect(open()).toBe(0)
  pass(5_000)
  expect(open()).toBe(1_000)
})

describe('a reload', () => {
  test('keeps what is known of endpoints that stay, also where they are checked in another way', () => {
    const { mesh, checks, pass, states, changed } = checked(healthSpec(), [A, B])
    mesh.upstream(A).connect = 'refuse'
    pass(300)
    checks.configure(checking({ orders: healthSpec() }, mesh.dial))
    checks.follow(
      'orders',
      [A, B].map(name => endpointSpec(name)),
    )
    expect(states()[A]).toContain('ECONNREFUSED')
    checks.configure(checking({ orders: healthSpec({ check: httpCheck({ path: '/ready' }) }) }, mesh.dial))
    expect(states()[A]).toContain('ECONNREFUSED')
    mesh.upstream(A).connect = 'accept'
    // The first result of the new check decides alone.
    pass(200)
    expect(states()).toEqual({ [A]: 'passing', [B]: 'passing' })
    expect(mesh.upstream(B).requests.at(-1)!.target).toBe('/ready')
    expect(changed).toEqual(['orders', 'orders'])
  })

  test('without checks: everything is as discovery says, and nothing is open', () => {
    const { mesh, checks, pass, states } = checked(healthSpec(), [A, B])
    mesh.upstream(A).answer = answer(503)
    pass(300)
    checks.configure(new Map())
    expect(states()).toEqual({ [A]: 'passing', [B]: 'passing' })
    pass(60_000)
    expect(mesh.upstreams.map(({ open, requests }) => [open.length, requests.length])).toEqual([
      [0, 1],
      [0, 1],
    ])
  })

  test('endpoints that leave are checked no more, in the middle of a check too', () => {
    const { mesh, checks, pass } = checked(healthSpec(), [A, B])
    mesh.upstream(A).answer = silent
    pass(300)
    checks.follow('orders', [endpointSpec(B)])
    pass(30_000)
    expect(mesh.upstream(A).requests.length).toBe(1)
    expect(mesh.upstream(A).open.length).toBe(0)
    expect(checks.status()[0]).toMatchObject({ healthy: 1, unhealthy: 0, unchecked: 0 })
  })
})

describe('what is known', () => {
  test('is inherited by the next process, whose first check decides', () => {
    const { mesh, checks, pass, states } = checked(healthSpec(), [A, B], {
      orders: { [A]: 'answers 503', [B]: 'gone' },
    })
    expect(states()).toEqual({ [A]: 'failing: answers 503', [B]: 'failing: gone' })
    mesh.upstream(B).connect = 'refuse'
    pass(300)
    expect(states()[A]).toBe('passing')
    expect(checks.unhealthy()).toEqual({ orders: { [B]: 'gone' } })
  })

  test('is told for each endpoint', () => {
    const { mesh, checks, pass } = checked(healthSpec(), [A, B])
    mesh.upstream(B).answer = answer(503)
    pass(1_000)
    mesh.upstream(A).answer = answer(500)
    pass(5_000)
    const status = checks.status()[0]!
    expect(status).toMatchObject({ name: 'orders', check: 'GET /healthz', healthy: 1, unhealthy: 1, unchecked: 0 })
    expect(status.endpoint(A)).toMatchObject({
      state: 'healthy',
      against: 1,
      needed: 3,
      trouble: 'GET http://10.0.0.1:80/healthz answers 500',
    })
    expect(status.endpoint(B)).toMatchObject({ state: 'unhealthy', against: 0, needed: 2 })
    expect(status.endpoint('10.0.0.3:80')).toBeNull()
  })

  test('a change of many is few lines of the log, and told once', () => {
    const endpoints = Array.from({ length: 300 }, (_, i) => `10.0.${i >> 8}.${i & 255}:80`)
    const { mesh, pass, log, changed } = checked(healthSpec({ intervalMs: 100 }), endpoints)
    for (const name of endpoints) mesh.upstream(name).connect = 'refuse'
    pass(200)
    expect(log.lines().length).toBeLessThanOrEqual(4 * 6)
    expect(log.lines().at(-1)).toMatch(/^warn orders: \d+ more endpoints are unhealthy, and 0 more healthy/)
    expect(changed.length).toBeLessThanOrEqual(4)
  })
})
