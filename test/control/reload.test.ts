import { expect, test } from 'vitest'
import type { Bootstrap, Snapshot } from '../../mesh-config/snapshot.ts'
import type { LoadedConfig, RefusedConfig } from '../../proxy/control/loaded-config.ts'
import { reloader } from '../../proxy/control/reload.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { logTape } from '../support/log-tape.ts'
import { noDiscovery, snapshotOf, traceExport } from '../support/specs.ts'

function config(version: string, service = 'web', bootstrap: Partial<Bootstrap> = {}): LoadedConfig {
  const effective = Promise.resolve({ json: () => '{}', text: () => '', own: () => ({}) })
  return {
    ok: true,
    bootstrap: {
      service: 'web',
      admin: null,
      metrics: null,
      adminHosts: [],
      workers: 1,
      state: null,
      register: null,
      dns: null,
      traces: traceExport,
      ...bootstrap,
    },
    discovery: noDiscovery,
    agent: { kind: 'default' },
    snapshot: snapshotOf([], [], { version, service }),
    warnings: [],
    effective,
  }
}

function reloaderOf(loads: (LoadedConfig | RefusedConfig | Error)[], nacks: Record<string, string[]> = {}) {
  const loop = new EventLoop()
  const log = logTape()
  const applied: string[] = []
  const given: Snapshot[] = []
  const reload = reloader({
    first: config('one'),
    async load() {
      const next = loads.shift() ?? config('none left')
      if (next instanceof Error) throw next
      return next
    },
    bring({ snapshot }) {
      given.push(snapshot)
      return Promise.resolve(nacks[snapshot.version] ?? [])
    },
    inForce: ({ snapshot }) => applied.push(snapshot.version),
    isOver: () => false,
    clock: manualClock(loop),
    log,
  })
  return { reload, log, applied, given, loop }
}

test('a good file is taken up, and the log says what changed', async () => {
  const { reload, log, applied, loop } = reloaderOf([{ ...config('two', 'shop'), warnings: ['a.yaml:1:1: odd'] }])
  const { inForceSince } = reload.state()
  loop.advance(5_000)
  await reload.request('SIGHUP')
  expect(applied).toEqual(['two'])
  expect(log.lines()).toEqual([
    'warn a.yaml:1:1: odd',
    'info service web -> shop',
    'info SIGHUP: configuration two is in force version=two before=one',
  ])
  expect(reload.state()).toMatchObject({
    config: { snapshot: { version: 'two' } },
    lastErrors: [],
    inForceSince: inForceSince + 5_000,
  })
})

test('a bad file changes nothing but what is said of it; the next good one clears that', async () => {
  const { reload, log, applied, given } = reloaderOf([
    { ok: false, errors: ['a.yaml:1:1: wrong', 'a.yaml:2:1: too'] },
    config('one'),
  ])
  await reload.request('the files changed')
  expect([applied, given]).toEqual([[], []])
  expect(reload.state()).toMatchObject({
    config: { snapshot: { version: 'one' } },
    lastErrors: ['a.yaml:1:1: wrong', 'a.yaml:2:1: too'],
  })
  expect(log.lines()).toEqual([
    'error the files changed: the files are not valid, the running configuration stays version=one',
    'error a.yaml:1:1: wrong',
    'error a.yaml:2:1: too',
  ])
  await reload.request('the files changed')
  expect(reload.state().lastErrors).toEqual([])
})

test('what the data threads refuse is not in force', async () => {
  const { reload, applied, log } = reloaderOf([config('two')], { two: ['port 80: EACCES'] })
  await reload.request('SIGHUP')
  expect(applied).toEqual([])
  expect(reload.state()).toMatchObject({ config: { snapshot: { version: 'one' } }, lastErrors: ['port 80: EACCES'] })
  expect(log.lines()).toContain('error port 80: EACCES')
})

test('the same content is not applied again, and has been in force all along', async () => {
  const { reload, given, log, loop } = reloaderOf([config('one')])
  const { inForceSince, loadedAt } = reload.state()
  loop.advance(1_000)
  await reload.request('SIGHUP')
  expect(given).toEqual([])
  expect(reload.state()).toMatchObject({ inForceSince, loadedAt: loadedAt + 1_000 })
  expect(log.lines()).toEqual(['info SIGHUP: nothing changed version=one'])
})

test('what only a restart takes up is said at each load, against what the process was started with', async () => {
  const { reload, log } = reloaderOf([
    config('one', 'web', { workers: 3 }),
    config('one', 'web', { workers: 2 }),
    config('one'),
  ])
  await reload.request('SIGHUP')
  expect(reload.state().needsRestart).toEqual(['workers 1 -> 3 (needs a restart)'])
  expect(log.lines()[0]).toBe('warn changed in the files: workers 1 -> 3 (needs a restart)')
  await reload.request('SIGHUP')
  expect(reload.state().needsRestart).toEqual(['workers 1 -> 2 (needs a restart)'])
  await reload.request('SIGHUP')
  expect(reload.state().needsRestart).toEqual([])
})

test('many requests while one is under way are one more attempt, so the last state of the files counts', async () => {
  const loads = [config('two'), config('three'), config('four')]
  const { reload, applied } = reloaderOf(loads)
  await Promise.all([reload.request('a'), reload.request('b'), reload.request('c'), reload.request('d')])
  expect(applied).toEqual(['two', 'three'])
  expect(loads).toHaveLength(1)
})

test('a load that throws is a refusal, and the next one is tried', async () => {
  const { reload, applied, log } = reloaderOf([new Error('broken'), config('two')])
  await reload.request('SIGHUP')
  expect(reload.state().lastErrors).toEqual(['Error: broken'])
  expect(log.lines()[0]).toContain('SIGHUP: reloading failed')
  await reload.request('SIGHUP')
  expect(applied).toEqual(['two'])
})

test('what the data threads refuse is tried again, with growing delays, and said so; a port may be free by then', async () => {
  const nacks: Record<string, string[]> = { two: ['port 80 is taken'] }
  const loads = Array.from({ length: 5 }, () => config('two'))
  const { reload, applied, given, log, loop } = reloaderOf(loads, nacks)
  const retried = () => new Promise(resolve => setImmediate(resolve))
  await reload.request('SIGHUP')
  const { attemptedAt } = reload.state()
  expect(reload.state()).toMatchObject({ lastErrors: ['port 80 is taken'], retryAt: attemptedAt + 1_000 })
  loop.advance(1_000)
  await retried()
  loop.advance(1_999)
  await retried()
  expect(given).toHaveLength(2)
  expect(reload.state().retryAt).toBe(attemptedAt + 3_000)
  nacks.two = []
  loop.advance(1)
  await retried()
  expect(applied).toEqual(['two'])
  expect(reload.state()).toMatchObject({ lastErrors: [], retryAt: null, config: { snapshot: { version: 'two' } } })
  expect(log.lines().slice(0, 3)).toEqual([
    'error SIGHUP: the data threads cannot take the new configuration, the running one stays; tried again in 1 s version=one',
    'error port 80 is taken',
    'warn what was refused is tried again: still refused; tried again in 2 s',
  ])
  loop.advance(120_000)
  await retried()
  expect(given).toHaveLength(3)
})

test('a file that is not valid is not tried again by itself, and ends what was', async () => {
  const { reload, given, loop } = reloaderOf([config('two'), { ok: false, errors: ['a.yaml:1:1: wrong'] }], {
    two: ['port 80 is taken'],
  })
  await reload.request('SIGHUP')
  await reload.request('the files changed')
  expect(reload.state()).toMatchObject({ lastErrors: ['a.yaml:1:1: wrong'], retryAt: null })
  loop.advance(120_000)
  await new Promise(resolve => setImmediate(resolve))
  expect(given).toHaveLength(1)
})
