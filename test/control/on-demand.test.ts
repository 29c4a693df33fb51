import { describe, expect, test } from 'vitest'
import { type LookUp, type Names, onDemand } from '../../proxy/control/on-demand.ts'
import type { Unknown } from '../../proxy/core/channel.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { serviceSpec, snapshotOf } from '../support/specs.ts'

const nobody: Unknown = { certain: true, reason: 'Consul knows no instance' }
const down: Unknown = { certain: false, reason: 'refused' }

function onDemandOf() {
  const loop = new EventLoop()
  const asked: string[] = []
  const dropped: string[] = []
  let changes = 0
  const lists: PromiseWithResolvers<Names>[] = []
  const pending = new Map<string, (result: LookUp) => void>()
  const own = onDemand({
    clock: manualClock(loop),
    lookUp(service) {
      asked.push(service)
      return new Promise(resolve => pending.set(service, resolve))
    },
    names() {
      lists.push(Promise.withResolvers<Names>())
      return lists.at(-1)!.promise
    },
    changed: () => void changes++,
    registry: () => 'Consul',
    drop: service => void dropped.push(service),
  })
  return {
    own,
    loop,
    asked,
    dropped,
    changes: () => changes,
    lists: () => lists.length,
    /** What the registry has, to the question for its names that is open. */
    async list(names: readonly string[] | Error, whole = true) {
      if (names instanceof Error) lists.at(-1)!.reject(names)
      else lists.at(-1)!.resolve({ has: name => names.includes(name), whole })
      await new Promise(resolve => setImmediate(resolve))
    },
    async answer(service: string, result: LookUp) {
      pending.get(service)!(result)
      await new Promise(resolve => setImmediate(resolve))
    },
  }
}

const template = serviceSpec('', [], { balancer: 'peak_ewma' })

test('a service that is found goes into the snapshot, under its name, with the policy of those that no file names', async () => {
  const { own, answer, asked, changes } = onDemandOf()
  const answers: Unknown[] = []
  own.want('cart', why => answers.push(why))
  own.want('cart', why => answers.push(why))
  expect(asked).toEqual(['cart'])
  await answer('cart', 'found')
  expect([changes(), answers, own.names()]).toEqual([1, [], ['cart']])
  const { services } = own.extend(snapshotOf([serviceSpec('orders', [])]), template)
  expect(Object.keys(services)).toEqual(['orders', 'cart'])
  expect(services.cart).toMatchObject({
    name: 'cart',
    balancer: { type: 'peak_ewma' },
    routes: [{ to: [{ service: 'cart' }] }],
  })
})

test('what a file names by now is the file’s; without on-demand discovery nothing is added', async () => {
  const { own, answer } = onDemandOf()
  own.want('cart', () => {})
  await answer('cart', 'found')
  const snapshot = snapshotOf([serviceSpec('cart', ['a:1'])])
  expect(own.extend(snapshot, template)).toBe(snapshot)
  const empty = snapshotOf([])
  expect(own.extend(empty, null)).toBe(empty)
})

test('one with a name that every object seems to have is one like others', async () => {
  const { own, answer } = onDemandOf()
  own.want('constructor', () => {})
  await answer('constructor', 'found')
  expect(Object.keys(own.extend(snapshotOf([]), template).services)).toEqual(['constructor'])
  own.sweep(new Map(), 60_000)
  expect(own.names()).toEqual(['constructor'])
})

test('one that is not there: everyone who waits hears it, and it is believed for a while', async () => {
  const { own, answer, asked, dropped, loop } = onDemandOf()
  const answers: Unknown[] = []
  own.want('nix', why => answers.push(why))
  own.want('nix', why => answers.push(why))
  await answer('nix', nobody)
  own.want('nix', why => answers.push(why))
  expect([answers, asked, dropped]).toEqual([[nobody, nobody, nobody], ['nix'], ['nix']])
  loop.advance(2_000)
  own.want('nix', () => {})
  expect(asked).toEqual(['nix', 'nix'])
})

test('one that could not be looked up is looked up again at once', async () => {
  const { own, answer, asked } = onDemandOf()
  own.want('cart', () => {})
  await answer('cart', down)
  own.want('cart', () => {})
  expect(asked).toEqual(['cart', 'cart'])
})

test('a data thread that has missed the snapshot with it gets one', async () => {
  const { own, answer, changes } = onDemandOf()
  own.want('cart', () => {})
  await answer('cart', 'found')
  own.want('cart', () => expect.unreachable())
  expect(changes()).toBe(2)
})

describe('letting go', () => {
  test('of what had no request for so long, and of nothing else', async () => {
    const { own, answer, loop, dropped, changes } = onDemandOf()
    for (const service of ['cart', 'stock']) {
      own.want(service, () => {})
      await answer(service, 'found')
    }
    own.sweep(
      new Map([
        ['cart', 1],
        ['stock', 1],
      ]),
      60_000,
    )
    loop.advance(59_999)
    own.sweep(
      new Map([
        ['cart', 2],
        ['stock', 1],
      ]),
      60_000,
    )
    expect(dropped).toEqual([])
    loop.advance(1)
    own.sweep(
      new Map([
        ['cart', 2],
        ['stock', 1],
      ]),
      60_000,
    )
    expect([dropped, own.names(), changes()]).toEqual([['stock'], ['cart'], 3])
  })

  test('not of one that no data thread speaks of: it may be starting', async () => {
    const { own, answer, loop, dropped } = onDemandOf()
    own.want('cart', () => {})
    await answer('cart', 'found')
    own.sweep(new Map([['cart', 5]]), 1_000)
    loop.advance(999)
    own.sweep(new Map(), 1_000)
    expect(dropped).toEqual([])
  })
})

test('several at once: each has its own answer, and all are watched until they have it', async () => {
  const { own, answer, dropped } = onDemandOf()
  const answers: Unknown[] = []
  for (const service of ['cart', 'stock', 'nix', 'orders']) own.want(service, why => answers.push(why))
  expect(own.lookedUp()).toEqual(['cart', 'stock', 'nix', 'orders'])
  await answer('nix', nobody)
  await answer('stock', 'found')
  expect([own.lookedUp(), dropped]).toEqual([['cart', 'orders'], ['nix']])
  await answer('orders', 'found')
  await answer('cart', 'found')
  expect([own.names(), answers]).toEqual([['stock', 'orders', 'cart'], [nobody]])
})

describe('a scanner asks for made-up names', () => {
  function scanned() {
    const stage = onDemandOf()
    const answers = new Map<string, Unknown>()
    const want = (service: string) => stage.own.want(service, why => answers.set(service, why))
    for (let i = 0; i < 5_000; i++) want(`made-up-${i}`)
    return { ...stage, answers, want }
  }

  test('few are looked up by themselves; one question answers all others, and a service that exists is found beside them', async () => {
    const { asked, want, loop, list, lists, answers, own, answer } = scanned()
    expect(asked).toHaveLength(16)
    want('cart')
    loop.advance(10)
    expect(lists()).toBe(1)
    await list(['cart', 'stock'])
    expect(answers.size).toBe(5_000 - 16)
    expect(answers.get('made-up-4999')).toEqual({ certain: true, reason: 'Consul knows no service "made-up-4999"' })
    expect(asked.slice(16)).toEqual(['cart'])
    await answer('cart', 'found')
    expect([own.names(), answers.has('cart')]).toEqual([['cart'], false])
  })

  test('however fast Consul answers, few look-ups a second find nothing; those that find something cost nothing', async () => {
    const { own, asked, answer, loop, list } = onDemandOf()
    for (let i = 0; i < 500; i++) {
      own.want(`made-up-${i}`, () => {})
      if (asked.at(-1) === `made-up-${i}`) await answer(`made-up-${i}`, nobody)
      loop.advance(1)
    }
    expect(asked.length).toBeLessThanOrEqual(16 + 16)
    await list([])
    loop.advance(1_000)
    for (let i = 0; i < 100; i++) {
      own.want(`real-${i}`, () => {})
      await answer(`real-${i}`, 'found')
    }
    expect(own.names()).toHaveLength(100)
  })

  test('a name is answered by a list that was asked for after it', async () => {
    const { want, loop, list, lists, answers, asked } = scanned()
    loop.advance(10)
    want('cart')
    await list([])
    expect(answers.has('cart')).toBe(false)
    loop.advance(100)
    expect(lists()).toBe(2)
    await list(['cart'])
    expect(asked.at(-1)).toBe('cart')
  })

  test('what was found is never pushed out, and nothing is remembered without end', async () => {
    const { own, answer, want, loop, list } = scanned()
    await answer('made-up-0', 'found')
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 1_000; i++) want(`${round}-${i}`)
      loop.advance(100)
      await list([])
    }
    expect(own.names()).toEqual(['made-up-0'])
  })

  test('the registry does not answer: that is no proof that there is no such service', async () => {
    const { list, loop, answers, want, lists } = scanned()
    loop.advance(10)
    await list(new Error('Consul refuses connections'))
    expect(answers.get('made-up-4999')).toEqual({
      certain: false,
      reason: '"made-up-4999" could not be looked up: Consul refuses connections',
    })
    // And it is asked again.
    want('made-up-4999')
    loop.advance(100)
    expect(lists()).toBe(2)
  })

  test('a token that does not see every service proves nothing by what it does not see', async () => {
    const { list, loop, answers } = scanned()
    loop.advance(10)
    await list(['stock'], false)
    expect(answers.get('made-up-4999')).toMatchObject({ certain: false })
  })

  test('a list that takes long is not asked for all the time', async () => {
    const { list, lists, loop, want } = scanned()
    loop.advance(10)
    loop.advance(100)
    await list([])
    want('more')
    loop.advance(490)
    expect(lists()).toBe(1)
    loop.advance(100)
    expect(lists()).toBe(2)
  })
})

test('names come from requests: there are bounds', async () => {
  const { own, loop, list, answer } = onDemandOf()
  const refused: Unknown[] = []
  const real = Array.from({ length: 1_001 }, (_, i) => `s${i}`)
  for (const name of real) own.want(name, why => refused.push(why))
  loop.advance(10)
  await list(real)
  expect(refused).toEqual([
    { certain: false, reason: '1000 services were found on demand already: name "s1000" in a file' },
  ])
  await answer('s1', 'found')
  for (let i = 0; i < 20_000; i++) own.want(`made-up-${i}`, why => refused.push(why))
  expect(refused.at(-1)).toMatchObject({
    certain: false,
    reason: expect.stringContaining('20000 unknown names are being looked up already'),
  })
})
