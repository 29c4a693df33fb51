import { describe, expect, test } from 'vitest'
import type { RouteSpec } from '../../mesh-config/snapshot.ts'
import { logEvent } from '../../proxy/control/proxy-events.ts'
import type { Log } from '../../proxy/core/log.ts'
import type { ProxyEvent } from '../../proxy/core/telemetry.ts'
import { loadRe2, patternsOf } from '../../proxy/runtime/regex.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { serviceSpec, snapshotOf } from '../support/specs.ts'

const route = (kind: 'prefix' | 'regex', value: string): RouteSpec => ({
  name: value,
  match: { path: { kind, value }, methods: [], headers: [], query: [] },
  to: [{ service: 'orders', subset: null, weight: 1 }],
  timeouts: null,
  retries: null,
})
const snapshot = (...routes: readonly RouteSpec[]) => snapshotOf([serviceSpec('orders', [], { routes })])
const withPattern = snapshot(route('regex', '/a+'))

/** An engine that takes `loadMs`, and for each pattern as many milliseconds as it is long. */
function start(loadMs: number) {
  const clock = manualClock(new EventLoop())
  let now = 0
  let loaded = 0
  const events: ProxyEvent[] = []
  const patterns = patternsOf({
    clock: { ...clock, now: () => now },
    event: event => events.push(event),
    async load() {
      loaded++
      now += loadMs
      return pattern => {
        now += pattern.length
        return text => text === pattern
      }
    },
  })
  return { patterns, events, loads: () => loaded }
}

describe('the patterns of a snapshot', () => {
  test('load no engine where there are none, and one engine for all snapshots that have some', async () => {
    const { patterns, loads } = start(0)
    const none = await patterns(snapshot(route('prefix', '/')))
    expect(() => none.compile('/a+')).toThrow('/a+')
    expect(loads()).toBe(0)
    await patterns(withPattern)
    await patterns(withPattern)
    expect(loads()).toBe(1)
  })

  test('are an event when loading and compiling took long, with the slowest of them', async () => {
    const { patterns, events } = start(60)
    const slow = await patterns(withPattern)
    for (const pattern of ['a'.repeat(10), 'b'.repeat(25), 'c'.repeat(5)]) slow.compile(pattern)
    slow.done()
    expect(events).toEqual([
      { kind: 'slow-patterns', loadMs: 60, compileMs: 40, count: 3, slowest: 'b'.repeat(25), slowestMs: 25 },
    ])
    const lines: string[] = []
    const warn = (message: string) => void lines.push(message)
    logEvent({ warn } as Log, 0, events[0]!)
    expect(lines).toEqual([
      `regular expressions of routes: 60 ms to load their engine, 40 ms to compile 3 of them, in which data thread 0 served nothing; the slowest took 25 ms: ${'b'.repeat(25)}`,
    ])
    // Later snapshots do not load it again.
    const later = await patterns(withPattern)
    later.compile('a'.repeat(99))
    later.done()
    expect(events).toHaveLength(1)
  })

  test('match the whole text', async () => {
    const compile = await loadRe2()
    expect(['/a', '/aaa', '/ab', 'x/a'].map(compile('/a+'))).toEqual([true, true, false, false])
  })
})
