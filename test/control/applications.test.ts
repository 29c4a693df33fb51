import { expect, test } from 'vitest'
import type { ApplicationSpec } from '../../mesh-config/snapshot.ts'
import { applicationChecks } from '../../proxy/control/applications.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { logTape } from '../support/log-tape.ts'

const spec = (port: number, over: Partial<ApplicationSpec['check']> = {}): ApplicationSpec => ({
  name: `local_app:${port}`,
  address: { address: '127.0.0.1', port },
  check: { kind: 'port', intervalMs: 2_000, timeoutMs: 1_000, failures: 3, successes: 2, ...over } as never,
})

function checks(...specs: ApplicationSpec[]) {
  const loop = new EventLoop()
  const clock = manualClock(loop)
  const log = logTape()
  /** By port: the trouble, or null for a check that does not come back. */
  const state: Record<number, string | null> = {}
  const asked: string[] = []
  const all = applicationChecks(specs, {
    check({ address: { port } }, answered) {
      asked.push(`${port} at ${Math.round(loop.now)}`)
      const trouble = state[port] ?? ''
      if (state[port] !== null) clock.timer(() => answered(trouble)).arm(10)
    },
    clock,
    random: () => 0.5,
    log,
  })
  return { all, state, asked, log, pass: (ms: number) => loop.advance(ms), settle: () => loop.settle() }
}

test('nothing is checked before something follows the result', () => {
  const { all, asked, pass } = checks(spec(1))
  pass(60_000)
  expect(asked).toEqual([])
  expect(all.ready()).toBe(false)
  all.watch()
  pass(20)
  expect(all.ready()).toBe(true)
})

test('the first success is enough, then failures and successes in a row', () => {
  const { all, state, pass } = checks(spec(1))
  state[1] = 'down'
  all.watch()
  pass(1_000)
  expect([all.ready(), all.trouble()]).toEqual([false, 'down'])
  state[1] = ''
  pass(250)
  expect(all.ready()).toBe(true)
  state[1] = 'down'
  pass(2_100)
  expect(all.ready()).toBe(true)
  pass(1_200)
  expect(all.ready()).toBe(false)
  state[1] = ''
  pass(520)
  expect(all.ready()).toBe(false)
  pass(600)
  expect(all.ready()).toBe(true)
})

test('all must be ready, and which is not is said; a check that hangs does not hold up others', () => {
  const { all, state, asked, pass } = checks(spec(1), spec(2))
  state[2] = null
  all.watch()
  pass(10_000)
  expect([all.ready(), all.trouble()]).toEqual([false, 'it has not been checked yet'])
  expect(all.status().map(({ name, ready }) => `${name} ${ready}`)).toEqual(['local_app:1 true', 'local_app:2 false'])
  expect(asked.filter(each => each.startsWith('1 ')).length).toBeGreaterThan(4)
})

test('checks come fast while it starts, then twice a second, and never faster than its interval', () => {
  const { all, state, asked, pass } = checks(spec(1), spec(2, { intervalMs: 4_000, kind: 'command' } as never))
  state[1] = 'down'
  state[2] = 'down'
  all.watch()
  pass(5_000)
  const before = asked.filter(each => each.startsWith('1 ')).length
  expect(before).toBeGreaterThan(30)
  pass(5_000)
  expect(asked.filter(each => each.startsWith('1 ')).length - before).toBeLessThanOrEqual(11)
  expect(asked.filter(each => each.startsWith('2 ')).length).toBeLessThanOrEqual(11)
})

test('a reload keeps what is known of those that stay, and forgets the others', () => {
  const { all, asked, pass, log } = checks(spec(1), spec(2))
  all.watch()
  pass(20)
  all.configure([spec(1), spec(3)])
  expect(all.status().map(({ ready }) => ready)).toEqual([true, false])
  pass(20)
  expect(all.ready()).toBe(true)
  pass(30_000)
  expect(asked.filter(each => each.startsWith('2 '))).toHaveLength(1)
  expect(log.lines()).toContain('info the application is ready application=local_app:3')
})

test('there is none: ready', async () => {
  const { all } = checks()
  await all.first()
  expect([all.ready(), all.trouble()]).toEqual([true, ''])
})
