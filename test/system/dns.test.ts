import { networkInterfaces } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { resolver } from '../../proxy/system/dns.ts'
import { type Dnsmasq, startDnsmasq } from '../integration/support/dnsmasq.ts'
import { freePort } from '../integration/support/ports.ts'

let dnsmasq: Dnsmasq
beforeAll(async () => {
  dnsmasq = await startDnsmasq([
    'host-record=a.test,10.0.0.1,fd00::1,60',
    'host-record=a.test,10.0.0.2,5',
    'host-record=four.test,10.0.0.4,60',
    'host-record=uncached.test,10.0.0.5,0',
    'srv-host=_http._tcp.test,a.test,80,10,60',
    'srv-host=_http._tcp.test,four.test,81,20,0',
    ...Array.from(
      { length: 300 },
      (_, i) => `srv-host=_many._tcp.test,a-target-with-a-long-name-number-${i}.test,${i + 1},0,1`,
    ),
  ])
})
afterAll(() => dnsmasq.stop())

const speaksIPv6 = Object.values(networkInterfaces()).some(addresses =>
  addresses?.some(({ family, internal, scopeid }) => family === 'IPv6' && !internal && scopeid === 0),
)

describe('a name server that answers', () => {
  test('A and AAAA records with their TTLs', async () => {
    const dns = resolver([dnsmasq.server])
    const found = await dns.addresses('a.test', 4)
    expect(found.map(({ address }) => address).sort()).toEqual(['10.0.0.1', '10.0.0.2'])
    // Of one name dnsmasq has one TTL.
    expect(found.every(({ ttlMs }) => ttlMs === 5_000 || ttlMs === 60_000)).toBe(true)
    expect(await dns.addresses('four.test', 4)).toEqual([{ address: '10.0.0.4', ttlMs: 60_000 }])
    expect(await dns.addresses('uncached.test', 4)).toEqual([{ address: '10.0.0.5', ttlMs: 0 }])
    expect((await dns.addresses('a.test', 6)).map(({ address }) => address)).toEqual(speaksIPv6 ? ['fd00::1'] : [])
  })

  test('addresses of the families that are asked for, whatever this machine speaks', async () => {
    const of = async (which: 'ipv4' | 'ipv6' | 'all') => {
      const dns = resolver([dnsmasq.server], which)
      return [await dns.addresses('a.test', 4), await dns.addresses('a.test', 6)].map(({ length }) => length)
    }
    expect([await of('ipv4'), await of('ipv6'), await of('all')]).toEqual([
      [2, 0],
      [0, 1],
      [2, 1],
    ])
  })

  test('no such name, and no such record of a name that is there, are nothing and no trouble', async () => {
    const dns = resolver([dnsmasq.server])
    expect(await dns.addresses('nobody.test', 4)).toEqual([])
    expect(await dns.addresses('four.test', 6)).toEqual([])
    expect(await dns.services('nobody.test')).toEqual([])
    expect(await dns.services('four.test')).toEqual([])
  })

  test('SRV records', async () => {
    const found = await resolver([dnsmasq.server]).services('_http._tcp.test')
    expect(found.toSorted((a, b) => a.port - b.port)).toEqual([
      { target: 'a.test', port: 80, priority: 10, weight: 60 },
      { target: 'four.test', port: 81, priority: 20, weight: 0 },
    ])
  })

  test('an answer that is too large for UDP is fetched over TCP', async () => {
    const found = await resolver([dnsmasq.server]).services('_many._tcp.test')
    expect(new Set(found.map(({ port }) => port)).size).toBe(300)
  })

  test('an address is its own address', async () => {
    const dns = resolver([dnsmasq.server])
    expect(await dns.addresses('10.9.9.9', 4)).toEqual([{ address: '10.9.9.9', ttlMs: Number.POSITIVE_INFINITY }])
    expect(await dns.addresses('10.9.9.9', 6)).toEqual([])
    expect(await dns.addresses('::1', 6)).toEqual([{ address: '::1', ttlMs: Number.POSITIVE_INFINITY }])
  })
})

describe('trouble', () => {
  test('a server that refuses', async () => {
    const question = resolver([dnsmasq.server]).addresses('somebody.else', 4)
    await expect(question).rejects.toThrow('A records of somebody.else: the name server refuses to answer (REFUSED)')
  })

  test('nobody there', async () => {
    const question = resolver([`127.0.0.1:${await freePort()}`]).services('_http._tcp.test')
    await expect(question).rejects.toThrow('SRV records of _http._tcp.test: no name server takes questions')
  })

  test('nobody answers; and the resolver works again when somebody does', async () => {
    await using silent = await startDnsmasq(['host-record=a.test,10.0.0.1,60'])
    const dns = resolver([silent.server])
    await silent.child().freeze()
    await expect(dns.addresses('a.test', 4)).rejects.toThrow('A records of a.test: no name server answers')
    silent.child().signal('SIGCONT')
    expect(await dns.addresses('a.test', 4)).toEqual([{ address: '10.0.0.1', ttlMs: 60_000 }])
  })

  test('a second server answers for the first', async () => {
    expect(await resolver([`127.0.0.1:${await freePort()}`, dnsmasq.server]).addresses('four.test', 4)).toHaveLength(1)
  })

  test('what was cancelled is over at once', async () => {
    await using silent = await startDnsmasq([])
    await silent.child().freeze()
    const dns = resolver([silent.server])
    const question = dns.addresses('a.test', 4)
    dns.cancel()
    await expect(question).rejects.toThrow('no longer asked')
  })
})

test('the system knows localhost', async () => {
  const found = await resolver([]).lookup('localhost')
  expect(found.length).toBeGreaterThan(0)
  expect(found.every(address => address === '127.0.0.1' || address === '::1')).toBe(true)
})
