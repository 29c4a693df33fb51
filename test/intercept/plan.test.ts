import { describe, expect, test } from 'vitest'
import type { Options } from '../../intercept/options.ts'
import { makePlan, type Plan } from '../../intercept/plan.ts'
import { rulesOf } from '../../intercept/rules.ts'
import { formatCidr } from '../../mesh-config/cidr.ts'
import { loadDocument } from '../../mesh-config/load.ts'
import { readIntercept } from '../../mesh-config/load-intercept.ts'
import { formatPorts } from '../../mesh-config/port-range.ts'

const fileOf = (yaml: string) => readIntercept(loadDocument('sidecar.yaml', yaml, null).root!)

function planned(options: Options, yaml?: string, resolv: string | null = 'nameserver 10.0.0.2\n') {
  return makePlan(options, yaml === undefined ? null : fileOf(yaml), resolv)
}

function planOf(options: Options, yaml?: string, resolv?: string | null): Plan {
  const made = planned(options, yaml, resolv)
  if (!made.ok) throw new Error(made.errors.join('\n'))
  return made.plan
}

function errorsOf(options: Options, yaml?: string): readonly string[] {
  const made = planned(options, yaml)
  return made.ok ? [] : made.errors
}

const transparent = `outbound: [{ listen: "[::]:15001", transparent: true }, { listen: 127.0.0.1:9101, service: a }]
inbound: [{ listen: "[::]:15006", transparent: true }, { listen: 0.0.0.0:20000, forward: 10.0.0.5:3000 }]
metrics: 0.0.0.0:15020
dns: { listen: 127.0.0.1:15053 }
`

const labels = (plan: Plan, family: 4 | 6, chain: string) =>
  rulesOf(plan, family)
    .find(({ name }) => name === chain)
    ?.rules.map(({ label }) => label)

describe('without a file', () => {
  test('outbound alone, in both families, by the usual port and user', () => {
    const plan = planOf({})
    expect(plan).toMatchObject({
      outbound: { port: 15_001, families: [4, 6] },
      inbound: null,
      dns: null,
      user: 1337,
      group: 1337,
    })
    expect(rulesOf(plan, 4).map(({ name }) => name)).toEqual(['output'])
  })

  test('inbound connections to the usual ports and to SSH are never redirected', () => {
    const plan = planOf({ 'inbound-port': '16006' })
    expect(plan.own.map(formatPorts)).toEqual(['15000-15001', '15006', '15020', '15053', '16006'])
    expect(plan.inboundSkip.ports.map(formatPorts)).toEqual(['22'])
    expect(planOf({ 'inbound-port': '15006', 'skip-inbound-ports': 'none' }).inboundSkip.ports).toEqual([])
  })

  test('nothing at all is an error', () => {
    expect(errorsOf({ 'outbound-port': 'off' })[0]).toMatch(/^nothing is left to redirect: /)
  })
})

describe('with a file', () => {
  test('ports of the transparent listeners; every listening port is one of its own', () => {
    const plan = planOf({}, transparent)
    expect(plan).toMatchObject({
      outbound: { port: 15_001 },
      inbound: { port: 15_006 },
      dns: { port: 15_053, families: [4] },
    })
    expect(plan.own.map(formatPorts)).toEqual(['9101', '15000-15001', '15006', '15020', '15053', '20000'])
    expect(labels(plan, 4, 'output')![0]).toBe('the sidecar itself: user 1337')
  })

  test('settings, and options instead of them', () => {
    const yaml = `${transparent}intercept: { user: 5, outbound: { skipPorts: [1, 2-3] }, exclude: { users: [7] } }\n`
    expect(planOf({}, yaml)).toMatchObject({
      user: 5,
      outboundSkip: { ports: [{ from: 1, to: 3 }] },
      skip: { users: [7] },
    })
    const other = planOf({ 'skip-outbound-ports': '9', user: '6', 'skip-users': 'none' }, yaml)
    expect(other).toMatchObject({ user: 6, outboundSkip: { ports: [{ from: 9, to: 9 }] }, skip: { users: [] } })
  })

  test('a listener of one family: rules for that one, and a note', () => {
    const made = planned({}, 'outbound: [{ listen: 127.0.0.1:15001, transparent: true }]\n')
    expect(made).toMatchObject({ ok: true, plan: { outbound: { families: [4] } } })
    expect(made.ok && made.notes).toEqual([
      'IPv6: outbound connections are not redirected, because outbound 127.0.0.1:15001 takes IPv4 alone: listen on 127.0.0.1 and "[::1]:15001"',
    ])
    expect(rulesOf((made as { plan: Plan }).plan, 6)).toEqual([])
    const both =
      'outbound: [{ listen: 127.0.0.1:15001, transparent: true }, { listen: "[::1]:15001", transparent: true }]\n'
    expect(planOf({}, both).outbound).toEqual({ port: 15_001, families: [4, 6] })
  })

  test('virtual addresses are those of its name server', () => {
    expect(planOf({}, transparent).virtual.map(formatCidr)).toEqual(['240.64.0.0/10', 'fd6f:7574:7269:6767::/64'])
    const yaml = transparent.replace('{ listen: 127.0.0.1:15053 }', '{ addresses: 250.0.0.0/16, ipv6: off }')
    const plan = planOf({}, yaml)
    expect(plan.virtual.map(formatCidr)).toEqual(['250.0.0.0/16'])
    expect(plan.dns).toEqual({ port: 15_053, families: [4] })
  })

  test.each([
    [
      'no transparent listener',
      {},
      'outbound: [{ listen: 127.0.0.1:15001 }]\n',
      /^no listener of the file has "transparent: true"/,
    ],
    [
      'a port that no listener has',
      { 'outbound-port': '15009' },
      transparent,
      /^--outbound-port 15009: the file has no outbound listener with "transparent: true" at that port \(there is port 15001\)/,
    ],
    ['one that an ordinary listener has', { 'outbound-port': '9101' }, transparent, /^--outbound-port 9101: /],
    [
      'several ports',
      {},
      'outbound: [{ listen: 127.0.0.1:1, transparent: true }, { listen: 127.0.0.1:2, transparent: true }]\n',
      /choose one of 1, 2 with --outbound-port$/,
    ],
    [
      'port 0',
      {},
      'outbound: [{ listen: 127.0.0.1:0, transparent: true }]\n',
      /^sidecar\.yaml:1:22: port 0 is another one at each start/,
    ],
    [
      'an inbound listener on loopback',
      {},
      'inbound: [{ listen: 127.0.0.1:15006, transparent: true }]\n',
      /^sidecar\.yaml:1:21: redirected connections arrive at the address of the interface .*: listen on 0\.0\.0\.0/,
    ],
    [
      'an outbound listener on another address',
      {},
      'outbound: [{ listen: 10.0.0.5:15001, transparent: true }]\n',
      /^sidecar\.yaml:1:22: redirected connections arrive at 127\.0\.0\.1 or ::1/,
    ],
    [
      'a port of the sidecar among the inbound ones',
      { 'only-inbound-ports': '80,15020' },
      transparent,
      /^port 15020 is in only-inbound-ports and is the metrics port/,
    ],
  ] as const)('%s is an error', (_, options, yaml, message) => {
    expect(errorsOf(options, yaml)[0]).toMatch(message)
  })
})

describe('options', () => {
  test.each([
    [{ 'outbound-port': '0' }, /^--outbound-port: "0" is not a port: /],
    [
      { 'outbound-port': '15006', 'inbound-port': '15006' },
      /^two kinds of connections would be redirected to one port/,
    ],
    [{ 'skip-outbound-ports': '80,x' }, /^--skip-outbound-ports: "x" is neither a port nor a range/],
    [{ 'skip-outbound-cidrs': '10.1.0.0/8' }, /: write 10\.0\.0\.0\/8$/],
    [{ 'skip-users': 'root' }, /^--skip-users: "root" is not an id: /],
    [{ user: '-1' }, /^--user: "-1" is not an id: /],
    [{ 'skip-interfaces': 'a b' }, /^--skip-interfaces: "a b" is not a network interface: /],
    [
      { 'dns-port': '15053', 'dns-servers': 'ns.example' },
      /^--dns-servers: "ns\.example" is not the address of a name server/,
    ],
    [{ 'dns-port': '15053', 'dns-servers': 'none' }, /^--dns-servers: "none" is empty/],
    [{ 'dns-servers': 'all' }, /^--dns-servers: no DNS query is redirected: give --dns-port/],
    [{ 'only-inbound-ports': '80' }, /^--only-inbound-ports: nothing inbound is redirected: give --inbound-port/],
    [
      { 'skip-outbound-ports': '80-90', 'only-outbound-ports': '80' },
      /^80 is in only-outbound-ports and in skip-outbound-ports/,
    ],
    [
      { 'skip-outbound-cidrs': '10.0.0.0/8', 'only-outbound-cidrs': '10.1.0.0/16' },
      /^10\.1\.0\.0\/16 is in only-outbound-cidrs/,
    ],
    [{ 'dns-port': '15053', 'skip-outbound-ports': '53' }, /^port 53 is in skip-outbound-ports, and DNS queries/],
    [
      { 'skip-outbound-ports': Array.from({ length: 501 }, (_, i) => i + 1).join() },
      /^--skip-outbound-ports: the list has 501 items/,
    ],
  ] as const)('%j is an error', (options, message) => {
    expect(errorsOf(options)[0]).toMatch(message)
  })

  test('a part of what alone is redirected may be left out', () => {
    expect(errorsOf({ 'skip-outbound-ports': '80', 'only-outbound-ports': '1-100' })).toEqual([])
  })
})

describe('name servers', () => {
  test('of resolv.conf, or what resolvers use without one', () => {
    const resolv =
      '# a comment\nsearch x\nnameserver 10.0.0.2\n nameserver fd00::2\nnameserver fe80::1%eth0\noptions ndots:5\n'
    const servers = (text: string | null) => {
      const made = planned({ 'dns-port': '15053' }, undefined, text)
      if (!made.ok || made.plan.dnsServers === 'all') throw new Error('unexpected')
      return [made.plan.dnsServers.map(formatCidr), made.notes.length]
    }
    expect(servers(resolv)).toEqual([['10.0.0.2', 'fd00::2'], 0])
    expect(servers(null)).toEqual([['127.0.0.1', '::1'], 1])
  })

  test('a family without a name server has no DNS rules', () => {
    const plan = planOf({ 'dns-port': '15053' })
    expect(labels(plan, 4, 'output')).toContain('DNS over UDP: name server 10.0.0.2')
    expect(labels(plan, 6, 'output')!.join()).not.toContain('DNS')
    expect(labels(plan, 6, 'dns')).toBeUndefined()
  })
})

test('only addresses of one family: nothing of the other is redirected but virtual ones', () => {
  const plan = planOf({ 'only-outbound-cidrs': '10.0.0.0/8' })
  expect(labels(plan, 4, 'output')!.at(-1)).toBe('TCP connections to addresses 10.0.0.0/8')
  expect(labels(plan, 6, 'output')!.at(-1)).toBe('link-local addresses')
})

test('labels stay within what the kernel keeps, and within their characters', () => {
  const cidrs = Array.from({ length: 400 }, (_, i) => `10.${i >> 4}.${(i & 15) * 16}.0/28`).join()
  const ports = Array.from({ length: 400 }, (_, i) => 1000 + i * 3).join()
  const plan = planOf({
    'inbound-port': '15006',
    'skip-outbound-cidrs': cidrs,
    'only-outbound-ports': ports,
    'skip-inbound-ports': ports,
  })
  const all = ([4, 6] as const).flatMap(family => rulesOf(plan, family).flatMap(({ rules }) => rules))
  for (const { label } of all) expect(label).toMatch(/^[A-Za-z0-9 ,.:/()+-]{1,100}$/)
})
