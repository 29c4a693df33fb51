import { describe, expect, test } from 'vitest'
import { answerer, type ServiceNames } from '../../proxy/dns/answerer.ts'
import type { NoAnswer } from '../../proxy/dns/forward.ts'
import { virtualAddresses } from '../../proxy/dns/virtual-addresses.ts'
import { Waiting } from '../../proxy/dns/waiting.ts'
import { answerTo, queryFor, readAnswer } from './messages.ts'

const ORDERS = '240.110.142.24'

/** An answerer that knows `orders`, looks names up as the test says, and forwards to the test. */
function setUp({ prefix = null as string | null, most = 10 } = {}) {
  const table = virtualAddresses({ addresses: '240.64.0.0/10', prefix, saved: '' })
  const orders = table.assign('orders', 0)!.given
  const stock = table.assign('stock', 0)!.given
  const lookUps: { service: string; answer: (found: typeof stock | 'unknown' | 'not now') => void; isOver: boolean }[] =
    []
  const forwarded: { bytes: Buffer; done: (answer: Buffer | NoAnswer) => void; isOver: boolean }[] = []
  const counts: string[] = []
  const services: ServiceNames = {
    find: service => (service === 'orders' ? orders : null),
    lookUp(service, answer) {
      const one = { service, answer, isOver: false }
      lookUps.push(one)
      return () => {
        one.isOver = true
      }
    },
    at: table.at,
    isHere: (_service, datacenter) => datacenter === 'dc1',
  }
  let loops = 0
  let isOwn = false
  const waiting = new Waiting({ most, perClient: most })
  const answer = answerer({
    domain: 'mesh',
    ttlSeconds: 30,
    services,
    forwarder: {
      forward(_query, bytes, _overTcp, done) {
        const one = { bytes, done, isOver: false }
        forwarded.push(one)
        return () => {
          one.isOver = true
        }
      },
      isOwn: () => isOwn,
    },
    waiting,
    count: (kind, result) => counts.push(`${kind} ${result}`),
    looped: () => {
      loops++
    },
  })
  const replies: Buffer[] = []
  const ask = (name: string, type = 1) =>
    answer(queryFor(name, type, { edns: { size: 1232 } }), {
      client: 'a',
      overTcp: false,
      reply: bytes => replies.push(bytes),
    })
  const last = () => readAnswer(replies.at(-1)!)
  return {
    ask,
    last,
    replies,
    lookUps,
    forwarded,
    counts,
    stock,
    waiting,
    loops: () => loops,
    comesBack: () => (isOwn = true),
  }
}

describe('a service that is known', () => {
  test('is answered at once, for A; for AAAA where it has such an address', () => {
    const { ask, last, forwarded } = setUp()
    ask('orders.mesh')
    expect(last()).toMatchObject({ code: 0, addresses: [ORDERS], answers: [{ ttl: 30 }] })
    ask('orders.mesh', 28)
    // Not NXDOMAIN, which would count for A as well.
    expect(last()).toMatchObject({ code: 0, answers: [], authority: [{ type: 6, ttl: 5 }] })
    const six = setUp({ prefix: 'fd00::/64' })
    six.ask('orders', 28)
    expect(six.last().answers[0]!.data.toString('hex')).toBe('fd0000000000000000000000f06e8e18')
    expect(forwarded).toEqual([])
  })

  test.each([16, 65, 15, 6])('has nothing for type %i', type => {
    const { ask, last } = setUp()
    ask('orders.service.consul', type)
    expect(last()).toMatchObject({ code: 0, answers: [], authority: [{ type: 6 }] })
  })

  test('of Consul: SRV is forwarded, and a denial of the name becomes one of the type', () => {
    const { ask, last, forwarded, counts } = setUp()
    ask('orders.service.consul', 33)
    forwarded[0]!.done(answerTo(forwarded[0]!.bytes, 3))
    expect(last()).toMatchObject({ code: 0, answers: [], authority: [{ type: 6 }] })
    ask('orders.mesh', 33)
    expect(forwarded).toHaveLength(1)
    expect(counts).toEqual(['forwarded nodata', 'service nodata'])
  })
})

describe('a service that has to be looked up', () => {
  test('is answered when it is found', () => {
    const { ask, last, replies, lookUps, stock, waiting } = setUp()
    ask('stock.service.dc1.consul')
    expect([replies.length, waiting.size, lookUps[0]!.service]).toEqual([0, 1, 'stock'])
    lookUps[0]!.answer(stock)
    expect(last().addresses).toEqual([stock.address])
    expect(waiting.size).toBe(0)
  })

  test('and is unknown does not exist in our domain, and is for others elsewhere', () => {
    const { ask, last, lookUps, forwarded } = setUp()
    ask('nobody.mesh')
    lookUps[0]!.answer('unknown')
    expect(last()).toMatchObject({ code: 3, authority: [{ type: 6, ttl: 5 }] })
    for (const name of ['nobody', 'nobody.service.consul']) {
      ask(name)
      lookUps.at(-1)!.answer('unknown')
    }
    expect(forwarded).toHaveLength(2)
    forwarded[0]!.done(answerTo(forwarded[0]!.bytes, 0, ['10.0.0.1']))
    expect(last().addresses).toEqual(['10.0.0.1'])
  })

  test('and cannot be now is not denied', () => {
    const { ask, last, lookUps, forwarded } = setUp()
    ask('stock.mesh')
    lookUps[0]!.answer('not now')
    expect(last()).toMatchObject({ code: 2, authority: [] })
    ask('stock')
    lookUps[1]!.answer('not now')
    expect(forwarded).toHaveLength(1)
  })

  test('gives its room to others', () => {
    const { ask, last, lookUps, forwarded, waiting, stock } = setUp({ most: 2 })
    ask('stock')
    ask('a.test')
    ask('b.test')
    expect(last()).toMatchObject({ code: 2 })
    expect(lookUps[0]!.isOver).toBe(true)
    ask('c.test')
    expect(forwarded.map(({ isOver }) => isOver)).toEqual([true, false, false])
    lookUps[0]!.answer(stock)
    expect(waiting.size).toBe(2)
  })
})

describe('other names', () => {
  test.each(['orders.service.dc2.consul', 'orders.default.svc.cluster.local', 'localhost', 'www.example.com'])(
    '%s is forwarded, and its answer passes unchanged',
    name => {
      const { ask, replies, forwarded, lookUps } = setUp()
      ask(name)
      const answer = answerTo(forwarded[0]!.bytes, 3)
      forwarded[0]!.done(answer)
      expect(replies[0]).toBe(answer)
      expect(lookUps).toEqual([])
    },
  )

  test.each<NoAnswer>(['late', 'failed', 'no server'])('without an answer (%s) get SERVFAIL', why => {
    const { ask, last, forwarded } = setUp()
    ask('a.test')
    forwarded[0]!.done(why)
    expect(last()).toMatchObject({ code: 2, flags: 0x8182 })
  })

  test('that come back are not forwarded again', () => {
    const { ask, last, forwarded, loops, comesBack } = setUp()
    comesBack()
    ask('a.test')
    expect([last().code, forwarded.length, loops()]).toEqual([2, 0, 1])
  })

  test('of virtual addresses are known here only', () => {
    const { ask, last, forwarded } = setUp()
    ask('24.142.110.240.in-addr.arpa', 12)
    expect(last().answers[0]!.data.latin1Slice(1, 7)).toBe('orders')
    ask('1.0.64.240.in-addr.arpa', 12)
    expect(last().code).toBe(3)
    ask('1.0.0.10.in-addr.arpa', 12)
    expect(forwarded).toHaveLength(1)
  })

  test.each([252, 251])('a zone transfer is refused (type %i)', type => {
    const { ask, last } = setUp()
    ask('example.com', type)
    expect(last().code).toBe(5)
  })
})
