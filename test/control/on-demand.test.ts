import { describe, expect, test } from 'vitest'
import { type LookUp, onDemand } from '../../proxy/control/on-demand.ts'
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
  const pending = new Map<string, (result: LookUp) => void>()
  const own = onDemand({
    clock: manualClock(loop),
    lookUp(service) {
      asked.push(service)
      return new Promise(resolve => pending.set(service, resolve))
    },
    changed: () => void changes++,
    drop: service => void dropped.push(service),
  })
  return {
    own,
    loop,
    asked,
    dropped,
    changes: () => changes,
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
  expect(services.cart).toMatchObject({ name: 'cart', balancer: { type: 'peak_ewma' }, routes: [{ to: [{ service: 'cart' }] }] })
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
  own.sweep({}, 60_000)
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
  loop.advance(10_000)
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
    own.sweep({ cart: 1, stock: 1 }, 60_000)
    loop.advance(59_999)
    own.sweep({ cart: 2, stock: 1 }, 60_000)
    expect(dropped).toEqual([])
    loop.advance(1)
    own.sweep({ cart: 2, stock: 1 }, 60_000)
    expect([dropped, own.names(), changes()]).toEqual([['stock'], ['cart'], 3])
  })

  test('not of one that no data thread speaks of: it may be starting', async () => {
    const { own, answer, loop, dropped } = onDemandOf()
    own.want('cart', () => {})
    await answer('cart', 'found')
    own.sweep({ cart: 5 }, 1_000)
    loop.advance(999)
    own.sweep({}, 1_000)
    expect(dropped).toEqual([])
  })
})

test('names come from requests: there is a bound', async () => {
  const { own, asked } = onDemandOf()
  const refused: Unknown[] = []
  for (let i = 0; i < 1_001; i++) own.want(`s${i}`, why => refused.push(why))
  expect(asked).toHaveLength(1_000)
  expect(refused).toEqual([{ certain: false, reason: expect.stringContaining('name "s1000" in a file') }])
})
