import { describe, expect, test } from 'vitest'
import { bucketOf } from '../../proxy/core/slots.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'
import { EventLoop } from '../support/event-loop.ts'
import { detectorOf } from './detector.ts'

const intervalMs = 10_000
const successRate = { factor: 1.9, minEndpoints: 5, minRequests: 100, minFailurePercent: 5 }
const failurePercentage = { percent: 85, minEndpoints: 2, minRequests: 50 }
const latency = { factor: 3, minExcessMs: 50, minEndpoints: 3, minRequests: 100 }
/** No row of failures gets in the way. */
const rare = { consecutiveGatewayFailures: 0, intervalMs }

type Detector = ReturnType<typeof detectorOf>

/** So many requests of which so many fail, evenly spread. */
function sends({ ends }: Detector, index: number, requests: number, failures: number, status = 503): void {
  for (let i = 0; i < requests; i++)
    ends(index, Math.floor((i * failures) / requests) !== Math.floor(((i + 1) * failures) / requests) ? status : 200)
}

function answersIn({ endpoints }: Detector, index: number, count: number, milliseconds: number): void {
  const { latency: histogram } = endpoints[index]!.stats
  histogram.values[bucketOf(milliseconds)]! += count
}

describe('success rate', () => {
  const of = (failures: readonly number[], requests = 100, overrides = {}) => {
    const detector = detectorOf(failures.length, { ...rare, successRate, ...overrides })
    for (const [i, count] of failures.entries()) sends(detector, i, requests, count)
    detector.loop.advance(intervalMs + 10)
    return detector
  }

  test('the one that is far below the others is ejected at the end of the interval', () => {
    const { states, events } = of([0, 1, 40, 0, 1])
    expect(states()).toEqual(['admitting', 'admitting', 'ejected', 'admitting', 'admitting'])
    expect(events[0]).toMatchObject({
      by: 'success_rate',
      reason: 'success rate 60 % of 100 requests is below 61.6 % (mean 91.6 % - 1.9 x 15.8)',
    })
  })

  test('a 500 counts', () => {
    const detector = detectorOf(5, { ...rare, successRate })
    for (let i = 0; i < 5; i++) sends(detector, i, 100, i === 3 ? 50 : 0, 500)
    detector.loop.advance(intervalMs + 10)
    expect(detector.states()[3]).toBe('ejected')
  })

  test.each([
    ['all fail alike', [40, 40, 40, 40, 40], 100],
    ['with too few endpoints', [0, 0, 40, 0], 100],
    ['with too few requests', [0, 0, 40, 0, 0], 99],
    ['where the worst fails less than 5 %, however well the others do', [0, 0, 4, 0, 0], 100],
  ] as const)('none is: %s', (_why, failures, requests) => {
    expect(of(failures, requests).states()).not.toContain('ejected')
  })

  test('what came before does not count: neither of the interval before nor of the time when it was off', () => {
    const detector = detectorOf(5, { ...rare, successRate: { ...successRate, minRequests: 150 } })
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 5; i++) sends(detector, i, 100, i === 0 ? 50 : 0)
      detector.loop.advance(intervalMs)
    }
    expect(detector.states()).not.toContain('ejected')
    const off = { ...rare, baseEjectionMs: 1000, maxEjectionMs: 5000, maxEjectedPercent: 50 }
    detector.outliers.configure(off)
    for (let i = 0; i < 5; i++) sends(detector, i, 1000, i === 0 ? 500 : 0)
    detector.outliers.configure({ ...off, successRate })
    detector.loop.advance(intervalMs + 10)
    expect(detector.states()).not.toContain('ejected')
  })
})

describe('failure percentage', () => {
  test('ejects what fails most of its requests, the worst first, as far as there is room', () => {
    const detector = detectorOf(4, { ...rare, failurePercentage })
    const failing = [90, 0, 100, 95]
    for (const [i, count] of failing.entries()) sends(detector, i, 100, count)
    detector.loop.advance(intervalMs + 10)
    expect(detector.states()).toEqual(['admitting', 'admitting', 'ejected', 'ejected'])
    expect(detector.events[0]).toMatchObject({
      by: 'failure_percentage',
      reason: '100 % of 100 requests failed, 85 % or more ejects',
    })
    expect(detector.detected).toEqual([
      'failure_percentage ejected',
      'failure_percentage ejected',
      'failure_percentage no_room',
    ])
  })

  test('84 % is not enough', () => {
    const detector = detectorOf(3, { ...rare, failurePercentage })
    for (const i of [0, 1, 2]) sends(detector, i, 100, i === 0 ? 84 : 0)
    detector.loop.advance(intervalMs + 10)
    expect(detector.states()).not.toContain('ejected')
  })

  test('in shadow none is ejected', () => {
    const detector = detectorOf(3, { ...rare, failurePercentage, shadow: true })
    for (const i of [0, 1, 2]) sends(detector, i, 100, i === 0 ? 100 : 0)
    detector.loop.advance(intervalMs + 10)
    expect(detector.states()).not.toContain('ejected')
    expect(detector.detected).toEqual(['failure_percentage shadow'])
  })
})

describe('latency', () => {
  const of = (milliseconds: readonly number[], requests = 100) => {
    const detector = detectorOf(milliseconds.length, { ...rare, latency })
    milliseconds.forEach((ms, i) => {
      sends(detector, i, requests, 0)
      answersIn(detector, i, requests, ms)
    })
    detector.loop.advance(intervalMs + 10)
    return detector
  }

  test('what is three times as slow as the median of the others is ejected', () => {
    const { states, events } = of([20, 300, 25])
    expect(states()).toEqual(['admitting', 'ejected', 'admitting'])
    expect(events[0]).toMatchObject({ by: 'latency', reason: expect.stringContaining('p95') })
  })

  test.each([
    ['all are slow', [300, 310, 290]],
    ['the difference is small in milliseconds', [2, 20, 2]],
    ['of two nobody knows which is the odd one', [20, 300]],
    ['it is slower, but not three times as slow', [100, 250, 100]],
  ] as const)('none is: %s', (_why, milliseconds) => {
    expect(of(milliseconds).states()).not.toContain('ejected')
  })

  test('a few slow answers are not the 95th percentile', () => {
    const detector = detectorOf(3, { ...rare, latency })
    for (const i of [0, 1, 2]) {
      sends(detector, i, 100, 0)
      answersIn(detector, i, 97, 20)
      answersIn(detector, i, 3, i === 0 ? 9_000 : 20)
    }
    detector.loop.advance(intervalMs + 10)
    expect(detector.states()).not.toContain('ejected')
  })
})

describe('over data threads', () => {
  test('the shares of all are added up, and one of them compares', () => {
    const memory = new SharedArrayBuffer(4 * 1024 ** 2)
    const loop = new EventLoop()
    const told: number[] = []
    const options = (thread: number) => ({
      ...rare,
      baseEjectionMs: 60_000,
      maxEjectionMs: 60_000,
      failurePercentage,
      loop,
      cells: sharedCells(memory, thread, 2),
      tell: () => void told.push(thread),
    })
    const one = detectorOf(3, options(0))
    loop.advance(3_000)
    const other = detectorOf(3, options(1))
    // Neither alone sees 50 requests in an interval.
    for (let second = 0; second < 25; second++) {
      for (const detector of [one, other]) for (const i of [0, 1, 2]) sends(detector, i, 3, i === 1 ? 3 : 0)
      loop.advance(1_000)
    }
    expect(told).toHaveLength(1)
    expect([...one.detected, ...other.detected]).toEqual(['failure_percentage ejected'])
    one.outliers.review()
    other.outliers.review()
    expect(one.states()).toEqual(['admitting', 'ejected', 'admitting'])
    expect(other.states()).toEqual(one.states())
  })
})
