import { describe, expect, test } from 'vitest'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { Random } from '../../proxy/core/clock.ts'
import type { Resolver, ServiceRecord } from '../../proxy/core/dns.ts'
import { dnsSource } from '../../proxy/discovery/dns.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { seeded } from '../support/random.ts'

/** What a name server has: `10.0.0.1 10.0.0.2 ttl=5`, or `! trouble`. Names that are not there do not exist. */
type Zone = Record<string, string>

function stage(
  name: string,
  port: number | null,
  { servers = ['127.0.0.1:53'], refreshMs = 30_000, random = (() => 0) as Random } = {},
) {
  const loop = new EventLoop()
  const zone: Zone = {}
  const srv: Record<string, readonly ServiceRecord[] | string> = {}
  const hosts: Record<string, string> = {}
  const asked: string[] = []
  let cancelled = false
  let underWay = 0
  let peak = 0

  const resolver: Resolver = {
    async addresses(asking, family) {
      asked.push(`${family === 4 ? 'A' : 'AAAA'} ${asking}`)
      peak = Math.max(peak, ++underWay)
      await Promise.resolve()
      underWay--
      const { addresses, ttl } = read(zone[`${asking}/${family}`] ?? '')
      return addresses.map(address => ({ address, ttlMs: ttl }))
    },
    async services(asking) {
      asked.push(`SRV ${asking}`)
      const records = srv[asking] ?? []
      if (typeof records === 'string') throw new Error(records)
      return records
    },
    async lookup(asking) {
      asked.push(`lookup ${asking}`)
      return read(hosts[asking] ?? '').addresses
    },
    cancel() {
      cancelled = true
    },
  }

  const said: string[] = []
  let doubted = false
  let last: readonly EndpointSpec[] = []
  const abort = new AbortController()
  const source = dnsSource(
    { service: 'orders', name, port, refreshMs, servers, family: 'auto' },
    { clock: manualClock(loop), random, resolver: () => resolver },
  )
  return {
    source,
    zone,
    srv,
    hosts,
    asked,
    said,
    last: () => last,
    doubt(is: boolean) {
      doubted = is
    },
    cancelled: () => cancelled,
    peak: () => peak,
    stop: () => abort.abort(),
    async start() {
      source.watch(
        {
          onSet(endpoints) {
            last = endpoints
            said.push(endpoints.map(endpoint => `${endpoint.address}:${endpoint.port}`).join(' '))
          },
          isDoubted: () => doubted,
          onTrouble: reason => said.push(`! ${reason}`),
        },
        abort.signal,
      )
      await answered()
    },
    /** What was said in this time. */
    async pass(milliseconds: number) {
      const before = said.length
      for (let left = milliseconds; left > 0; left -= 10) {
        loop.advance(10)
        await answered()
      }
      return said.slice(before)
    },
  }
}

function read(text: string): { addresses: string[]; ttl: number } {
  if (text.startsWith('!')) throw new Error(text.slice(2))
  const words = text.split(' ').filter(Boolean)
  const ttl = words.find(word => word.startsWith('ttl='))
  return { addresses: words.filter(word => word !== ttl), ttl: Number(ttl?.slice(4) ?? 60) * 1_000 }
}

/** A resolver that answers at once does so in some microtasks. */
async function answered(): Promise<void> {
  for (let i = 0; i < 40; i++) await Promise.resolve()
}

describe('name and port: A and AAAA', () => {
  test('both families, in one order, whatever order they come in', async () => {
    const { source, start, said, zone, last } = stage('orders.internal', 8080)
    zone['orders.internal/4'] = '10.0.0.2 10.0.0.1 10.0.0.2'
    zone['orders.internal/6'] = 'fd00::1'
    await start()
    expect(said).toEqual(['10.0.0.1:8080 10.0.0.2:8080 fd00::1:8080'])
    expect(last()[0]).toEqual({
      address: '10.0.0.1',
      port: 8080,
      weight: 1,
      priority: 0,
      zone: '',
      metadata: {},
      health: 'passing',
      healthReason: '',
    })
    expect(source.name).toBe('dns orders.internal:8080')
  })

  test.each([
    [5, 5_000],
    [0, 1_000],
    [600, 30_000],
  ])('asked again after a TTL of %i s', async (ttl, againMs) => {
    const { start, pass, zone } = stage('orders.internal', 80)
    zone['orders.internal/4'] = `10.0.0.1 ttl=${ttl}`
    zone['orders.internal/6'] = 'fd00::1 ttl=900'
    await start()
    zone['orders.internal/4'] = '10.0.0.2 ttl=60'
    expect(await pass(againMs - 20)).toEqual([])
    expect(await pass(60)).toEqual(['10.0.0.2:80 fd00::1:80'])
  })

  test('an answer that is doubted is asked for again after two seconds, whatever its TTL', async () => {
    const { start, pass, zone, doubt } = stage('orders.internal', 80)
    zone['orders.internal/4'] = '10.0.0.1 ttl=60'
    doubt(true)
    await start()
    expect(await pass(2_300)).toEqual(['10.0.0.1:80'])
    doubt(false)
    expect(await pass(2_300)).toEqual(['10.0.0.1:80'])
    expect(await pass(20_000)).toEqual([])
  })

  test('no such name is an answer, asked for again soon', async () => {
    const { start, said, pass, zone } = stage('orders.internal', 80)
    zone['orders.internal/4'] = '10.0.0.1 ttl=5'
    await start()
    delete zone['orders.internal/4']
    expect(await pass(5_100)).toEqual([''])
    zone['orders.internal/4'] = '10.0.0.1 ttl=5'
    expect(await pass(5_100)).toEqual(['10.0.0.1:80'])
    expect(said.filter(text => text.startsWith('!'))).toEqual([])
  })

  test('trouble is told and tried again, slower each time, and what comes after counts', async () => {
    const { start, said, pass, zone, asked } = stage('orders.internal', 80, { random: () => 1 - Number.EPSILON })
    zone['orders.internal/4'] = '! SERVFAIL'
    zone['orders.internal/6'] = '! SERVFAIL'
    await start()
    expect(said).toEqual(['! SERVFAIL'])
    const times: number[] = []
    for (let second = 1; second <= 120; second++) {
      asked.length = 0
      await pass(1_000)
      if (asked.length > 0) times.push(second)
    }
    // After 1 s, 2 s, 4 s ... and not more seldom than the name is asked for when all is well.
    expect(times).toEqual([1, 3, 7, 15, 31, 61, 91])
    zone['orders.internal/4'] = '10.0.0.1 ttl=5'
    zone['orders.internal/6'] = ''
    expect(await pass(30_000)).toContain('10.0.0.1:80')
    zone['orders.internal/4'] = '! SERVFAIL'
    while (said.at(-1) !== '! SERVFAIL') await pass(10)
    // The first retry comes quickly again.
    expect(await pass(980)).toEqual([])
    expect(await pass(40)).toEqual(['! SERVFAIL'])
  })

  test('chance spreads when they ask: never before the TTL is over, at most a tenth later', async () => {
    const starts: number[] = []
    for (let seed = 1; seed <= 50; seed++) {
      const { start, pass, zone, asked } = stage('orders.internal', 80, { random: seeded(seed) })
      zone['orders.internal/4'] = '10.0.0.1 ttl=10'
      await start()
      asked.length = 0
      for (let ms = 10; asked.length === 0; ms += 10) {
        await pass(10)
        if (asked.length > 0) starts.push(ms)
      }
    }
    expect(Math.min(...starts)).toBeGreaterThanOrEqual(10_000)
    expect(Math.max(...starts)).toBeLessThanOrEqual(11_020)
    expect(new Set(starts).size).toBeGreaterThan(25)
  })

  describe('one family alone', () => {
    test('is enough when the other has none', async () => {
      const { start, said, zone } = stage('orders.internal', 80)
      zone['orders.internal/6'] = 'fd00::1'
      await start()
      expect(said).toEqual(['fd00::1:80'])
    })

    test('is enough when the other cannot be asked for, and that one keeps what it had', async () => {
      const { start, said, pass, zone } = stage('orders.internal', 80)
      zone['orders.internal/4'] = '10.0.0.1 ttl=5'
      zone['orders.internal/6'] = '! no answer'
      await start()
      expect(said).toEqual(['10.0.0.1:80'])
      zone['orders.internal/6'] = 'fd00::1 ttl=5'
      expect(await pass(5_100)).toEqual(['10.0.0.1:80 fd00::1:80'])
      zone['orders.internal/4'] = '10.0.0.2 ttl=5'
      zone['orders.internal/6'] = '! no answer'
      expect(await pass(5_100)).toEqual(['10.0.0.2:80 fd00::1:80'])
    })

    test('is no answer when it has none and the other cannot be asked for', async () => {
      const { start, said, zone } = stage('orders.internal', 80)
      zone['orders.internal/4'] = '! no answer'
      await start()
      expect(said).toEqual(['! no answer'])
    })
  })

  test('a name that DNS does not know is looked up as the system does, unless servers are named', async () => {
    const system = stage('orders', 80, { servers: [] })
    system.hosts.orders = '127.0.0.5 ::1'
    await system.start()
    expect(system.said).toEqual(['127.0.0.5:80 ::1:80'])
    expect(await system.pass(29_900)).toEqual([])
    expect(await system.pass(200)).toHaveLength(1)

    const named = stage('orders', 80)
    named.hosts.orders = '127.0.0.5'
    await named.start()
    expect(named.said).toEqual([''])
    expect(named.asked).toEqual(['A orders', 'AAAA orders'])

    const trouble = stage('orders', 80, { servers: [] })
    trouble.hosts.orders = '! EAI_AGAIN'
    await trouble.start()
    expect(trouble.said).toEqual(['! EAI_AGAIN'])
  })
})

describe('a name alone: SRV', () => {
  const record = (target: string, port: number, weight = 1, priority = 0): ServiceRecord => ({
    target,
    port,
    weight,
    priority,
  })

  test('port, weight and priority by rank, targets by their addresses, the shortest TTL', async () => {
    const { source, start, pass, srv, zone, last } = stage('_http._tcp.orders', null)
    srv['_http._tcp.orders'] = [
      record('b.internal', 81, 0, 20),
      record('a.internal', 80, 60, 10),
      record('a.internal', 90, 40, 10),
      record('c.internal', 82, 5, 7_000),
    ]
    zone['a.internal/4'] = '10.0.0.1 10.0.0.2 ttl=7'
    zone['b.internal/6'] = 'fd00::1 ttl=60'
    zone['c.internal/4'] = '10.0.0.3 ttl=60'
    await start()
    expect(last().map(({ address, port, weight, priority }) => [address, port, weight, priority])).toEqual([
      ['10.0.0.1', 80, 60, 0],
      ['10.0.0.1', 90, 40, 0],
      ['10.0.0.2', 80, 60, 0],
      ['10.0.0.2', 90, 40, 0],
      ['10.0.0.3', 82, 5, 2],
      ['fd00::1', 81, 1, 1],
    ])
    expect(source.name).toBe('dns _http._tcp.orders')
    expect(await pass(6_900)).toEqual([])
    expect(await pass(200)).toHaveLength(1)
  })

  test('of one address in several records the best level counts, then the highest weight', async () => {
    const { start, srv, zone, last } = stage('srv', null)
    srv.srv = [record('a', 80, 9, 2), record('b', 80, 3, 1), record('a', 80, 5, 1)]
    zone['a/4'] = '10.0.0.1'
    zone['b/4'] = '10.0.0.1'
    await start()
    expect(last().map(({ address, weight, priority }) => [address, weight, priority])).toEqual([['10.0.0.1', 5, 0]])
  })

  test('no such name, and the service that is decidedly not there, are answers', async () => {
    const { start, said, pass, srv, asked } = stage('srv', null)
    await start()
    srv.srv = [record('.', 80), record('', 80)]
    await pass(5_100)
    expect(said).toEqual(['', ''])
    expect(asked).toEqual(['SRV srv', 'SRV srv'])
  })

  test('a target that cannot be asked for keeps its addresses; one that is not there has none', async () => {
    const { start, said, pass, srv, zone } = stage('srv', null)
    srv.srv = [record('a', 80), record('b', 80), record('c', 80)]
    zone['a/4'] = '10.0.0.1 ttl=60'
    zone['b/4'] = '10.0.0.2 ttl=60'
    await start()
    expect(said).toEqual(['10.0.0.1:80 10.0.0.2:80'])
    zone['a/4'] = '10.0.0.9 ttl=60'
    zone['b/4'] = '! SERVFAIL'
    expect(await pass(30_100)).toEqual(['10.0.0.2:80 10.0.0.9:80'])
    // The rest of the answer is asked for soon.
    zone['b/4'] = '10.0.0.3 ttl=60'
    expect(await pass(5_100)).toEqual(['10.0.0.3:80 10.0.0.9:80'])
  })

  test('nothing but trouble is trouble', async () => {
    const { start, said, pass, srv, zone } = stage('srv', null)
    srv.srv = 'SERVFAIL for SRV'
    await start()
    srv.srv = [record('a', 80)]
    zone['a/4'] = '! SERVFAIL for A'
    await pass(1_000)
    expect(said).toEqual(['! SERVFAIL for SRV', '! SERVFAIL for A'])
  })

  test('hundreds of targets are asked for a few at a time', async () => {
    const { start, last, srv, zone, peak } = stage('srv', null)
    srv.srv = Array.from({ length: 300 }, (_, i) => record(`t${i}`, 80))
    for (let i = 0; i < 300; i++) zone[`t${i}/4`] = `10.0.${i >> 8}.${i & 255}`
    await start()
    for (let i = 0; i < 30; i++) await answered()
    expect(last()).toHaveLength(300)
    // Two families each.
    expect(peak()).toBe(40)
  })
})

test('after it was stopped nothing is asked or said', async () => {
  const { start, pass, zone, stop, asked, cancelled } = stage('orders.internal', 80)
  zone['orders.internal/4'] = '10.0.0.1 ttl=5'
  await start()
  stop()
  asked.length = 0
  expect(await pass(60_000)).toEqual([])
  expect(asked).toEqual([])
  expect(cancelled()).toBe(true)
})

test('stopped while it asks, it says nothing', async () => {
  const { start, said, stop } = stage('orders.internal', 80)
  const starting = start()
  stop()
  await starting
  expect(said).toEqual([])
})
