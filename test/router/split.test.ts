import { describe, expect, test } from 'vitest'
import type { Cluster } from '../../proxy/core/cluster.ts'
import { DecisionRecord } from '../../proxy/core/decision.ts'
import { split } from '../../proxy/router/split.ts'
import { chiSquareScore } from '../support/chi-square.ts'
import { Mesh } from '../support/mesh.ts'
import { seeded } from '../support/random.ts'
import { endpointSpec, listenerSpec, routeSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

function destinations(weights: Readonly<Record<string, number>>) {
  return Object.entries(weights).map(([name, weight]) => ({ name, weight, cluster: () => ({ name }) as Cluster }))
}

describe('a weighted split', () => {
  test.each([[{ a: 1, b: 1 }], [{ a: 5, b: 95 }], [{ a: 1, b: 2, c: 3, d: 4 }], [{ a: 1, b: 999 }]])(
    'draws by weight: %j',
    weights => {
      const random = seeded(7)
      const draw = split(destinations(weights))
      const counts: Record<string, number> = Object.fromEntries(Object.keys(weights).map(name => [name, 0]))
      for (let i = 0; i < 100_000; i++) counts[draw(random, new DecisionRecord())!.name]!++
      expect(chiSquareScore(Object.values(counts), Object.values(weights))).toBeLessThan(4)
    },
  )

  test('says what it drew, and that number leads there again', () => {
    const draw = split(destinations({ a: 1, b: 3 }))
    for (const [number, expected] of [
      [0, 'a'],
      [0.2499, 'a'],
      [0.25, 'b'],
      [0.9999999999, 'b'],
    ] as const) {
      const record = new DecisionRecord()
      expect(draw(() => number, record)!.name).toBe(expected)
      expect(record).toMatchObject({ draw: number, destination: expected })
    }
  })

  test('a weight of zero is never drawn, wherever it stands', () => {
    for (const weights of [
      { a: 0, b: 1, c: 0 },
      { a: 1, b: 0 },
      { a: 0, b: 1 },
    ]) {
      const draw = split(destinations(weights))
      for (const number of [0, 0.3, 0.999999, 1 - 2 ** -53]) {
        const name = draw(() => number, new DecisionRecord())!.name as keyof typeof weights
        expect(weights[name], `${name} of ${JSON.stringify(weights)} at ${number}`).toBeGreaterThan(0)
      }
    }
  })

  test('where there is no choice nothing is drawn', () => {
    const record = new DecisionRecord()
    const random = () => {
      throw new Error('drawn')
    }
    expect(split(destinations({ a: 1 }))(random, record)!.name).toBe('a')
    expect(record).toMatchObject({ draw: -1, destination: 'a' })
  })
})

test('subsets get their share, endpoints outside them nothing, and retries stay inside', async () => {
  const version = (address: string, v: string) => endpointSpec(address, { metadata: { version: v } })
  const service = serviceSpec(
    'orders',
    [
      version('10.0.0.1:1', 'v1'),
      version('10.0.0.2:1', 'v1'),
      version('10.0.0.3:1', 'v2'),
      version('10.0.0.4:1', 'v2'),
      endpointSpec('10.0.0.5:1'),
    ],
    {
      subsets: { v1: { version: 'v1' }, v2: { version: 'v2' } },
      routes: [
        routeSpec({
          to: [
            { service: 'orders', subset: 'v2', weight: 10 },
            { service: 'orders', subset: 'v1', weight: 90 },
          ],
        }),
      ],
    },
  )
  const mesh = await Mesh.start(snapshotOf([service], [listenerSpec({ service: 'orders' })]))
  mesh.upstream('10.0.0.3:1').connect = 'refuse'
  const caller = mesh.caller()
  for (let i = 0; i < 3000; i++) {
    caller.get()
    mesh.settle()
  }
  expect(caller.statuses.every(status => status === 200)).toBe(true)
  const counts = [1, 2, 3, 4, 5].map(n => mesh.upstream(`10.0.0.${n}:1`).requests.length)
  expect(counts[4]).toBe(0)
  expect(chiSquareScore([counts[0]! + counts[1]!, counts[2]! + counts[3]!], [90, 10])).toBeLessThan(4)
  expect(counts[2]).toBe(0)
  expect(mesh.flight.destination).toMatch(/^orders\/v[12]$/)
})

test('a destination that names a service which is not there is a 503 NC, one that has no endpoint a 503 UH', async () => {
  const to = (service: string, subset: string | null = null) => [{ service, subset, weight: 1 }]
  const services = [
    serviceSpec('orders', ['10.0.0.1:1'], { routes: [routeSpec({ to: to('nobody') })] }),
    serviceSpec('stock', [], {}),
    serviceSpec('web', ['10.0.0.1:1'], {
      subsets: { v9: { version: 'v9' } },
      routes: [routeSpec({ to: to('web', 'v9') })],
    }),
  ]
  const mesh = await Mesh.start(snapshotOf(services))
  for (const [host, flag] of [
    ['orders', 'NC'],
    ['stock', 'UH'],
    ['web', 'UH'],
    ['other', 'NR'],
  ] as const) {
    const caller = mesh.caller().send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    mesh.settle()
    expect(caller.statuses).toEqual([flag === 'NR' ? 404 : 503])
    expect(mesh.flight.flag).toBe(flag)
  }
})
