import { beforeEach, describe, expect, test } from 'vitest'
import { Endpoint } from '../../proxy/core/endpoint.ts'
import type { ProxyEvent } from '../../proxy/core/telemetry.ts'
import { outlierDetector } from '../../proxy/health/outlier.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { endpointSpec } from '../support/specs.ts'

const SPEC = { consecutiveGatewayFailures: 3, baseEjectionMs: 10_000, maxEjectionMs: 60_000, maxEjectedPercent: 50 }

describe('outlier detection', () => {
  let loop: EventLoop
  let endpoints: Endpoint[]
  let events: ProxyEvent[]
  let detector: ReturnType<typeof outlierDetector>

  beforeEach(() => {
    loop = new EventLoop()
    events = []
    endpoints = endpointsOf(4)
    detector = detectorOf()
  })

  function detectorOf() {
    const made = outlierDetector('orders', { clock: manualClock(loop), event: event => events.push(event), changed: () => {}, all: () => endpoints })
    made.configure(SPEC)
    return made
  }

  function fail(endpoint: Endpoint, times: number): void {
    for (let i = 0; i < times; i++) detector.report(endpoint, 'failure', 'status 503')
  }

  test('as many failures in a row as configured eject, with the reason', () => {
    const [first] = endpoints as [Endpoint]
    fail(first, 2)
    expect(first.state).toBe('admitting')
    fail(first, 1)
    expect(first).toMatchObject({ state: 'ejected', ejectionReason: '3 consecutive failures, last: status 503' })
    expect(events).toEqual([{ kind: 'endpoint-ejected', cluster: 'orders', endpoint: first.name, reason: first.ejectionReason, forMs: 10_000 }])
  })

  test('a success between failures begins the count anew, what is ignorable does not', () => {
    const [first] = endpoints as [Endpoint]
    fail(first, 2)
    detector.report(first, 'ignorable', '')
    detector.report(first, 'success', '')
    fail(first, 2)
    expect(first.state).toBe('admitting')
  })

  test('after its time it is probing: a success admits it, a failure ejects it again for longer', () => {
    const [first, second] = endpoints as [Endpoint, Endpoint]
    fail(first, 3)
    fail(second, 3)
    loop.advance(10_020)
    expect([first.state, second.state]).toEqual(['probing', 'probing'])
    detector.report(first, 'success', '')
    fail(second, 1)
    expect(first.state).toBe('admitting')
    expect(second).toMatchObject({ state: 'ejected', ejections: 2 })
    loop.advance(19_000)
    expect(second.state).toBe('ejected')
    loop.advance(1_020)
    expect(second.state).toBe('probing')
  })

  test('ejections wear off: one for each ejection time spent without another', () => {
    const [first] = endpoints as [Endpoint]
    for (let round = 1; round <= 3; round++) {
      fail(first, 3)
      expect(first.ejections).toBe(round)
      loop.advance(10_000 * round + 20)
    }
    detector.report(first, 'success', '')
    loop.advance(25_000)
    fail(first, 3)
    expect(first.ejections).toBe(2)
  })

  test('no ejection lasts longer than the maximum', () => {
    const [first] = endpoints as [Endpoint]
    for (let round = 0; round < 9; round++) {
      fail(first, 3)
      loop.advance(Math.min(10_000 * (round + 1), 60_000) + 20)
    }
    expect(first.state).toBe('probing')
  })

  test('not more than the configured share is ejected', () => {
    for (const endpoint of endpoints) fail(endpoint, 3)
    expect(endpoints.map(({ state }) => state)).toEqual(['ejected', 'ejected', 'admitting', 'admitting'])
  })

  test('of two endpoints one may go, whatever the share; the only one never', () => {
    endpoints = endpointsOf(2)
    detector = detectorOf()
    detector.configure({ ...SPEC, maxEjectedPercent: 10 })
    for (const endpoint of endpoints) fail(endpoint, 3)
    expect(endpoints.map(({ state }) => state)).toEqual(['ejected', 'admitting'])
    endpoints = endpointsOf(1)
    detector = detectorOf()
    fail(endpoints[0]!, 30)
    expect(endpoints[0]!.state).toBe('admitting')
  })

  test('turned off, it lets everything in again', () => {
    fail(endpoints[0]!, 3)
    detector.configure({ ...SPEC, consecutiveGatewayFailures: 0 })
    expect(endpoints[0]!.state).toBe('admitting')
    fail(endpoints[0]!, 30)
    expect(endpoints[0]!.state).toBe('admitting')
  })
})

function endpointsOf(count: number): Endpoint[] {
  return Array.from({ length: count }, (_, i) => new Endpoint(endpointSpec(`127.0.0.1:${9001 + i}`), `127.0.0.1:${9001 + i}`, null as never, null as never))
}
