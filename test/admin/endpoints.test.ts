import { describe, expect, test } from 'vitest'
import { byHandPages } from '../../proxy/admin/by-hand.ts'
import { endpointsPage } from '../../proxy/admin/endpoints.ts'
import type { EndpointsAnswer, Question } from '../../proxy/core/channel.ts'
import type { ServiceStatus } from '../../proxy/core/source.ts'
import { ask, endpoint, json, service, threads } from '../support/pages.ts'

const page = (answer: EndpointsAnswer, ...status: ServiceStatus[]) => endpointsPage(threads([answer]), () => status)

describe('/endpoints', () => {
  test('reads as a table', async () => {
    const answer = service('orders', [
      endpoint('127.0.0.1:9001', {
        requests: 1_200,
        active: 2,
        p50Ms: 0.4,
        p99Ms: 12.3,
        metadata: { version: 'v2', build: '7' },
      }),
      endpoint('127.0.0.1:9002', {
        requests: 300,
        failures: 5,
        weight: 3,
        zone: 'b',
        state: 'ejected',
        ejectedForMs: 8_200,
        reason: '5 gateway failures in a row',
      }),
      endpoint('127.0.0.1:9003', { requests: 0, health: 'draining', state: 'probing', reason: 'it was slow' }),
    ])
    expect((await ask(page(answer))).body).toBe(
      [
        'orders  least_request, 1 of 3 endpoints usable, 1 active',
        '  ENDPOINT        WEIGHT  ZONE  HEALTH    ACTIVE  CONNS  IDLE  PENDING     REQUESTS  FAILED      P50      P99  STATE                                                 METADATA',
        '  127.0.0.1:9001       1  -     passing        2      1     1        0  1,200 (80%)       0  0.40 ms  12.3 ms  admitting                                             version=v2 build=7',
        '  127.0.0.1:9002       3  b     passing        0      1     1        0    300 (20%)       5   1.0 ms   2.0 ms  ejected for 8.20 s more: 5 gateway failures in a row',
        '  127.0.0.1:9003       1  -     draining       0      1     1        0       0 (0%)       0        -        -  probing (was ejected: it was slow)',
        '',
      ].join('\n'),
    )
  })

  test('data threads are one: sums, the worst state, the slower tail; what one has alone is kept', async () => {
    const both = endpointsPage(
      threads([
        service('orders', [endpoint('a:1', { requests: 10, active: 1, p50Ms: 1, p99Ms: 5 }), endpoint('b:1')]),
        service('orders', [
          endpoint('a:1', {
            requests: 30,
            active: 2,
            p50Ms: 3,
            p99Ms: 4,
            state: 'ejected',
            reason: 'why',
            ejectedForMs: 5,
          }),
          endpoint('c:1'),
        ]),
      ]),
      () => [],
    )
    const { services } = (await json(both)) as unknown as EndpointsAnswer
    expect(services).toHaveLength(1)
    expect(services[0]).toMatchObject({ name: 'orders', active: 2 })
    expect(services[0]!.endpoints.map(({ address }) => address)).toEqual(['a:1', 'b:1', 'c:1'])
    expect(services[0]!.endpoints[0]).toMatchObject({
      requests: 40,
      active: 3,
      connections: 2,
      state: 'ejected',
      reason: 'why',
      p50Ms: 2.5,
      p99Ms: 5,
    })
  })

  test('one service, or that there is none', async () => {
    const none = page(service('orders', []))
    expect((await ask(none, 'service=orders')).body).toContain('none: requests are answered with 503 UH')
    expect((await ask(none, 'service=nix')).body).toBe('no service is called nix\n')
  })

  test('a service says where its endpoints were found, and what balancing does beyond its policy', async () => {
    const status: ServiceStatus = {
      name: 'orders',
      endpoints: 3,
      known: 3,
      fixed: 0,
      sources: [
        { name: 'consul', state: 'fresh', ageMs: 3_200, trouble: '', endpoints: 3, suspects: 1, fromDisk: false },
        {
          name: 'dns orders.internal',
          state: 'stale',
          ageMs: 7_200_000,
          trouble: 'SERVFAIL',
          endpoints: 1,
          suspects: 0,
          fromDisk: true,
        },
        {
          name: 'file a.json',
          state: 'waiting',
          ageMs: null,
          trouble: 'no such file',
          endpoints: 0,
          suspects: 0,
          fromDisk: false,
        },
      ],
    }
    const lines = (
      await ask(
        page(
          service(
            'orders',
            [endpoint('a:1', { weight: 4, effectiveWeight: 0.4, warming: true, priority: 1 })],
            ['panic: below 50 % healthy'],
          ),
          status,
        ),
      )
    ).body.split('\n')
    expect(lines.slice(1)).toEqual([
      '  from consul: 3 endpoints, 1 of them left out by it but still answering, confirmed 3.20 s ago',
      '  from dns orders.internal: STALE, 2h 0m ago (read from the disk): 1 endpoint kept: SERVFAIL',
      '  from file a.json: no answer yet: no such file',
      '  panic: below 50 % healthy',
      '  ENDPOINT     WEIGHT  PRIORITY  ZONE  HEALTH               ACTIVE  CONNS  IDLE  PENDING   REQUESTS  FAILED     P50     P99  STATE      METADATA',
      '  a:1       4 as 0.40         1  -     passing, warming up       0      1     1        0  10 (100%)       0  1.0 ms  2.0 ms  admitting',
      '',
    ])
  })

  describe('with 300 endpoints', () => {
    const many = Array.from({ length: 300 }, (_, i) =>
      endpoint(`10.0.0.${i}:80`, {
        zone: i % 3 === 0 ? 'a' : 'b',
        requests: i,
        p99Ms: i % 97,
        ...(i === 200 && { state: 'ejected', ejectedForMs: 9_000, reason: 'resets' }),
        ...(i === 201 && { health: 'critical', healthReason: 'check http: 500' }),
      }),
    )
    const large = page(service('orders', many))

    test('text sums up, and shows first what wants looking at', async () => {
      const lines = (await ask(large)).body.split('\n')
      expect(lines[0]).toBe('orders  least_request, 298 of 300 endpoints usable, 1 active')
      expect(lines[1]).toBe('  zone a: 99 usable, 1 critical; zone b: 199 usable, 1 ejected')
      expect(lines[3]).toContain('ejected for 9.00 s more: resets')
      expect(lines[4]).toContain('check http: 500')
      expect(lines).toHaveLength(3 + 40 + 2)
      expect(lines.at(-2)).toBe('  and 260 more: ?service=orders&limit=all shows all, ?only=, ?zone= and ?sort= choose')
    })

    test.each([
      ['limit=all', 300, '10.0.0.0:80'],
      ['limit=2&sort=requests', 2, '10.0.0.299:80'],
      ['sort=-requests&limit=3&zone=b', 3, '10.0.0.1:80'],
      ['only=ejected', 1, '10.0.0.200:80'],
      ['only=unusable', 2, '10.0.0.200:80'],
      ['sort=address&limit=1', 1, '10.0.0.0:80'],
    ])('%s', async (query, length, first) => {
      const { services } = (await json(large, query)) as unknown as EndpointsAnswer
      expect(services[0]!.endpoints).toHaveLength(length)
      expect(services[0]!.endpoints[0]!.address).toBe(first)
      const rows = (await ask(large, query)).body.split('\n').filter(line => line.startsWith('  10.0.'))
      expect(rows).toHaveLength(length)
      expect(rows[0]).toContain(first)
    })

    test('JSON has all of them, and how many were chosen', async () => {
      const { services } = (await json(large, 'only=critical')) as unknown as {
        services: { total: number; endpoints: unknown[] }[]
      }
      expect([services[0]!.total, services[0]!.endpoints.length]).toEqual([1, 1])
      expect(((await json(large)) as unknown as EndpointsAnswer).services[0]!.endpoints).toHaveLength(300)
    })

    test('nothing chosen is said', async () => {
      expect((await ask(large, 'zone=c&only=ejected')).body).toContain('none of them is ejected and in zone c')
    })
  })

  test.each([
    ['sort=size', 'sort=size is unknown: write one of address, zone,'],
    ['only=good', 'only=good is unknown: write one of usable,'],
    ['limit=few', 'limit=few is no number'],
    ['srevice=a', 'there is no parameter "srevice"'],
  ])('%s is refused', async (query, message) => {
    const answer = await ask(page(service('orders', [])), query)
    expect([answer.status, answer.body]).toEqual([400, expect.stringContaining(message)])
  })
})

describe('an ejection', () => {
  const evidence = [
    { what: 'status 503', requestId: 'abc', agoMs: 1_200 },
    { what: 'connect-refused', requestId: '', agoMs: 40 },
  ]

  test('shows the last failures, also where one thread alone has seen them', async () => {
    const ejected = { state: 'ejected', reason: '5 consecutive failures', ejectedForMs: 5_000 } as const
    const page = endpointsPage(
      threads([
        service('orders', [endpoint('a:1', ejected), endpoint('b:1')]),
        service('orders', [endpoint('a:1', { ...ejected, evidence }), endpoint('b:1', { evidence })]),
      ]),
      () => [],
    )
    const text = (await ask(page)).body
    expect(text).toContain('  last failures of a:1: status 503 1200 ms ago (request abc), connect-refused 40 ms ago\n')
    // It is in use: nothing is held against it.
    expect(text).not.toContain('last failures of b:1')
    const { services } = (await json(page)) as unknown as EndpointsAnswer
    expect(services[0]!.endpoints[0]).toMatchObject({ evidence })
    const { body } = await ask(page, '', 'html')
    expect(body).toContain('last failures: status 503 1200 ms ago (request abc)')
  })

  test('by an operator says so, and one of mode: shadow is none', async () => {
    const answer = service('orders', [
      endpoint('a:1', { state: 'ejected', byHand: 'yes', ejectedForMs: 60_000 }),
      endpoint('b:1', { state: 'ejected', byHand: 'forced', ejectedForMs: 60_000 }),
      endpoint('c:1', { shadowForMs: 9_000, reason: '5 consecutive failures', evidence }),
    ])
    const text = (await ask(page(answer))).body
    expect(text).toContain('ejected by an operator for 1m 0s more')
    expect(text).toContain('ejected by an operator, by force, for 1m 0s more')
    expect(text).toContain('admitting; would be ejected (mode: shadow) for 9.00 s more: 5 consecutive failures')
    expect(text).toContain('1 of 3 endpoints usable')
    const only = (await json(page(answer), 'only=held')) as unknown as EndpointsAnswer
    expect(only.services[0]!.endpoints.map(({ address }) => address)).toEqual(['a:1', 'b:1'])
  })
})

describe('/endpoints/eject and /endpoints/admit', () => {
  const pages = (answers: Parameters<typeof threads>[0], asked: Question[] = []) => byHandPages(threads(answers, asked))
  const where = 'service=orders&endpoint=10.0.0.3:80'
  const done = { done: true, why: '' }

  test('ask every data thread; what one has done is done', async () => {
    const asked: Question[] = []
    const [eject, admit] = pages([{ done: false, why: 'a:1 is not ejected' }, done], asked)
    expect(await ask(eject!, `${where}&for=90s`, null, 'POST')).toMatchObject({
      status: 200,
      body: '10.0.0.3:80 of orders is ejected for 90s\n',
    })
    expect((await ask(admit!, where, null, 'POST')).body).toBe('10.0.0.3:80 of orders is admitted\n')
    expect(asked).toEqual([
      { what: 'by-hand', service: 'orders', endpoint: '10.0.0.3:80', ejectForMs: 90_000, force: false },
      { what: 'by-hand', service: 'orders', endpoint: '10.0.0.3:80', ejectForMs: null, force: false },
    ])
  })

  test('are refused where the data threads refuse, and where the question is wrong', async () => {
    const [eject] = pages([{ done: false, why: 'it is the last' }])
    expect(await ask(eject!, where, 'json', 'POST')).toMatchObject({
      status: 409,
      body: expect.stringContaining('the last'),
    })
    for (const wrong of ['for=0', 'for=soon', 'for=25h', 'for=100ms'])
      expect(await ask(eject!, `${where}&${wrong}`, null, 'POST')).toMatchObject({ status: 400 })
    expect(await ask(eject!, 'service=orders', null, 'POST')).toMatchObject({ status: 400 })
    expect(eject!.methods).toEqual(['POST'])
  })
})
