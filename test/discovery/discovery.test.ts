import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { formatAddress } from '../../mesh-config/address.ts'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { discovery } from '../../proxy/discovery/discovery.ts'
import { lastKnown } from '../../proxy/discovery/last-known.ts'
import type { DiscoveredService } from '../../proxy/discovery/service-endpoints.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { logTape } from '../support/log-tape.ts'
import { endpointSpec } from '../support/specs.ts'
import { type ScriptedSource, scriptedSource } from './support/scripted-source.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'outrigger-discovery-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function stage(state: string | null = null) {
  const loop = new EventLoop()
  const log = logTape()
  const clock = manualClock(loop)
  const dead = new Set<string>()
  const changes: string[] = []
  const discovered = discovery({
    clock,
    log,
    random: () => 0.5,
    probe: (endpoint, answered) => loop.after(20, () => answered(!dead.has(formatAddress(endpoint)))),
    lastKnown: lastKnown({ folder: state, clock, log }),
    massRemovalPercent: () => 50,
    changed: (service, endpoints) => changes.push(`${service}: ${brief(endpoints)}`),
  })
  return { loop, log, dead, changes, discovered, of: (service: string) => brief(discovered.endpointsOf(service)) }
}

function brief(endpoints: readonly EndpointSpec[]): string {
  return endpoints.map(({ address, weight }) => (weight === 1 ? address : `${address}*${weight}`)).join(' ')
}

function service(
  name: string,
  sources: readonly ScriptedSource[],
  overrides: Partial<DiscoveredService> = {},
): DiscoveredService {
  return {
    name,
    fixed: [],
    sources: sources.map(source => ({ key: source.name, source })),
    subsetSize: 0,
    subsets: {},
    ...overrides,
  }
}

function set(text: string): EndpointSpec[] {
  return text
    .split(' ')
    .filter(Boolean)
    .map(each => {
      const [address, weight = '1'] = each.split('*')
      return endpointSpec(`${address}:80`, { weight: Number(weight) })
    })
}

const say = (source: ScriptedSource, text: string) => source.watcher()!.onSet(set(text))
const fail = (source: ScriptedSource, reason = 'no way') => source.watcher()!.onTrouble(reason)

describe('sources are combined', () => {
  test('later ones win on the same address, and the fixed list loses to all', () => {
    const { discovered, of, changes } = stage()
    const [file, consul] = [scriptedSource('file'), scriptedSource('consul')]
    discovered.configure([service('orders', [file, consul], { fixed: set('z*9 a*9 b*9') })])
    expect(of('orders')).toBe('z*9 a*9 b*9')
    say(file, 'b*2 c*2 d*2')
    expect(of('orders')).toBe('z*9 a*9 b*2 c*2 d*2')
    say(consul, 'a*3 d*3 e*3')
    expect(of('orders')).toBe('z*9 a*3 b*2 c*2 d*3 e*3')
    expect(changes).toHaveLength(2)
    // What a source no longer says is what the others say of it.
    say(consul, 'a*3 e*3')
    expect(of('orders')).toBe('z*9 a*3 b*2 c*2 d*2 e*3')
  })

  test('an answer that changes nothing is passed over, and what stays are the same objects', () => {
    const { discovered, changes } = stage()
    const consul = scriptedSource('consul')
    discovered.configure([service('orders', [consul])])
    say(consul, 'a b c')
    const before = discovered.endpointsOf('orders')
    say(consul, 'c b a')
    expect(discovered.endpointsOf('orders')).toBe(before)
    say(consul, 'a b*7 c')
    expect(changes).toEqual(['orders: a b c', 'orders: a b*7 c'])
    const after = discovered.endpointsOf('orders')
    expect([after[0], after[2]]).toEqual([before[0], before[2]])
    expect(after[0]).toBe(before[0])
  })

  test('each source is doubted for itself', () => {
    const { discovered, of, loop } = stage()
    const [file, consul] = [scriptedSource('file'), scriptedSource('consul')]
    discovered.configure([service('orders', [file, consul])])
    say(file, 'a b c')
    say(consul, 'p q r')
    say(consul, '')
    expect(of('orders')).toBe('a b c p q r')
    expect(discovered.statuses()[0]!.sources.map(({ name, suspects }) => [name, suspects])).toEqual([
      ['file', 0],
      ['consul', 3],
    ])
    say(file, 'a b')
    loop.advance(10_000)
    expect(of('orders')).toBe('a b p q r')
  })

  test('a suspect that takes no connection goes, and the data threads are told', () => {
    const { discovered, dead, changes, loop } = stage()
    const consul = scriptedSource('consul')
    discovered.configure([service('orders', [consul])])
    say(consul, 'a b c d')
    dead.add('c:80')
    say(consul, 'a')
    loop.advance(100)
    expect(changes.at(-1)).toBe('orders: a b d')
  })

  test('a random subset of all sources together', () => {
    const { discovered } = stage()
    const consul = scriptedSource('consul')
    const many = Array.from({ length: 50 }, (_, i) => `h${i}`).join(' ')
    discovered.configure([service('orders', [consul], { fixed: set('z1 z2'), subsetSize: 5 })])
    say(consul, many)
    expect(discovered.endpointsOf('orders')).toHaveLength(5)
    expect(discovered.statuses()[0]).toMatchObject({ endpoints: 5, known: 52, fixed: 2 })
  })
})

describe('reload', () => {
  test('what is still wanted keeps running, what is new is started, what is gone is stopped', () => {
    const { discovered, of, changes } = stage()
    const [kept, gone, again, news] = [
      scriptedSource('kept'),
      scriptedSource('gone'),
      scriptedSource('kept'),
      scriptedSource('news'),
    ]
    const other = scriptedSource('other')
    discovered.configure([service('orders', [kept, gone], { fixed: set('f') }), service('stock', [other])])
    say(kept, 'a')
    say(gone, 'b')
    say(other, 'o')
    changes.length = 0
    discovered.configure([service('orders', [again, news], { fixed: set('g') })])
    expect([kept.watched(), again.watched(), news.watched()]).toEqual([1, 0, 1])
    expect([kept.watcher(), gone.watcher(), other.watcher()].map(Boolean)).toEqual([true, false, false])
    expect(of('orders')).toBe('g a')
    expect(of('stock')).toBe('')
    expect([discovered.knows('orders'), discovered.knows('stock')]).toEqual([true, false])
    // Whoever configures looks for himself.
    expect(changes).toEqual([])
    say(kept, 'a b')
    expect(changes).toEqual(['orders: g a b'])
  })

  test('where another source takes the place of the only one, its endpoints count until that has answered', () => {
    const { discovered, of } = stage()
    const [old, fresh] = [scriptedSource('old'), scriptedSource('fresh')]
    discovered.configure([service('orders', [old])])
    say(old, 'a b')
    discovered.configure([service('orders', [fresh])])
    expect(of('orders')).toBe('a b')
    say(old, 'a b c')
    expect(of('orders')).toBe('a b c')
    say(fresh, 'x')
    expect(of('orders')).toBe('x')
    expect([old.watcher(), fresh.watcher()].map(Boolean)).toEqual([false, true])
  })

  test('a source may answer while it is being started', () => {
    const { discovered, of, changes } = stage()
    const eager = {
      name: 'eager',
      watch: (watcher: { onSet(endpoints: EndpointSpec[]): void }) => watcher.onSet(set('a b')),
    }
    discovered.configure([
      { name: 'orders', fixed: [], sources: [{ key: 'eager', source: eager }], subsetSize: 0, subsets: {} },
    ])
    expect(of('orders')).toBe('a b')
    expect(changes).toEqual([])
  })

  test('also when others run already: nobody sees the half of it', () => {
    const { discovered, of, changes } = stage()
    const kept = scriptedSource('kept')
    discovered.configure([service('orders', [kept])])
    say(kept, 'a')
    changes.length = 0
    const eager = {
      name: 'eager',
      watch: (watcher: { onSet(endpoints: EndpointSpec[]): void }) => watcher.onSet(set('b')),
    }
    const sources = [eager, kept].map(source => ({ key: source.name, source }))
    discovered.configure([{ name: 'orders', fixed: [], sources, subsetSize: 0, subsets: {} }])
    expect(of('orders')).toBe('b a')
    expect(changes).toEqual([])
  })

  test('a source that was let go is not listened to, nor is what it says remembered', async () => {
    const state = folder()
    const { discovered, of, changes } = stage(state)
    const consul = scriptedSource('consul')
    discovered.configure([service('orders', [consul], { fixed: set('f') })])
    const watcher = consul.watcher()!
    discovered.configure([service('orders', [], { fixed: set('f') })])
    watcher.onSet(set('late'))
    watcher.onTrouble('late')
    expect(of('orders')).toBe('f')
    expect(changes).toEqual([])
    await discovered.stop()
    const next = stage(state)
    const again = scriptedSource('consul')
    next.discovered.configure([service('orders', [again])])
    fail(again)
    expect(next.of('orders')).toBe('')
  })
})

describe('the first answers', () => {
  const isDone = async (promise: Promise<void>) => {
    const pending = Symbol()
    // All that is due without the clock.
    await new Promise(setImmediate)
    return (await Promise.race([promise, Promise.resolve(pending)])) !== pending
  }

  test('are there when every source has answered or failed', async () => {
    const { discovered } = stage()
    const [file, consul, other] = [scriptedSource('file'), scriptedSource('consul'), scriptedSource('other')]
    discovered.configure([service('orders', [file, consul]), service('stock', [other])])
    const [all, orders, none] = [
      discovered.firstAnswers(null, 3_000),
      discovered.firstAnswers(['orders'], 3_000),
      discovered.firstAnswers(['unknown'], 3_000),
    ]
    expect(await isDone(none)).toBe(true)
    say(file, 'a')
    expect(await isDone(orders)).toBe(false)
    fail(consul)
    expect(await isDone(orders)).toBe(true)
    expect(await isDone(all)).toBe(false)
    say(other, '')
    expect(await isDone(all)).toBe(true)
  })

  test('are not waited for longer than the limit, nor for what is no longer wanted', async () => {
    const { discovered, loop } = stage()
    discovered.configure([service('orders', [scriptedSource('consul')])])
    const limited = discovered.firstAnswers(null, 3_000)
    loop.advance(2_900)
    expect(await isDone(limited)).toBe(false)
    loop.advance(200)
    expect(await isDone(limited)).toBe(true)
    expect(await isDone(discovered.firstAnswers(null, 3_000))).toBe(true)

    discovered.configure([service('stock', [scriptedSource('consul')])])
    const dropped = discovered.firstAnswers(null, 3_000)
    discovered.configure([])
    expect(await isDone(dropped)).toBe(true)
  })
})

describe('trouble', () => {
  test('what a source said last stays, and the state says how old it is', () => {
    const { discovered, of, loop } = stage()
    const consul = scriptedSource('consul')
    discovered.configure([service('orders', [consul])])
    const status = () => discovered.statuses()[0]!.sources[0]!
    expect(status()).toEqual({
      name: 'consul',
      state: 'waiting',
      ageMs: null,
      trouble: '',
      endpoints: 0,
      suspects: 0,
      fromDisk: false,
    })
    fail(consul, 'refused')
    expect(status()).toMatchObject({ state: 'waiting', ageMs: null, trouble: 'refused' })
    say(consul, 'a b')
    expect(status()).toMatchObject({ state: 'fresh', ageMs: 0, trouble: '', endpoints: 2 })
    loop.advance(60_000)
    fail(consul, 'refused')
    loop.advance(5_000)
    expect(status()).toMatchObject({ state: 'stale', ageMs: 65_000, trouble: 'refused', endpoints: 2, fromDisk: false })
    expect(of('orders')).toBe('a b')
    say(consul, 'a b c')
    expect(status()).toMatchObject({ state: 'fresh', ageMs: 0, trouble: '' })
  })

  test('a line when it begins and a line when it ends, for all services together, however often it is tried', () => {
    const { discovered, loop, log } = stage()
    const names = ['orders', 'stock', 'web', 'users', 'mail', 'cart', 'ads']
    const sources = names.map(() => scriptedSource('consul'))
    discovered.configure(names.map((name, i) => service(name, [sources[i]!])))
    for (const source of sources) say(source, 'a')
    loop.advance(10_000)
    for (let attempt = 0; attempt < 20; attempt++) {
      for (const source of sources) fail(source, 'connect ECONNREFUSED 127.0.0.1:8500')
      loop.advance(3_000)
    }
    for (const source of sources) say(source, 'a')
    loop.advance(2_000)
    expect(log.lines()).toEqual([
      'warn ads, cart, mail, orders, stock and 2 more services: no answer from consul, what is known stays in force: connect ECONNREFUSED 127.0.0.1:8500 source=consul services=7',
      'info ads, cart, mail, orders, stock and 2 more services: consul answers again after 70 s source=consul services=7',
    ])
  })

  test('what is over within a second is not worth a line', () => {
    const { discovered, loop, log } = stage()
    const consul = scriptedSource('consul')
    discovered.configure([service('orders', [consul])])
    say(consul, 'a')
    fail(consul)
    loop.advance(500)
    say(consul, 'a')
    loop.advance(5_000)
    expect(log.lines()).toEqual([])
  })

  test('different reasons are different lines', () => {
    const { discovered, loop, log } = stage()
    const sources = ['consul', 'consul', 'dns a'].map(scriptedSource)
    discovered.configure(['orders', 'stock', 'web'].map((name, i) => service(name, [sources[i]!])))
    fail(sources[0]!, 'forbidden')
    fail(sources[1]!, 'refused')
    fail(sources[2]!, 'refused')
    loop.advance(2_000)
    expect(log.lines()).toEqual([
      'warn orders: no answer from consul, what is known stays in force: forbidden source=consul services=1',
      'warn stock: no answer from consul, what is known stays in force: refused source=consul services=1',
      'warn web: no answer from dns a, what is known stays in force: refused source=dns a services=1',
    ])
  })
})

describe('what was known last', () => {
  async function left(state: string, text: string): Promise<void> {
    const { discovered } = stage(state)
    const consul = scriptedSource('consul')
    discovered.configure([service('orders', [consul])])
    say(consul, text)
    await discovered.stop()
  }

  test('is used when the first answer is trouble, and replaced by a real answer', async () => {
    const state = folder()
    await left(state, 'a b')
    const { discovered, of, changes, loop } = stage(state)
    const consul = scriptedSource('consul')
    discovered.configure([service('orders', [consul])])
    expect(of('orders')).toBe('')
    loop.advance(60_000)
    fail(consul, 'refused')
    expect(of('orders')).toBe('a b')
    expect(changes).toEqual(['orders: a b'])
    expect(discovered.statuses()[0]!.sources[0]).toMatchObject({
      state: 'stale',
      ageMs: 60_000,
      fromDisk: true,
      trouble: 'refused',
    })
    say(consul, 'a b c')
    expect(of('orders')).toBe('a b c')
    expect(discovered.statuses()[0]!.sources[0]).toMatchObject({ state: 'fresh', fromDisk: false })
  })

  test('is used when there is no first answer in time', async () => {
    const state = folder()
    await left(state, 'a b')
    const { discovered, of, loop } = stage(state)
    discovered.configure([service('orders', [scriptedSource('consul')])])
    const answers = discovered.firstAnswers(null, 3_000)
    loop.advance(3_100)
    await answers
    expect(of('orders')).toBe('a b')
    expect(discovered.statuses()[0]!.sources[0]).toMatchObject({ state: 'stale', fromDisk: true, trouble: '' })
  })

  test('is not looked at when there is an answer: it is the truth, however little it is', async () => {
    const state = folder()
    await left(state, 'a b c d')
    const { discovered, of } = stage(state)
    const consul = scriptedSource('consul')
    discovered.configure([service('orders', [consul])])
    say(consul, 'x')
    expect(of('orders')).toBe('x')
  })

  test('an empty first answer does not empty what takes connections', async () => {
    const state = folder()
    await left(state, 'a b')
    const { discovered, of, dead, loop } = stage(state)
    const consul = scriptedSource('consul')
    discovered.configure([service('orders', [consul])])
    dead.add('b:80')
    say(consul, '')
    expect(of('orders')).toBe('a b')
    loop.advance(100)
    expect(of('orders')).toBe('a')
    // And what is doubted is what the next start knows.
    await discovered.stop()
    const next = stage(state)
    const again = scriptedSource('consul')
    next.discovered.configure([service('orders', [again])])
    fail(again)
    expect(next.of('orders')).toBe('a')
    expect(next.discovered.endpointsOf('orders')[0]!.healthReason).toBe('')
  })

  test('an empty first answer is believed against what nobody has confirmed for a day: its addresses may be those of others by now', async () => {
    const state = folder()
    await left(state, 'a b')
    const { discovered, of, loop } = stage(state)
    const consul = scriptedSource('consul')
    discovered.configure([service('orders', [consul])])
    loop.advance(25 * 3_600_000)
    say(consul, '')
    expect(of('orders')).toBe('')
  })

  test('a later answer is doubted against it too', async () => {
    const state = folder()
    await left(state, 'a b c d')
    const { discovered, of } = stage(state)
    const consul = scriptedSource('consul')
    discovered.configure([service('orders', [consul])])
    fail(consul)
    say(consul, 'a')
    expect(of('orders')).toBe('a b c d')
    expect(discovered.statuses()[0]!.sources[0]!.suspects).toBe(3)
  })

  test('of another source or service it says nothing', async () => {
    const state = folder()
    await left(state, 'a b')
    const { discovered, of } = stage(state)
    const [dns, consul] = [scriptedSource('dns orders'), scriptedSource('consul')]
    discovered.configure([service('orders', [dns]), service('stock', [consul])])
    fail(dns)
    fail(consul)
    expect([of('orders'), of('stock')]).toEqual(['', ''])
  })
})
