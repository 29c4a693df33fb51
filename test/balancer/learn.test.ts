import { describe, expect, test } from 'vitest'
import { countAttempt, countedMs, fading, failingNow, hasFailed, keepFailure } from '../../proxy/balancer/learn.ts'
import { EndpointLoad } from '../../proxy/core/endpoint-load.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { balancerDeps } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'

const head = (status: number, ...pairs: string[]) => ({ status, headers: new HeaderList(pairs) })

describe('fading', () => {
  test('falls to 1/e in the time given', () => {
    expect(fading(10_000, 10_000)).toBeCloseTo(Math.exp(-1), 12)
    expect(fading(5000, 10_000) ** 2).toBeCloseTo(fading(10_000, 10_000), 12)
  })

  test('short times are as exact as anybody needs', () => {
    for (const elapsed of [0.001, 0.1, 1, 5, 9.99, 10, 10.01])
      expect(fading(elapsed, 10_000)).toBeCloseTo(Math.exp(-elapsed / 10_000), 6)
  })

  test('time that has not come yet takes nothing away', () => {
    expect(fading(0, 10_000)).toBe(1)
    expect(fading(-5000, 10_000)).toBe(1)
  })
})

test('a failure is what outlier detection calls so, and 429', () => {
  expect(hasFailed('failure', null)).toBe(true)
  expect(hasFailed('failure', head(503))).toBe(true)
  expect(hasFailed('success', head(429))).toBe(true)
  expect(hasFailed('success', head(200))).toBe(false)
  expect(hasFailed('success', head(404))).toBe(false)
})

describe('the failure rate', () => {
  test('is the share of failures among attempts at one time', () => {
    const load = new EndpointLoad()
    for (let i = 0; i < 1000; i++) countAttempt(load, i % 4 === 0, 1, 10_000)
    expect(load.failureRate).toBeCloseTo(0.25, 10)
    expect(load.attempts).toBe(1000)
  })

  test('older attempts count less: by e for each decay time', () => {
    const load = new EndpointLoad()
    for (let i = 0; i < 100; i++) countAttempt(load, true, 1, 10_000)
    for (let i = 0; i < 100; i++) countAttempt(load, false, 10_001, 10_000)
    const left = 100 / Math.E
    expect(load.failureRate).toBeCloseTo(left / (left + 100), 10)
  })

  test('the last one decides when all others are long ago', () => {
    const load = new EndpointLoad()
    for (let i = 0; i < 100; i++) countAttempt(load, false, 1, 10_000)
    countAttempt(load, true, 1_000_000, 10_000)
    expect(load.failureRate).toBeCloseTo(1, 10)
  })
})

describe('as how long an attempt counts', () => {
  const counted = (failureRate: number, tookMs: number, failed: boolean, response = head(503), settings = {}) =>
    countedMs(Object.assign(new EndpointLoad(), { failureRate }), tookMs, failed, response, balancerDeps(1, settings))

  test('a success: as long as it took', () => {
    expect(counted(0.5, 12, false)).toBe(12)
  })

  test('a failure: as much of the penalty as the endpoint fails of late, or as long as it took', () => {
    expect(counted(1, 12, true)).toBe(5000)
    expect(counted(0.001, 2, true)).toBe(5)
    expect(counted(1, 8000, true)).toBe(8000)
    expect(counted(1, 12, true, head(503), { failurePenaltyMs: 700 })).toBe(700)
  })

  test('Retry-After instead of the penalty, longer or shorter, up to five minutes', () => {
    expect(counted(1, 12, true, head(429, 'retry-after', '30'))).toBe(30_000)
    expect(counted(1, 12, true, head(503, 'retry-after', '1'))).toBe(1000)
    expect(counted(0.1, 12, true, head(429, 'retry-after', '30'))).toBe(3000)
    expect(counted(1, 12, true, head(429, 'retry-after', '86400'))).toBe(300_000)
  })

  test('no penalty: as long as it took', () => {
    expect(counted(1, 12, true, head(429, 'retry-after', '30'), { failurePenaltyMs: 0 })).toBe(12)
  })
})

describe('failures that still count', () => {
  test('weigh e, add up, and fade with the penalty', () => {
    const loop = new EventLoop()
    const deps = balancerDeps(1, {}, loop)
    const load = Object.assign(new EndpointLoad(), { failureRate: 1 })
    keepFailure(load, null, loop.now, deps)
    expect(failingNow(load, loop.now, deps)).toBeCloseTo(Math.E)
    keepFailure(load, null, loop.now, deps)
    expect(failingNow(load, loop.now, deps)).toBeCloseTo(2 * Math.E)
    expect(failingNow(load, loop.now + 5000, deps)).toBeCloseTo(2)
    expect(failingNow(load, loop.now + 60_000, deps)).toBeLessThan(0.001)
    expect(load.failing).toBe(0)
  })

  test('weigh less where failures are rare', () => {
    const deps = balancerDeps()
    const load = Object.assign(new EndpointLoad(), { failureRate: 0.1 })
    keepFailure(load, null, 1000, deps)
    expect(failingNow(load, 1000, deps)).toBeCloseTo(Math.E / 10)
  })

  test('do not fade before the time that Retry-After named, nor does a later failure bring it nearer', () => {
    const loop = new EventLoop()
    const deps = balancerDeps(1, {}, loop)
    const load = Object.assign(new EndpointLoad(), { failureRate: 1 })
    keepFailure(load, head(429, 'retry-after', '60'), loop.now, deps)
    expect(failingNow(load, loop.now + 55_000, deps)).toBeCloseTo(Math.E)
    expect(failingNow(load, loop.now + 60_000, deps)).toBeCloseTo(1)
    keepFailure(load, null, loop.now + 1000, deps)
    expect(failingNow(load, loop.now + 60_000, deps)).toBeCloseTo(2)
  })
})
