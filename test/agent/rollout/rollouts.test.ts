import { describe, expect, test } from 'vitest'
import { type GroupResult, judge } from '../../../agent/rollout/judge.ts'
import { begun, parseRecord, planOf, type RolloutRecord } from '../../../agent/rollout/record.ts'
import { stagedRollouts } from '../../../agent/rollout/rollouts.ts'
import { fileRollouts } from '../../../agent/rollout/store.ts'
import { placeOf, WHOLE } from '../../../agent/stats/compare.ts'
import { compilePolicy, readPolicy } from '../../../mesh-config/policy-document.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }

async function policyOf(text: string) {
  const { root } = await readPolicy('orders', 'orders.yaml', text, null)
  const compiled = compilePolicy('orders', [root!])
  if (!compiled.ok) throw new Error(compiled.problems.map(({ message }) => message).join())
  return compiled.policy
}

const staged = await policyOf('rollout: { interval: 10s }\n')
const plain = await policyOf('retries: { attempts: 2 }\n')
const plan = planOf(staged.rollout!)

const good: GroupResult = { proxies: 5, requests: 1000, failed: 1, p99Ms: 20, refusals: [] }

describe('the judge', () => {
  test('as well as the others is good, and so is a little worse', () => {
    expect(judge(good, good, plan).verdict).toBe('good')
    expect(judge({ ...good, failed: 15, p99Ms: 29 }, good, plan).verdict).toBe('good')
    // Fast services: 5 ms more is much as a share and nothing to people.
    expect(judge({ ...good, p99Ms: 6 }, { ...good, p99Ms: 1 }, plan).verdict).toBe('good')
  })

  test('more failures, or a higher p99, is bad and says both numbers', () => {
    expect(judge({ ...good, failed: 50 }, good, plan)).toEqual({
      verdict: 'bad',
      why: '5.00 % of 1000 requests fail with it, and 0.10 % without it',
    })
    expect(judge({ ...good, p99Ms: 40 }, good, plan)).toEqual({
      verdict: 'bad',
      why: 'the p99 is 40 ms with it, and 20 ms without it',
    })
  })

  test('a service that fails for all alike says nothing against the version', () => {
    expect(judge({ ...good, failed: 100 }, { ...good, failed: 100 }, plan).verdict).toBe('good')
  })

  test('a few failures among few requests may be chance', () => {
    expect(judge({ ...good, requests: 100, failed: 3 }, good, plan).verdict).toBe('good')
    expect(judge({ ...good, requests: 100, failed: 6 }, good, plan).verdict).toBe('bad')
  })

  test('too few requests in either group: nothing can be said', () => {
    expect(judge({ ...good, requests: 99 }, good, plan).verdict).toBe('wait')
    expect(judge(good, { ...good, requests: 99 }, plan).verdict).toBe('wait')
  })

  test('a NACK is enough', () => {
    const verdict = judge({ ...good, requests: 0, refusals: ['web-1: no such balancer'] }, good, plan)
    expect(verdict).toEqual({ verdict: 'bad', why: 'a proxy refuses it: web-1: no such balancer' })
  })
})

test('the steps grow and end with all; percents become shares', () => {
  expect(plan.steps).toEqual([500, 2500, WHOLE])
  expect(planOf({ ...staged.rollout!, steps: [50, 0.5] }).steps).toEqual([50, 5000, WHOLE])
  expect(begun('orders', '1', planOf({ ...staged.rollout!, steps: [100] }), 0).state).toBe('done')
})

test('the place of a proxy is its own for each service, and shares are about as large as they say', () => {
  const places = Array.from({ length: 2000 }, (_, i) => placeOf('orders', `web-${i}`))
  expect(places.filter(place => place < 2500).length).toBeGreaterThan(400)
  expect(places.filter(place => place < 2500).length).toBeLessThan(600)
  expect(placeOf('orders', 'web-1')).toBe(placeOf('orders', 'web-1'))
  expect(placeOf('orders', 'web-1')).not.toBe(placeOf('stock', 'web-1'))
})

test('records that are none of ours are not taken', () => {
  const record = begun('orders', '7', plan, 5)
  expect(parseRecord(JSON.stringify(record))).toEqual(record)
  for (const wrong of [
    '',
    '[]',
    '{}',
    'null',
    JSON.stringify({ ...record, step: 9 }),
    JSON.stringify({ ...record, state: 'x' }),
  ])
    expect(parseRecord(wrong)).toBeNull()
})

/** A clock, groups to be judged, and what the documents were told. */
function setUp(file: string | null = null) {
  const world = { now: 1_000_000, leads: true, candidate: good, others: good, compared: 0 }
  const told: string[] = []
  const store = fileRollouts(file, log)
  const make = () =>
    stagedRollouts({
      store,
      leadership: { isLeader: () => world.leads },
      compare: async () => {
        world.compared++
        return { candidate: world.candidate, others: world.others }
      },
      placeOf,
      candidates: () => ({
        promote: service => void told.push(`promote ${service}`),
        revert: (service, reason) => void told.push(`revert ${service}: ${reason}`),
        chosenAnew: service => void told.push(`chosenAnew ${service}`),
      }),
      log,
      now: () => world.now,
    })
  const rollouts = make()
  const change = (version: string, policy = staged) => ({
    service: 'orders',
    at: 'orders.yaml',
    before: '1',
    version,
    policy,
  })
  const after = async (ms: number) => {
    world.now += ms
    await rollouts.step()
  }
  const taking = () =>
    Array.from({ length: 1000 }, (_, i) => rollouts.takes('orders', `web-${i}`)).filter(Boolean).length
  return {
    world,
    told,
    store,
    make,
    rollouts,
    change,
    after,
    taking,
    record: (): RolloutRecord => store.get('orders')!,
  }
}

describe('a roll-out', () => {
  test('goes from step to step, each after its interval, and ends with all', async () => {
    const { told, rollouts, change, after, taking } = setUp()
    expect(rollouts.isStaged(change('2'))).toBe(true)
    expect(taking()).toBeGreaterThan(20)
    expect(taking()).toBeLessThan(90)
    expect(rollouts.words('orders')).toBe('step 1 of 3: 5 %, it begins')
    await after(9_000)
    expect(rollouts.words('orders')).toContain('step 1')
    await after(1_000)
    expect(rollouts.words('orders')).toContain('step 2 of 3: 25 %, 0.10 % fail with it')
    expect(taking()).toBeGreaterThan(190)
    await after(10_000)
    expect(told).toEqual(['chosenAnew orders', 'chosenAnew orders', 'promote orders'])
    expect(rollouts.words('orders')).toBe('')
    // The source says it again, as after a restart: it is in force at once.
    expect(rollouts.isStaged(change('2'))).toBe(false)
  })

  test('is taken back at once when it does worse, and the same version does not come again', async () => {
    const { world, told, rollouts, change, after, taking, record } = setUp()
    rollouts.isStaged(change('2'))
    world.candidate = { ...good, failed: 200 }
    await after(1_000)
    expect(record()).toMatchObject({ state: 'reverted' })
    expect(told.at(-1)).toMatch(/^revert orders: the roll-out was stopped: 20.00 % of 1000 requests/)
    expect(taking()).toBe(0)
    expect(rollouts.isStaged(change('2'))).toBe(true)
    await new Promise(setImmediate)
    expect(told.filter(line => line.startsWith('revert'))).toHaveLength(2)
    expect(taking()).toBe(0)
  })

  test('with few requests waits for ten intervals; where no proxy is in the share it goes on at once', async () => {
    const { world, rollouts, change, after, record } = setUp()
    rollouts.isStaged(change('2'))
    world.candidate = { ...good, proxies: 0, requests: 0 }
    await after(1_000)
    expect(record().step).toBe(1)
    world.candidate = { ...good, requests: 3 }
    await after(99_000)
    expect(record().step).toBe(1)
    await after(1_000)
    expect(record()).toMatchObject({ state: 'done' })
    expect(record().why).toContain('too few requests to tell')
  })

  test('is only moved by the leader, which goes on where another one stood', async () => {
    const { world, rollouts, change, after, record } = setUp()
    world.leads = false
    rollouts.isStaged(change('2'))
    await after(60_000)
    expect(world.compared).toBe(0)
    expect(record()).toMatchObject({ step: 0, state: 'running' })
    world.leads = true
    await after(0)
    expect(record()).toMatchObject({ step: 1, state: 'running' })
  })

  test('a newer version begins anew; an older one that comes late does not', () => {
    const { rollouts, change, record } = setUp()
    rollouts.isStaged(change('20'))
    rollouts.isStaged(change('30'))
    expect(record().version).toBe('30')
    rollouts.isStaged(change('9'))
    expect(record().version).toBe('30')
  })

  test('a version without rollout: goes to all, and what ran before is over', () => {
    const { rollouts, change, record } = setUp()
    rollouts.isStaged(change('2'))
    expect(rollouts.isStaged(change('3', plain))).toBe(false)
    expect(record()).toMatchObject({ version: '2', state: 'superseded' })
  })

  test('the first version goes to all at once, as does what an agent that starts has kept', () => {
    const { rollouts, change, store } = setUp()
    expect(rollouts.isStaged({ ...change('2'), before: null })).toBe(false)
    expect(store.all()).toEqual([])
    // One that is on its way is not: this agent begins without any.
    rollouts.isStaged(change('3'))
    expect(rollouts.isStaged({ ...change('3'), before: null })).toBe(true)
  })

  test('an agent alone that is started again goes on where it stood', async () => {
    const file = `${temporaryFolder()}/rollouts.json`
    const first = setUp(file)
    first.rollouts.isStaged(first.change('2'))
    await first.after(10_000)
    const second = setUp(file)
    await second.store.start()
    expect(second.rollouts.isStaged(second.change('2'))).toBe(true)
    expect(second.record()).toMatchObject({ step: 1, state: 'running' })
    expect(second.taking()).toBeGreaterThan(190)
  })
})
