import { stripVTControlCharacters } from 'node:util'
import pc from 'picocolors'
import { describe, expect, test } from 'vitest'
import type { AgentStatus } from '../../agent/stats/status.ts'
import type { TopReply } from '../../agent/stats/top.ts'
import { statusLines, troublesOf } from '../../cli/status-text.ts'
import { cut, percent, span, table } from '../../cli/table.ts'
import { servicesOf, topLines } from '../../cli/top-text.ts'
import { bucketOf } from '../../proxy/core/slots.ts'

const off = pc.createColors(false)
const on = pc.createColors(true)

const policy = { service: 'orders', wanted: 'aaa', has: 'aaa', reasons: [], staleMs: 0, rollout: '' }
const proxy = {
  proxy: 'vm/web/18101',
  service: 'web',
  version: '0.1.0',
  host: 'vm',
  zone: '',
  pid: 42,
  admin: '127.0.0.1:15000',
  connected: true,
  silentMs: 10,
  policies: [policy],
}
const agent: AgentStatus = {
  host: 'vm-1',
  version: '0.1.0',
  address: '10.0.0.1:15020',
  upMs: 90_000,
  trouble: '',
  leader: true,
  proxies: [proxy],
  sources: [{ name: 'consul kv', trouble: '', ageMs: 5, documents: 3 }],
  refused: [],
  exporting: [],
  ageMs: 0,
  historyMs: 0,
}

describe('status', () => {
  test('all is good: agents, sources, proxies in a line each, and a last line', () => {
    const lines = statusLines([agent], { width: 100, all: false, colours: off })
    expect(lines.join('\n')).toMatchInlineSnapshot(`
      "agents
        ok  vm-1  0.1.0  1 proxy  up 1 min 30 s    10.0.0.1:15020

      sources
        ok  consul kv  3 documents

      proxies
        ok  vm/web/18101  vm  1 policy  pid 42 0.1.0 127.0.0.1:15000

      good  1 agent, 1 proxy, 1 policy"
    `)
  })

  test('who refused what and why, what is stale, which source and which agent is in trouble', () => {
    const policies = [
      { ...policy, wanted: 'bbb', reasons: ['orders.yaml:3: no such balancer'], staleMs: 9_000 },
      { ...policy, service: 'stock', wanted: 'ccc', staleMs: 65_000 },
      { ...policy, service: 'prices', rollout: 'step 1 of 3: 5 %, it begins' },
    ]
    const agents: AgentStatus[] = [
      {
        ...agent,
        proxies: [{ ...proxy, policies }],
        sources: [{ name: 'consul kv', trouble: 'connection refused', ageMs: 61_000, documents: 3 }],
        refused: [{ service: 'x', version: '1', at: 'policies/x.yaml', errors: ['policies/x.yaml:1:1: wrong'] }],
      },
      {
        ...agent,
        host: 'vm-2',
        address: '10.0.0.2:15020',
        trouble: 'no answer within 2 s',
        ageMs: 30_000,
        leader: false,
      },
    ]
    const text = statusLines(agents, { width: 110, all: false, colours: off }).join('\n')
    expect(text).toContain('orders  has aaa  refuses bbb: orders.yaml:3: no such balancer')
    expect(text).toContain('stock   has aaa  wants ccc for 1 min 5 s')
    expect(text).toContain('prices  has aaa  roll-out: step 1 of 3: 5 %')
    expect(text).toContain('last answer 1 min 1 s ago: connection refused')
    expect(text).toContain('policies/x.yaml:1:1: wrong')
    expect(text).toMatch(/fail {2}vm-2 .* seen 30 s ago .*no answer within 2 s/)
    expect(text).toContain('NACK')
    expect(troublesOf(agents)).toMatchObject({
      refused: 1,
      stale: 1,
      refusedDocuments: 1,
      agentsInTrouble: 1,
      isGood: false,
    })
  })

  test('a policy that is on its way is no trouble', () => {
    expect(troublesOf([{ ...agent, proxies: [{ ...proxy, policies: [{ ...policy, staleMs: 900 }] }] }]).isGood).toBe(
      true,
    )
  })
})

function reply(endpoints = 3): TopReply {
  const edge = { route: '/*', protocol: 'http1', totalMs: 0, buckets: [bucketOf(5)], bucketCounts: [100] }
  return {
    atMs: Date.UTC(2026, 0, 1, 12),
    proxies: 4,
    spanMs: 10_000,
    troubles: ['vm-2: no answer within 2 s'],
    edges: [
      {
        ...edge,
        inbound: false,
        source: 'web',
        destination: 'orders',
        retries: 20,
        counts: [
          { status: 200, flag: '-', count: 95, grpc: 0 },
          { status: 503, flag: 'UH', count: 5, grpc: 0 },
        ],
      },
      {
        ...edge,
        inbound: true,
        source: 'web',
        destination: 'orders',
        retries: 0,
        counts: [{ status: 200, flag: '-', count: 120, grpc: 0 }],
      },
      {
        ...edge,
        inbound: true,
        source: '',
        destination: 'web',
        retries: 0,
        counts: [{ status: 404, flag: '-', count: 10, grpc: 0 }],
      },
    ],
    endpoints: Array.from({ length: endpoints }, (_, i) => ({
      service: 'orders',
      endpoint: `10.0.0.${i}:8080`,
      requests: 10 * i,
      failures: 0,
      active: 0,
      proxies: 4,
      ejected: i === 0 ? 4 : i === 1 ? 1 : 0,
      health: '',
      unhealthy: 0,
      reason: '',
    })),
  }
}

describe('top', () => {
  test('a service is as its callers see it; one that no sidecar calls, as its own sidecars see it', () => {
    const { services } = servicesOf(reply(), null)
    expect(services).toMatchObject([
      { service: 'orders', perSecond: 10, success: 0.95, retriesPerSecond: 2, callers: ['web'] },
      { service: 'web', perSecond: 1, success: 1 },
    ])
    expect(servicesOf(reply(), 'web').services).toHaveLength(1)
  })

  test('the screen', () => {
    const lines = topLines(reply(), { service: null, sort: 'rate', width: 90, rows: null, colours: off })
    expect(lines.join('\n')).toMatchInlineSnapshot(`
      "outrigger top  12:00:00 UTC  4 proxies, last 10 s, by rate
      ! vm-2: no answer within 2 s

      SERVICE  CALLS/S  SUCCESS     P50     P99  RETRIES/S  FROM
      orders        10  95.00 %  5.1 ms  5.1 ms        2.0  web
      web          1.0    100 %  5.1 ms  5.1 ms          0  -

      ENDPOINT       SERVICE  STATE              CALLS/S  FAILED/S  ACTIVE
      10.0.0.2:8080  orders   admitting              2.0         0       0
      10.0.0.1:8080  orders   ejected by 1 of 4      1.0         0       0
      10.0.0.0:8080  orders   ejected                  0         0       0"
    `)
  })

  test('what discovery says of endpoints, and why', () => {
    const { endpoints, ...rest } = reply()
    const [ejected, some, good] = endpoints
    const said = [
      { ...good!, endpoint: '10.0.0.4:8080' },
      { ...good!, endpoint: '10.0.0.3:8080', health: 'maintenance', unhealthy: 4, reason: 'new\u001b disk' },
      { ...some!, health: 'critical', unhealthy: 2, reason: `check http: ${'timeout '.repeat(10)}` },
      ejected!,
    ]
    const look = { service: null, sort: 'rate', width: 120, rows: null, colours: off } as const
    const lines = topLines({ ...rest, endpoints: said }, look)
    expect(lines.slice(-5).join('\n')).toMatchInlineSnapshot(`
      "ENDPOINT       SERVICE  STATE                                   CALLS/S  FAILED/S  ACTIVE  WHY
      10.0.0.4:8080  orders   admitting                                   2.0         0       0
      10.0.0.3:8080  orders   maintenance                                 2.0         0       0  new\\x1B disk
      10.0.0.1:8080  orders   critical for 2 of 4, ejected by 1 of 4      1.0         0       0  check http: timeout timeout ~
      10.0.0.0:8080  orders   ejected                                       0         0       0"
    `)
  })

  test.each([30, 46, 80, 200])('no line is wider than %i columns, in colour too, and it fits the rows', width => {
    for (const colours of [off, on]) {
      const lines = topLines(reply(60), { service: null, sort: 'p99', width, rows: 20, colours })
      expect(lines.length).toBeLessThanOrEqual(20)
      for (const line of lines) expect(stripVTControlCharacters(line).length).toBeLessThanOrEqual(width)
      const all = statusLines([agent, { ...agent, trouble: 'x'.repeat(300) }], { width, all: true, colours })
      for (const line of all) expect(stripVTControlCharacters(line).length).toBeLessThanOrEqual(width)
    }
  })

  test('where there is no room, endpoints in trouble are shown first', () => {
    const text = topLines(reply(60), { service: null, sort: 'rate', width: 100, rows: 14, colours: off }).join('\n')
    expect(text).toContain('10.0.0.0:8080')
    expect(text).toContain('ejected by 1 of 4')
    expect(text).toMatch(/and \d+ more endpoints/)
  })
})

test('control characters of names do not reach the terminal', () => {
  const wrong = { ...proxy, proxy: 'vm/\u001b[31mweb' }
  const text = statusLines([{ ...agent, proxies: [wrong] }], { width: 100, all: false, colours: off }).join('')
  expect(text).not.toContain('\u001b')
  const top: TopReply = { atMs: 0, edges: [], endpoints: [], proxies: 0, spanMs: 1, troubles: ['vm-2: \u001b[2J'] }
  const look = { service: null, sort: 'rate', width: 100, rows: null, colours: off } as const
  expect(topLines(top, look).join('')).not.toContain('\u001b')
})

test('small words', () => {
  expect([0, 999, 1000, 59_000, 60_000, 3_660_000, 200_000_000].map(span)).toEqual([
    '0 ms',
    '999 ms',
    '1 s',
    '59 s',
    '1 min',
    '1 h 1 min',
    '2 days',
  ])
  expect(percent(0.99999)).toBe('99.99 %')
  expect(cut('abcdef', 4)).toBe('abc~')
  expect(
    table(
      [
        ['a', 'b'],
        ['long', 'c'],
      ],
      80,
    ),
  ).toEqual(['a     b', 'long  c'])
})
