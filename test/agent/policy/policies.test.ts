import { expect, test } from 'vitest'
import { agentLog } from '../../../agent/log.ts'
import { policiesOf } from '../../../agent/policy/policies.ts'
import type { PolicyDocument, PolicySource, PolicyWatcher } from '../../../agent/policy/source.ts'
import { document } from '../support/book.ts'

/** A source that says what a test says. */
function source(name: string) {
  let watcher: PolicyWatcher | null = null
  let signal: AbortSignal | null = null
  const own: PolicySource = {
    name,
    store: null,
    watch(by, until) {
      watcher = by
      signal = until
    },
  }
  return {
    own,
    say: (...documents: PolicyDocument[]) => watcher!.onSet(documents),
    isWatched: () => signal !== null && !signal.aborted,
  }
}

const log = agentLog({ level: 'off', pretty: false, colors: false, write: () => {} })

async function started(...sources: readonly ReturnType<typeof source>[]) {
  const policies = policiesOf({ sources: sources.map(({ own }) => own), file: null, env: {}, log })
  await policies.start()
  const attempts = () => {
    const wanted = policies.wanted({ proxy: 'p', service: 'orders', own: null, has: true })
    if ('withheld' in wanted) return wanted.withheld
    return wanted.version === 'none' ? 'none' : JSON.parse(wanted.spec.toString()).retries.attempts
  }
  return { policies, attempts, names: () => policies.sources().map(each => each.source.name) }
}

const orders = (attempts: number, at: string) => document('orders', `retries: { attempts: ${attempts} }`, at)

test('another order counts at once, and sources that stay go on', async () => {
  const [one, two] = [source('one'), source('two')]
  const { policies, attempts, names } = await started(one, two)
  one.say(orders(1, 'one'))
  two.say(orders(2, 'two'))
  await expect.poll(attempts).toBe(2)
  const told: unknown[] = []
  policies.onChange(services => told.push(services))
  await policies.configure([two.own, one.own])
  expect(attempts()).toBe(1)
  expect([told, names()]).toEqual([['all'], ['two', 'one']])
  one.say(orders(3, 'one'))
  await expect.poll(attempts).toBe(3)
  await policies.stop()
  expect([one.isWatched(), two.isWatched()]).toEqual([false, false])
})

test('a source that is gone takes its documents along, and one that is new is waited for', async () => {
  const [one, two] = [source('one'), source('two')]
  const { policies, attempts, names } = await started(one)
  one.say(orders(1, 'one'))
  await expect.poll(attempts).toBe(1)
  await policies.configure([two.own])
  expect([one.isWatched(), two.isWatched(), names()]).toEqual([false, true, ['two']])
  // A proxy keeps what it has until the new one has answered.
  expect(attempts()).toBe('the agent waits for two')
  one.say(orders(9, 'one'))
  two.say()
  await expect.poll(attempts).toBe('none')
  await policies.stop()
})

test('what another of the same name has not said yet stays in force', async () => {
  const [before, after] = [source('one'), source('one')]
  const { policies, attempts } = await started(before)
  before.say(orders(1, 'one'))
  await expect.poll(attempts).toBe(1)
  await policies.configure([after.own])
  expect([before.isWatched(), after.isWatched(), attempts()]).toEqual([false, true, 1])
  after.say(orders(2, 'one'))
  await expect.poll(attempts).toBe(2)
  await policies.stop()
})

test('what others need of a source that is gone stays until they need it no more', async () => {
  const [one, two] = [source('one'), source('two')]
  const { policies, attempts, names } = await started(one, two)
  one.say(document('*', 'subsets: { v2: { version: v2 } }', 'one'))
  const needy = 'routes: [{ to: [{ subset: v2 }] }]\nretries: { attempts: 2 }'
  await expect.poll(() => policies.documents.inForce().size).toBe(1)
  two.say(document('orders', needy, 'two'))
  await expect.poll(attempts).toBe(2)
  await policies.configure([two.own])
  expect([attempts(), names()]).toEqual([2, ['two']])
  expect(policies.documents.refused()[0]?.errors[0]).toMatch(/^it was removed, and is needed: two:1/)
  two.say(orders(3, 'two'))
  await expect.poll(attempts).toBe(3)
  expect(policies.documents.inForce().size).toBe(1)
  await policies.stop()
})
