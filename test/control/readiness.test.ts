import { describe, expect, test } from 'vitest'
import { lateness } from '../../proxy/control/lateness.ts'
import type { LoadedConfig } from '../../proxy/control/loaded-config.ts'
import { type ReadinessFacts, readinessReport } from '../../proxy/control/readiness.ts'
import { readyLines } from '../../proxy/control/ready-lines.ts'
import type { ThreadStatus } from '../../proxy/control/workers.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { listenerSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

const thread = (over: Partial<ThreadStatus> = {}): ThreadStatus => ({
  thread: 0,
  state: 'running',
  forMs: 5_000,
  restarts: 0,
  lastEnd: '',
  ...over,
})
const reload: ReadinessFacts['reload'] = {
  config: { snapshot: snapshotOf([], [listenerSpec()], { version: 'abc' }) } as unknown as LoadedConfig,
  inForceSince: 1_000,
  loadedAt: 1_000,
  attemptedAt: 1_000,
  lastErrors: [],
  retryAt: null,
  needsRestart: [],
}
const facts = (over: Partial<ReadinessFacts> = {}): ReadinessFacts => ({
  draining: false,
  leaving: false,
  threads: [thread()],
  reload,
  listeners: ['outbound 127.0.0.1:8000'],
  discovery: [],
  state: null,
  application: { is: 'unknown', checked: [] },
  ...over,
})

describe('readiness', () => {
  const verdict = (over: Partial<ReadinessFacts>) => {
    const { ready, reason } = readinessReport(facts(over))
    return ready ? 'ready' : reason
  }

  test('ready while one data thread serves, also after a refused reload', () => {
    expect(verdict({})).toBe('ready')
    expect(verdict({ threads: [thread({ state: 'ended' }), thread()] })).toBe('ready')
    expect(verdict({ reload: { ...reload, lastErrors: ['a.yaml:1:1: wrong'] } })).toBe('ready')
  })

  test('not ready without a data thread, and while draining', () => {
    expect(verdict({ threads: [thread({ state: 'starting' })] })).toBe('no data thread runs')
    expect(verdict({ draining: true })).toBe('draining')
    expect(verdict({ draining: true, leaving: true })).toBe('leaving')
  })

  test('with a supervisor the application must be ready too', () => {
    const checked = (ready: boolean) => [
      { name: 'a', address: 'b', check: 'its port', ready, trouble: ready ? '' : 'it is ill', forMs: 5_000 },
    ]
    const of = (is: ReadinessFacts['application']['is'], ready: boolean) =>
      verdict({ application: { is, checked: checked(ready) } })
    expect([of('unknown', false), of('running', true), of('running', false)]).toEqual(['ready', 'ready', 'it is ill'])
    expect(of('starting', true)).toBe('the application is being started')
    expect(of('gone', true)).toBe('the application has ended')
    const { checks } = readinessReport(facts({ application: { is: 'unknown', checked: checked(false) } }))
    expect(checks.at(-1)).toEqual({
      name: 'application',
      state: 'warn',
      text: 'a at b, by its port: not ready for 5 s\nit is ill',
    })
  })

  test('shows what is worth a look', () => {
    const { checks } = readinessReport(
      facts({
        threads: [thread(), thread({ thread: 1, state: 'ended', restarts: 2, lastEnd: 'Error: x' })],
        reload: { ...reload, lastErrors: ['a.yaml:1:1: wrong'], attemptedAt: 2_000, needsRestart: ['workers 1 -> 2'] },
      }),
    )
    expect(checks.map(({ name, state }) => `${state} ${name}`)).toEqual([
      'warn data threads',
      'ok listeners',
      'ok configuration',
      'warn last reload',
      'warn restart',
    ])
    expect(checks[0]!.text).toBe('1 of 2 running\nthread 1 ended for 5 s, replaced 2 times, last because Error: x')
    expect(checks[3]!.text).toBe(
      'refused at 1970-01-01T00:00:02.000Z, the running configuration stays:\na.yaml:1:1: wrong',
    )
  })
})

test('the lines at the start are aligned and say where requests go', () => {
  const listen = (port: number) => ({ address: '127.0.0.1', port })
  const services = ['a', 'b', 'c', 'd', 'e', 'f'].map(name => serviceSpec(name, ['10.0.0.1:80', '10.0.0.2:80']))
  const snapshot = snapshotOf(
    [...services, serviceSpec('local_app:3000', ['127.0.0.1:3000'], { kind: 'local' })],
    [
      listenerSpec({ direction: 'inbound', listen: { address: '0.0.0.0', port: 20_000 }, service: 'local_app:3000' }),
      listenerSpec({ listen: listen(15_001) }),
      listenerSpec({ listen: listen(9_101), service: 'a' }),
    ],
  )
  expect(readyLines('title', snapshot, { admin: listen(15_000) }).split('\n')).toEqual([
    'title',
    'inbound   0.0.0.0:20000    -> 127.0.0.1:3000',
    'outbound  127.0.0.1:15001  -> by Host: a, b, c, d and 2 more',
    'outbound  127.0.0.1:9101   -> a (2 endpoints)',
    'admin     127.0.0.1:15000  curl http://127.0.0.1:15000/',
    '',
  ])
})

test('lateness is the worst since it was asked', () => {
  const loop = new EventLoop()
  let extra = 0
  const clock = manualClock(loop)
  const late = lateness({ ...clock, now: () => loop.now + extra })
  loop.advance(1_020)
  expect(late()).toBeLessThan(11)
  extra = 500 // The thread stood still.
  loop.advance(1_000)
  extra = 500
  loop.advance(1_000)
  expect(late()).toBeGreaterThan(480)
  expect(late()).toBe(0)
})

describe('the state folder', () => {
  const discovery: ReadinessFacts['discovery'] = [
    { name: 'orders', sources: [] },
  ] as unknown as ReadinessFacts['discovery']
  const check = (over: Partial<ReadinessFacts>) =>
    readinessReport(facts({ discovery, ...over })).checks.find(({ name }) => name === 'state')

  test('is named while endpoints can be saved there; when not, there is a warning with the reason and the remedy', () => {
    expect(check({ state: { folder: '/var/lib/outrigger', trouble: '' } })).toEqual({
      name: 'state',
      state: 'ok',
      text: 'last-known endpoints are kept in /var/lib/outrigger',
    })
    const trouble = 'EACCES: permission denied: let this user write to /var/lib/outrigger'
    expect(check({ state: { folder: '/var/lib/outrigger', trouble } })).toMatchObject({
      state: 'warn',
      text: expect.stringContaining(trouble),
    })
    expect(readinessReport(facts({ discovery, state: { folder: '/x', trouble } })).ready).toBe(true)
  })

  test('is no subject where nothing is kept, or nothing discovered', () => {
    expect(check({ state: null })).toBeUndefined()
    expect(check({ discovery: [], state: { folder: '/x', trouble: '' } })).toBeUndefined()
  })
})
