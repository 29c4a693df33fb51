import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CONTENDERS, type Contender, contendersOf } from '../../bench/balancing/contenders.ts'
import { type Due, EventQueue } from '../../bench/balancing/engine/event-queue.ts'
import { type Run, simulate } from '../../bench/balancing/engine/simulate.ts'
import { callersOf } from '../../bench/balancing/engine/traffic.ts'
import { type Figures, figuresOf, percentile } from '../../bench/balancing/figures.ts'
import { renderMarkdown } from '../../bench/balancing/report/markdown.ts'
import { renderOverview } from '../../bench/balancing/report/overview.ts'
import { renderPicture } from '../../bench/balancing/report/picture.ts'
import { resultOf, type ScenarioResults } from '../../bench/balancing/results.ts'
import type { Scenario } from '../../bench/balancing/scenario.ts'
import { SCENARIOS } from '../../bench/balancing/scenarios.ts'
import { verdict } from '../../bench/balancing/verdict.ts'
import { policies } from '../../proxy/balancer/policies.ts'
import '../support/seed.ts'

/**
 * What balancers owe, in a small edition of bench/balancing. The simulator is the same, and so are the balancers: those
 * of proxy/.
 */

const SEEDS = [1, 2, 3]

/** As in the bench, but shorter: long enough for what is learnt to settle, and for load reports to count (10 s). */
function scenario(name: string, overrides: Partial<Scenario> = {}): Scenario {
  const found = SCENARIOS.find(one => one.name === name)!
  const isLarge = found.instances.length > 100
  return { ...found, warmUpMs: isLarge ? 2000 : 15_000, measuredMs: isLarge ? 2000 : 20_000, ...overrides }
}

function contender(name: string): Contender {
  return CONTENDERS.find(one => one.name === name)!
}

/** Every type there is, as it comes; those that hash do so by caller. */
const plain = Object.keys(policies).map(name => [name, contender(name)] as const)

function figures(of: Scenario, by: Contender, seed: number): Figures {
  return figuresOf(simulate(of, by, seed))
}

function meanMs({ log }: Run): number {
  return log.tookMs.subarray(0, log.length).reduce((sum, took) => sum + took, 0) / log.length
}

describe('the simulator', () => {
  test('what is due happens in order, and of equals what was planned first', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { maxLength: 300 }), delays => {
        const queue = new EventQueue()
        const start = queue.now
        const happened: (readonly [number, number])[] = []
        delays.forEach((delay, order) => {
          queue.plan(start + delay, { happen: () => void happened.push([queue.now - start, order]) })
        })
        queue.runUntil(start + 60)
        expect(happened).toEqual(
          delays.map((delay, order) => [delay, order] as const).sort((a, b) => a[0] - b[0] || a[1] - b[1]),
        )
        expect(queue.now).toBe(start + 60)
      }),
    )
  })

  test('what is planned while time passes has its turn, and what is not due yet waits', () => {
    const queue = new EventQueue()
    const start = queue.now
    const at: number[] = []
    const again: Due = {
      happen() {
        at.push(queue.now - start)
        queue.plan(queue.now + 10, again)
      },
    }
    queue.plan(start, again)
    queue.runUntil(start + 25)
    expect(at).toEqual([0, 10, 20])
    queue.runUntil(start + 30)
    expect(at).toEqual([0, 10, 20, 30])
  })

  test('one instance with one worker waits as queueing theory says (Pollaczek and Khinchine)', () => {
    const [one] = scenario('alike').instances
    const alone = scenario('alike', {
      instances: [{ ...one!, workers: 1 }],
      utilization: 0.5,
      sidecars: 1,
      measuredMs: 1_000_000,
    })
    const run = simulate(alone, contender('round_robin'), 1)
    // Work of 20 ms with a coefficient of variation of 1: 20 + 0.5 x 20 x (1 + 1) / (2 x (1 - 0.5)).
    expect(meanMs(run) / 40).toBeGreaterThan(0.93)
    expect(meanMs(run) / 40).toBeLessThan(1.07)
    expect(run.log.length / 25_000).toBeGreaterThan(0.97)
    expect(run.log.length / 25_000).toBeLessThan(1.03)
  })

  test('a stop of all work delays what is under way and what comes, and no more than that', () => {
    const [one] = scenario('alike').instances
    const stops = { everyMs: 800, lengthMs: 200 }
    const stopping = scenario('alike', {
      instances: [{ ...one!, workers: 100, stops }],
      utilization: 0.01,
      sidecars: 1,
      measuredMs: 1_000_000,
    })
    const run = simulate(stopping, contender('round_robin'), 1)
    expect(figuresOf(run).badShare / 0.2).toBeGreaterThan(0.95)
    expect(figuresOf(run).badShare / 0.2).toBeLessThan(1.05)
    // 200 ms for each 800 ms of work; and a fifth of the requests first wait for half a stop: 20 x (1 + 200 / 800) +
    // 0.2 x 100.
    expect(meanMs(run) / 45).toBeGreaterThan(0.96)
    expect(meanMs(run) / 45).toBeLessThan(1.04)
  })

  test.each(SCENARIOS.map(({ name }) => name))('%s: each request is answered once, nothing stays behind', name => {
    const short = scenario(name, { measuredMs: 2000, warmUpMs: 1000 })
    for (const by of contendersOf(short).filter(({ name: type }) => name !== 'thousand' || type === 'adaptive')) {
      const { log, left, instances } = simulate(short, by, 5)
      expect(log.length).toBeGreaterThan(100)
      expect(left, by.name).toBe(0)
      expect(log.status.subarray(0, log.length).every(status => status === 200 || status === 503)).toBe(true)
      const counted = instances.reduce((sum, { requests }) => sum + requests, 0)
      // Those that left got some before their sidecars knew.
      expect(counted).toBeLessThanOrEqual(log.length)
      if (short.change === null) expect(counted).toBe(log.length)
    }
  })

  test('the same seed takes the same course, another one another; and all balancers get the same requests', () => {
    const short = scenario('waiting', { measuredMs: 3000 })
    const course = (by: string, seed: number) => {
      const { log } = simulate(short, contender(by), seed)
      return { sent: [...log.sentAt.subarray(0, log.length)], took: [...log.tookMs.subarray(0, log.length)] }
    }
    for (const by of ['peak_ewma', 'adaptive']) expect(course(by, 1)).toEqual(course(by, 1))
    expect(course('adaptive', 2).sent).not.toEqual(course('adaptive', 1).sent)
    expect(course('adaptive', 1).sent).toEqual(course('maglev', 1).sent)
    expect(course('adaptive', 1).took).not.toEqual(course('maglev', 1).took)
  })
})

describe('one of ten is ten times slower', () => {
  test.each(['waiting', 'busy', 'busy-many'])(
    '%s: peak_ewma and adaptive have a third of the p99 of round_robin, or less',
    name => {
      for (const seed of SEEDS) {
        const even = figures(scenario(name), contender('round_robin'), seed)
        for (const by of ['peak_ewma', 'adaptive']) {
          const seen = figures(scenario(name), contender(by), seed)
          expect(even.p99Ms / seen.p99Ms, `${by}, seed ${seed}`).toBeGreaterThan(3)
          expect(seen.errors).toBe(0)
          // Less than one in a hundred may meet it, else it is the p99.
          expect(seen.badShare, `${by}, seed ${seed}`).toBeLessThan(0.015)
        }
      }
    },
  )

  test('it is given its share back when it is well again', () => {
    const spell = { fromMs: 15_000, lengthMs: 10_000, factor: 10 }
    const healed = scenario('spell', { warmUpMs: 15_000, measuredMs: 80_000 })
    const instances = healed.instances.map(one => (one.spell === null ? one : { ...one, spell }))
    for (const by of ['least_request', 'peak_ewma', 'response_time', 'adaptive']) {
      const { log } = simulate({ ...healed, instances }, contender(by), 1)
      expect(shareBetween(log, 5000, 10_000), `${by}, while it is slow`).toBeLessThan(0.04)
      expect(shareBetween(log, 70_000, 80_000), `${by}, long after`).toBeGreaterThan(0.07)
    }
  })
})

function shareBetween({ sentAt, toBad, length }: Run['log'], from: number, to: number): number {
  const rows = Array.from({ length }, (_, i) => i).filter(i => sentAt[i]! >= from && sentAt[i]! < to)
  return rows.filter(i => toBad[i] === 1).length / rows.length
}

describe('one of ten fails fast', () => {
  const failing = scenario('failing')
  const SHARE = 1 / 10

  /**
   * Four standard deviations above 1/n. Draws: binomial, of as many requests. By hash also callers, which are not
   * equally busy (the same variance with the sum of their squared shares in the place of 1/N), and on a ring how the
   * points fall (1,024 / 10 an instance: each share varies by its root).
   */
  function allowed({ name }: Contender, requests: number): number {
    const isHashed = policies[name as keyof typeof policies].hashes
    const draws = (SHARE * (1 - SHARE)) / requests
    const callers = isHashed ? SHARE * (1 - SHARE) * callersOf(failing).reduce((sum, share) => sum + share ** 2, 0) : 0
    const points = name === 'ring_hash' ? SHARE ** 2 / (1024 / 10) : 0
    return SHARE + 4 * Math.sqrt(draws + callers + points)
  }

  test.each(plain)('%s sends it no more than its share', (_name, by) => {
    for (const seed of SEEDS) {
      const { badShare, requests } = figures(failing, by, seed)
      expect(badShare, `seed ${seed}`).toBeLessThan(allowed(by, requests))
    }
  })

  test.each(['least_request', 'peak_ewma', 'response_time', 'adaptive', 'maglev, bound 125 %'])(
    '%s sends it hardly anything',
    name => {
      for (const seed of SEEDS)
        expect(figures(failing, contender(name), seed).badShare, `seed ${seed}`).toBeLessThan(0.01)
    },
  )

  test.each(plain)('%s sends it next to nothing with outlier detection', (_name, by) => {
    expect(figures(scenario('failing-outliers'), by, 1).badShare).toBeLessThan(0.005)
  })

  test('without a penalty for failures it would get more than its share: this is where such things show', () => {
    for (const type of ['least_request', 'peak_ewma'] as const) {
      const naive = { ...contender(type), balancer: { type, failurePenaltyMs: 0 } }
      const { badShare, requests } = figures(failing, naive, 1)
      expect(badShare, type).toBeGreaterThan(allowed(naive, requests))
    }
  })
})

describe('capacities 1 : 2 : 4', () => {
  /** Shares of the three sizes, each by what is right: 1 is in proportion. */
  function bySize({ instances }: Run): number[] {
    const whole = instances.reduce((sum, { requests }) => sum + requests, 0)
    return [2, 4, 8].map(workers => {
      const requests = instances
        .filter(({ spec }) => spec.workers === workers)
        .reduce((sum, one) => sum + one.requests, 0)
      return requests / whole / (workers / 14)
    })
  }

  test.each(plain)('%s honours weights', (_name, by) => {
    const run = simulate(scenario('weights'), by, 1)
    // Few callers make uneven shares where they are hashed; a busy fleet is kept even, which favours large instances a
    // little.
    for (const share of bySize(run)) {
      expect(share).toBeGreaterThan(0.7)
      expect(share).toBeLessThan(1.3)
    }
    expect(figuresOf(run).errors).toBe(0)
  })

  test.each(['round_robin', 'random'])('%s keeps to weights exactly', name => {
    for (const share of bySize(simulate(scenario('weights'), contender(name), 1)))
      expect(Math.abs(share - 1)).toBeLessThan(0.04)
  })

  test('adaptive learns them from load reports', () => {
    for (const seed of SEEDS) {
      const run = simulate(scenario('capacities', { warmUpMs: 30_000 }), contender('adaptive, load reports'), seed)
      for (const share of bySize(run)) {
        expect(share).toBeGreaterThan(0.7)
        expect(share).toBeLessThan(1.3)
      }
    }
  })

  test('what looks at latency or at requests under way copes without weights, what does not is overloaded', () => {
    for (const name of ['least_request', 'peak_ewma', 'response_time', 'adaptive'])
      expect(figures(scenario('capacities'), contender(name), 1).errors, name).toBe(0)
    expect(figures(scenario('capacities'), contender('round_robin'), 1).errors).toBeGreaterThan(0.05)
  })
})

/** A request that failed counts as one that is never answered: to fail is no way to be quick. */
function p99OfAll({ log }: Run): number {
  const times = Float64Array.from({ length: log.length }, (_, i) =>
    log.status[i] === 200 ? log.tookMs[i]! : Number.POSITIVE_INFINITY,
  )
  return percentile(times.sort(), 0.99)
}

describe('no worse than round_robin', () => {
  test.each(SCENARIOS.map(({ name }) => name))('%s: least_request', name => {
    const even = simulate(scenario(name), contender('round_robin'), 1)
    const seen = simulate(scenario(name), contender('least_request'), 1)
    // Where nothing is wrong they differ by chance.
    expect(p99OfAll(seen)).toBeLessThanOrEqual(1.1 * p99OfAll(even))
    expect(figuresOf(seen).errors).toBeLessThanOrEqual(figuresOf(even).errors)
  })
})

describe('what is told of it', () => {
  const some: ScenarioResults[] = ['alike', 'failing', 'failing-outliers', 'spell'].map(name => {
    const of = scenario(name, { measuredMs: 3000, warmUpMs: 1000 })
    return { scenario: of, results: contendersOf(of).map(by => resultOf(of, by, simulate(of, by, 1))) }
  })

  test('figures of known numbers', () => {
    expect(percentile(Float64Array.of(1, 2, 3, 4), 0.5)).toBe(2)
    expect(percentile(Float64Array.of(1, 2, 3, 4), 0.99)).toBe(4)
    expect(percentile(new Float64Array(), 0.5)).toBeNaN()
    const figuresWith = (p99Ms: number, errors: number) => ({ p99Ms, errors }) as Figures
    expect(verdict(figuresWith(100, 0), 100)).toBe('best')
    expect(verdict(figuresWith(100, 0.02), 100)).toBe('bad')
    expect(verdict(figuresWith(140, 0), 100)).toBe('good')
    expect(verdict(figuresWith(200, 0), 100)).toBe('poor')
    expect(verdict(figuresWith(400, 0), 100)).toBe('bad')
  })

  test('the page has a row for each balancer and every figure', () => {
    const page = renderMarkdown(some, 'How.')
    for (const { scenario: of, results } of some) {
      const section = page.split('\n## ').find(part => part.startsWith(of.title))!
      for (const { contender: by } of results) expect(section).toContain(`| ${by.name} |`)
    }
    expect(page).not.toMatch(/NaN|undefined|Infinity/)
  })

  test('pictures are whole, and nothing in them is nowhere', () => {
    const groups = [...Map.groupBy(some, ({ scenario: of }) => of.group).values()]
    for (const picture of [renderOverview(some, 'How.'), ...groups.map(renderPicture)]) {
      expect(picture).not.toMatch(/NaN|undefined|Infinity/)
      expect(picture.match(/<text/g)!.length).toBe(picture.match(/<\/text>/g)!.length)
      const [, width, height] = /viewBox="0 0 ([\d.]+) ([\d.]+)"/.exec(picture)!
      for (const [, x] of picture.matchAll(/ (?:x|cx|x1|x2)="(-?[\d.]+)"/g))
        expect(Number(x)).toBeLessThanOrEqual(Number(width))
      for (const [, y] of picture.matchAll(/ (?:y|cy|y1|y2)="(-?[\d.]+)"/g))
        expect(Number(y)).toBeLessThanOrEqual(Number(height))
    }
  })
})
