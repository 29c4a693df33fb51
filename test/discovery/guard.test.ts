import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatAddress } from '../../mesh-config/address.ts'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { NODE_LOST } from '../../proxy/core/source.ts'
import { type Guard, guard } from '../../proxy/discovery/guard.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { logTape } from '../support/log-tape.ts'
import '../support/seed.ts'
import { endpointSpec } from '../support/specs.ts'

const PROBE_MS = 20

/** A guard among instances that are there or not, whatever answers say. */
function stage({ percent = 50, probeMs = PROBE_MS } = {}) {
  const loop = new EventLoop()
  const log = logTape()
  /** Addresses that take no connections. */
  const dead = new Set<string>()
  const probed: string[] = []
  let changes = 0
  const guarded: Guard = guard({
    service: 'orders',
    source: 'consul',
    massRemovalPercent: () => percent,
    probe: (endpoint, answered) => {
      const name = formatAddress(endpoint)
      probed.push(name)
      loop.after(probeMs, () => answered(!dead.has(name)))
    },
    clock: manualClock(loop),
    log,
    changed: () => changes++,
  })
  const use = () =>
    guarded
      .endpoints()
      .map(endpoint => `${endpoint.address}${endpoint.health === 'passing' ? '' : `=${endpoint.health}`}`)
  return {
    guarded,
    dead,
    probed,
    log,
    loop,
    changes: () => changes,
    /** `a b=critical c=lost`. */
    take(said: string) {
      guarded.take(said.split(' ').filter(Boolean).map(instance))
      return use()
    },
    use,
    suspects: () =>
      guarded.endpoints().flatMap(({ address, healthReason }) => (healthReason.startsWith('suspect') ? address : [])),
  }
}

function instance(said: string): EndpointSpec {
  const [address, health = 'passing'] = said.split('=')
  if (health === 'lost')
    return endpointSpec(`${address}:80`, { health: 'critical', healthReason: `${NODE_LOST}agent not live` })
  return endpointSpec(`${address}:80`, {
    health: health as EndpointSpec['health'],
    healthReason: health === 'passing' ? '' : 'as it says',
  })
}

describe('answers that are believed', () => {
  test('endpoints come, and go a few at a time', () => {
    const { take, loop } = stage()
    expect(take('b a')).toEqual(['a', 'b'])
    expect(take('a b c d')).toEqual(['a', 'b', 'c', 'd'])
    expect(take('a b')).toEqual(['a', 'b'])
    loop.advance(10_100)
    expect(take('b')).toEqual(['b'])
  })

  test('what an instance is said to be is obeyed at once, also of all of them', () => {
    const { take, log, suspects } = stage()
    take('a b c d')
    expect(take('a=critical b=maintenance c=draining d=critical')).toEqual([
      'a=critical',
      'b=maintenance',
      'c=draining',
      'd=critical',
    ])
    expect(suspects()).toEqual([])
    expect(log.lines()).toEqual([])
  })

  test('one lost node is a lost node', () => {
    const { take } = stage()
    take('a b c d')
    expect(take('a b c=lost d')).toEqual(['a', 'b', 'c=critical', 'd'])
  })

  test('100 %: all but one may go at once', () => {
    const { take } = stage({ percent: 100 })
    take('a b c d')
    expect(take('e')).toEqual(['e'])
  })
})

describe('most are gone at once', () => {
  test('they stay as suspects, and go when a second answer says the same', () => {
    const { take, suspects, loop, log } = stage()
    take('a b c d e')
    expect(take('a b')).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(suspects()).toEqual(['c', 'd', 'e'])
    loop.advance(500)
    // Too soon: a source may say the same thing twice in one breath.
    expect(take('a b')).toEqual(['a', 'b', 'c', 'd', 'e'])
    loop.advance(600)
    expect(take('a b')).toEqual(['a', 'b'])
    expect(log.lines()).toEqual([
      'warn orders: consul left out 3 of 5 endpoints at once: they stay as suspects until connections to them fail or a second answer says the same service=orders source=consul suspects=3',
      'info orders: nothing of consul is suspect any longer: 0 came back, 0 took no connection, 3 confirmed gone service=orders source=consul back=0 dead=0 confirmed=3',
    ])
  })

  test('a suspect that takes no connections goes at once', () => {
    const { take, use, dead, loop, changes, log } = stage()
    take('a b c d')
    dead.add('c:80')
    take('a')
    loop.advance(PROBE_MS + 20)
    expect(use()).toEqual(['a', 'b', 'd'])
    expect(changes()).toBe(1)
    expect(log.lines()).toHaveLength(1)
    // And later, while doubt lasts: it is asked again and again.
    dead.add('b:80').add('d:80')
    loop.advance(5_100)
    expect(use()).toEqual(['a'])
    expect(log.lines()[1]).toContain('0 came back, 3 took no connection, 0 confirmed gone')
  })

  test('those that come back are no suspects any longer, and confirm nothing about the others', () => {
    const { take, suspects, loop } = stage()
    take('a b c d e')
    take('a')
    loop.advance(2_000)
    expect(take('a b')).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(suspects()).toEqual(['c', 'd', 'e'])
    loop.advance(2_000)
    expect(take('a b c d e')).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(suspects()).toEqual([])
  })

  test('what is said of a suspect itself is obeyed', () => {
    const { take } = stage()
    take('a b c d e')
    take('a')
    expect(take('a b=maintenance')).toEqual(['a', 'b=maintenance', 'c', 'd', 'e'])
  })

  test('a source that never says the same thing twice has its way after ten seconds', () => {
    const { take, guarded, loop } = stage()
    take('a b c d e f')
    take('a b')
    expect(guarded.isUndecided()).toBe(true)
    for (let i = 0; i < 5; i++) {
      loop.advance(1_000)
      expect(take('a b c')).toContain('f')
      loop.advance(900)
      take('a b')
    }
    loop.advance(600)
    expect(take('a b c')).toEqual(['a', 'b', 'c'])
    expect(guarded.isUndecided()).toBe(false)
  })

  test('instances whose nodes are lost are as if left out', () => {
    const { take, suspects, dead, loop, use } = stage()
    take('a b c d')
    expect(take('a b=lost c=lost d=lost')).toEqual(['a', 'b', 'c', 'd'])
    expect(suspects()).toEqual(['b', 'c', 'd'])
    dead.add('b:80')
    loop.advance(100)
    // This one is not there any longer, and shown as the registry has it.
    expect(use()).toEqual(['a', 'b=critical', 'c', 'd'])
  })

  test('a registry that loses its nodes one answer after the other is doubted too', () => {
    const { take, loop, suspects, log } = stage()
    take('a b c d e f')
    const answers = [
      'a b c d e f=lost',
      'a b c d e=lost f=lost',
      'a b c d=lost e=lost f=lost',
      'a b c=lost d=lost e=lost f=lost',
    ]
    for (const answer of answers) {
      loop.advance(1_500)
      take(answer)
    }
    expect(suspects()).toEqual(['c'])
    expect(log.lines()).toEqual([
      'warn orders: consul left out 4 of 6 endpoints in a short time: they stay as suspects until connections to them fail or a second answer says the same service=orders source=consul suspects=1',
    ])
    loop.advance(1_500)
    // And an answer that takes away still more does not confirm the one before.
    expect(take('a b=lost c=lost d=lost e=lost f=lost')).toEqual([
      'a',
      'b',
      'c',
      'd=critical',
      'e=critical',
      'f=critical',
    ])
  })

  test('a rolling restart is not', () => {
    const { take, loop, suspects } = stage()
    take('a b c d')
    for (const answer of ['b c d', 'a b c d', 'a c d', 'a b c d', 'a b d', 'a b c d', 'a b c', 'a b c d']) {
      loop.advance(1_000)
      take(answer)
      expect(suspects()).toEqual([])
    }
  })

  test('two of two are no crowd', () => {
    const { take } = stage()
    take('a b')
    expect(take('c')).toEqual(['c'])
  })
})

describe('nothing is left', () => {
  test('only failed connections take away then, however often it is said', () => {
    const { take, loop, use, dead, log } = stage()
    take('a')
    for (let i = 0; i < 100; i++) {
      loop.advance(60_000)
      expect(take('')).toEqual(['a'])
    }
    dead.add('a:80')
    loop.advance(6_000)
    expect(use()).toEqual([])
    expect(log.lines()).toEqual([
      'warn orders: consul says that no usable endpoint is left of 1: they stay as suspects until connections to them fail service=orders source=consul suspects=1',
      'info orders: nothing of consul is suspect any longer: 0 came back, 1 took no connection, 0 confirmed gone service=orders source=consul back=0 dead=1 confirmed=0',
    ])
  })

  test('each is asked every five seconds, not more often', () => {
    const { take, loop, probed } = stage()
    take('a b')
    take('')
    for (let i = 0; i < 60; i++) {
      loop.advance(1_000)
      take('')
    }
    expect(probed.filter(name => name === 'a:80').length).toBeGreaterThanOrEqual(12)
    expect(probed.filter(name => name === 'a:80').length).toBeLessThanOrEqual(13)
  })

  test('none is asked again before it has answered', () => {
    const { take, loop, probed } = stage({ probeMs: 12_000 })
    take('a b')
    take('')
    loop.advance(11_000)
    expect(probed).toEqual(['a:80', 'b:80'])
    loop.advance(5_000)
    expect(probed).toHaveLength(4)
  })

  test('an answer that comes after it was cleared of suspicion is none', () => {
    const { take, loop, dead, use, changes, log } = stage({ probeMs: 3_000 })
    dead.add('a:80')
    take('a b')
    take('')
    take('a b')
    loop.advance(4_000)
    expect(use()).toEqual(['a', 'b'])
    expect(changes()).toBe(0)
    expect(log.lines()[1]).toContain('2 came back, 0 took no connection')
  })

  test('the first answer with somebody in it confirms nothing yet', () => {
    const { take, loop } = stage()
    take('a b c d')
    take('')
    loop.advance(3_000)
    expect(take('x')).toEqual(['a', 'b', 'c', 'd', 'x'])
    loop.advance(1_100)
    expect(take('x')).toEqual(['x'])
  })

  test('also at 100 %', () => {
    const { take } = stage({ percent: 100 })
    take('a b c')
    expect(take('')).toEqual(['a', 'b', 'c'])
  })

  test('all nodes lost: kept; one of them said to be critical: not that one', () => {
    const { take, suspects } = stage()
    take('a b')
    expect(take('a=lost b=lost')).toEqual(['a', 'b'])
    expect(take('a=lost b=critical')).toEqual(['a', 'b=critical'])
    expect(suspects()).toEqual(['a'])
  })

  test('failing ones are kept too, as failing: they are for panic', () => {
    const { take } = stage()
    take('a=failing b')
    expect(take('')).toEqual(['a=failing', 'b'])
  })

  test('a registry that comes to itself bit by bit does not take away the others by that', () => {
    const { take, loop } = stage()
    take('a b c d')
    take('')
    for (const answer of ['b', 'b c', 'a b c']) {
      loop.advance(3_000)
      expect(take(answer)).toEqual(['a', 'b', 'c', 'd'])
    }
    loop.advance(3_000)
    expect(take('a b c')).toEqual(['a', 'b', 'c'])
  })

  test('what was assumed is measured against, and nothing doubted is remembered as such', () => {
    const { guarded, take } = stage()
    guarded.assume(['a', 'b'].map(instance))
    expect(take('')).toEqual(['a', 'b'])
    expect(guarded.trusted()).toEqual(['a', 'b'].map(instance))
  })
})

test('after it was stopped it asks nobody and says nothing', () => {
  const { take, guarded, dead, loop, changes, probed } = stage()
  take('a b c')
  dead.add('a:80').add('b:80').add('c:80')
  take('')
  guarded.stop()
  loop.advance(60_000)
  expect(changes()).toBe(0)
  expect(probed).toHaveLength(3)
})

const names = ['a', 'b', 'c', 'd', 'e', 'f']
const answers = fc.array(
  fc.record({
    said: fc.array(fc.constantFrom('passing', 'absent', 'lost'), { minLength: names.length, maxLength: names.length }),
    waitMs: fc.integer({ min: 0, max: 20_000 }),
  }),
  { maxLength: 30 },
)
const textOf = (said: readonly string[]) =>
  said.flatMap((what, i) => (what === 'absent' ? [] : what === 'lost' ? `${names[i]}=lost` : names[i]!)).join(' ')

test('whatever is left out or lost, a service whose endpoints take connections is never without one', () => {
  fc.assert(
    fc.property(answers, fc.integer({ min: 1, max: 100 }), (sequence, percent) => {
      const { take, use, loop } = stage({ percent })
      let had = false
      for (const { said, waitMs } of sequence) {
        take(textOf(said))
        had ||= said.includes('passing')
        for (const moment of [0, waitMs]) {
          loop.advance(moment)
          if (had) expect(use().some(name => !name.includes('='))).toBe(true)
        }
      }
    }),
  )
})

test('in the end it is as the source says, when it goes on saying so and something is left', () => {
  fc.assert(
    fc.property(answers, fc.subarray(names, { minLength: 1 }), (sequence, final) => {
      const { take, loop, suspects } = stage()
      for (const { said, waitMs } of sequence) {
        take(textOf(said))
        loop.advance(waitMs)
      }
      let use: string[] = []
      for (let i = 0; i < 3; i++) {
        use = take(final.join(' '))
        loop.advance(1_100)
      }
      expect(use).toEqual(final)
      expect(suspects()).toEqual([])
    }),
  )
})

test('dead ones are gone, whatever the source says of them, at the latest when they were asked', () => {
  fc.assert(
    fc.property(answers, fc.subarray(names), (sequence, dying) => {
      const { take, loop, suspects, dead } = stage()
      for (const { said } of sequence) take(textOf(said))
      for (const name of dying) dead.add(`${name}:80`)
      loop.advance(5_100)
      expect(suspects().filter(name => dying.includes(name))).toEqual([])
    }),
  )
})
