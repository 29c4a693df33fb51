import { expect, test } from 'vitest'
import { speaks } from '../../proxy/system/families.ts'
import { parseHosts, parseResolvConf, searched } from '../../proxy/system/name-files.ts'
import { nameResolver } from '../../proxy/system/resolve-name.ts'
import { virtualTime } from '../discovery/consul/tape.ts'

/** `zone`: `name/family` to addresses, `!CODE` or `hang`. */
function stage(
  zone: Readonly<Record<string, string>>,
  files: { hosts?: string; resolvConf?: string; system?: Readonly<Record<string, string>>; only?: 4 | 6 } = {},
) {
  const time = virtualTime()
  const asked: string[] = []
  const resolve = nameResolver({
    clock: time.clock,
    dns: () => ({
      addresses(name, family) {
        asked.push(`${name}/${family}`)
        const said = zone[`${name}/${family}`] ?? ''
        if (said === 'hang') return new Promise(() => {})
        if (said.startsWith('!'))
          return Promise.reject(Object.assign(new Error(`${name}: ${said}`), { code: said.slice(1) }))
        return Promise.resolve(
          said
            .split(' ')
            .filter(Boolean)
            .map(address => ({ address, ttlMs: 7_000 })),
        )
      },
      lookup(name) {
        asked.push(`system ${name}`)
        return Promise.resolve((files.system?.[name] ?? '').split(' ').filter(Boolean))
      },
    }),
    hosts: () => Promise.resolve(files.hosts ?? ''),
    resolvConf: () => Promise.resolve(files.resolvConf ?? ''),
    speaks: family => files.only === undefined || files.only === family,
  })
  return { time, asked, resolve, found: async (name: string) => (await resolve(name)).addresses.join(' ') }
}

test('the hosts file comes first, and nothing is asked', async () => {
  const { found, asked } = stage(
    { 'db/4': '10.0.0.9' },
    { hosts: '# x\n10.0.0.1 DB db.internal # comment\n10.0.0.2\tdb\nnonsense db\n::1 db\n' },
  )
  expect(await found('db')).toBe('10.0.0.1 10.0.0.2 ::1')
  expect(await found('db.internal.')).toBe('10.0.0.1')
  expect(asked).toEqual([])
})

test('of the hosts file what this machine speaks; all where it speaks none of it', async () => {
  const hosts = '10.0.0.1 db old\nfd00::1 db\n127.0.0.1 here\n'
  expect(await stage({}, { hosts, only: 6 }).found('db')).toBe('fd00::1')
  expect(await stage({}, { hosts, only: 6 }).found('old')).toBe('10.0.0.1')
  expect(await stage({}, { hosts, only: 6 }).found('here')).toBe('127.0.0.1')
})

test('both families, with their TTL', async () => {
  const { resolve } = stage({ 'db.internal/4': '10.0.0.1', 'db.internal/6': 'fd00::1' })
  expect(await resolve('db.internal')).toEqual({ addresses: ['10.0.0.1', 'fd00::1'], ttlMs: 7_000 })
})

test('search domains, as resolv.conf says; the system where DNS knows nothing', async () => {
  const resolvConf =
    'nameserver 10.0.0.2\nsearch old.test\nsearch shop.svc.cluster.local svc.cluster.local\noptions timeout:1 ndots:5\n'
  const one = stage({ 'orders.svc.cluster.local/4': '10.0.0.1' }, { resolvConf })
  expect(await one.found('orders')).toBe('10.0.0.1')
  expect(one.asked.filter(name => name.endsWith('/4'))).toEqual([
    'orders.shop.svc.cluster.local/4',
    'orders.svc.cluster.local/4',
  ])
  const other = stage({}, { resolvConf, system: { 'printer.local': '10.0.0.7' } })
  expect(await other.found('printer.local')).toBe('10.0.0.7')
  expect(await other.found('nix.')).toBe('')
})

test('complete names before or after the domains, by their dots', () => {
  const search = parseResolvConf('domain a.test.\noptions ndots:2\n')
  expect(searched('x', search)).toEqual(['x.a.test', 'x'])
  expect(searched('x.y', search)).toEqual(['x.y.a.test', 'x.y'])
  expect(searched('x.y.z', search)).toEqual(['x.y.z', 'x.y.z.a.test'])
  expect(searched('x.', search)).toEqual(['x'])
  expect(parseResolvConf('')).toEqual({ domains: [], ndots: 1 })
  expect(parseHosts('\0\n\n1.2.3.4').size).toBe(0)
})

test('a silent name server: the system, which would ask it again in a thread of ours, is not asked', async () => {
  const { resolve, asked } = stage({ 'db.internal/4': '!ETIMEOUT', 'db.internal/6': '!ETIMEOUT' })
  await expect(resolve('db.internal')).rejects.toThrow('!ETIMEOUT')
  expect(asked).not.toContain('system db.internal')
})

test('no name server at all: the system may know it', async () => {
  const refused = { 'db.internal/4': '!ECONNREFUSED', 'db.internal/6': '!ECONNREFUSED' }
  expect(await stage(refused, { system: { 'db.internal': '10.0.0.3' } }).found('db.internal')).toBe('10.0.0.3')
  await expect(stage(refused).resolve('db.internal')).rejects.toThrow('!ECONNREFUSED')
})

test('a name server that does not answer for AAAA costs a quarter of a second', async () => {
  const { resolve, time } = stage({ 'db.internal/4': '10.0.0.1', 'db.internal/6': 'hang' })
  let found: readonly string[] | null = null
  void resolve('db.internal').then(({ addresses }) => (found = addresses))
  await time.pass(200)
  expect(found).toBeNull()
  await time.pass(60)
  expect(found).toEqual(['10.0.0.1'])
})

const face = (address: string, internal = false, scopeid = 0) =>
  ({
    address,
    family: address.includes(':') ? 'IPv6' : 'IPv4',
    internal,
    scopeid,
    netmask: '',
    mac: '',
    cidr: null,
  }) as never
test.each([
  ['both', [face('10.0.0.1'), face('2001:db8::1')], true, true],
  ['IPv6 only', [face('127.0.0.1', true), face('::1', true), face('2001:db8::1')], false, true],
  ['IPv4 only, and an address of the link', [face('10.0.0.1'), face('fe80::1', false, 2)], true, false],
  ['loopback only', [face('127.0.0.1', true), face('::1', true)], true, true],
  ['loopback of IPv4 only', [face('127.0.0.1', true)], true, false],
])('what a machine speaks: %s', (_what, faces, four, six) => {
  expect([speaks(4, { eth0: faces }), speaks(6, { eth0: faces })]).toEqual([four, six])
})
