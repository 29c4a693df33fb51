import { describe, expect, test } from 'vitest'
import { capacities, learnReport, learnTrailers, reportedWeight } from '../../proxy/balancer/reported.ts'
import { EndpointLoad } from '../../proxy/core/endpoint-load.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { bareEndpoint, bareEndpoints } from '../support/endpoints.ts'

const headers = (report: string) => new HeaderList(['endpoint-load-metrics', report])
const start = 1_000_000

/** An endpoint that says the same of itself once a second. */
function reporting(report: string, fromMs: number, toMs: number, load = new EndpointLoad()): EndpointLoad {
  for (let at = fromMs; at <= toMs; at += 1000) learnReport(load, headers(report), start + at)
  return load
}

const weightOf = (report: string) => reportedWeight(reporting(report, 0, 10_000), start + 10_000)

describe('the weight of gRFC A58', () => {
  test('is requests a second over utilisation, which errors add to', () => {
    expect(weightOf('qps=100, cpu_utilization=0.5')).toBe(200)
    expect(weightOf('rps_fractional=100, application_utilization=0.25, cpu_utilization=0.9')).toBe(400)
    expect(weightOf('qps=100, application_utilization=0, cpu_utilization=0.5')).toBe(200)
    // A tenth of errors: 0.5 + 0.1.
    expect(weightOf('qps=100, cpu_utilization=0.5, eps=10')).toBeCloseTo(100 / 0.6)
    expect(weightOf('qps=100, cpu_utilization=1.5')).toBeCloseTo(100 / 1.5)
  })

  test('is none when requests or utilisation are not said', () => {
    for (const report of [
      'qps=0, cpu_utilization=0.5',
      'cpu_utilization=0.5',
      'qps=100',
      'qps=100, mem_utilization=0.5',
      'eps=5',
      'TEXT nonsense',
    ])
      expect(weightOf(report)).toBe(0)
  })

  test('an empty report does not wipe out what was said before', () => {
    const load = reporting('qps=100, cpu_utilization=0.5', 0, 10_000)
    learnReport(load, headers('qps=0'), start + 11_000)
    expect(reportedWeight(load, start + 11_000)).toBe(200)
  })

  test('counts after ten seconds of reports, not before', () => {
    const load = reporting('qps=100, cpu_utilization=0.5', 0, 9000)
    expect(reportedWeight(load, start + 9999)).toBe(0)
    expect(reportedWeight(load, start + 10_000)).toBe(200)
  })

  test('expires after three minutes of silence, and then has to wait again', () => {
    const load = reporting('qps=100, cpu_utilization=0.5', 0, 20_000)
    expect(reportedWeight(load, start + 20_000 + 179_999)).toBe(200)
    expect(reportedWeight(load, start + 20_000 + 180_000)).toBe(0)
    reporting('qps=100, cpu_utilization=0.25', 210_000, 219_000, load)
    expect(reportedWeight(load, start + 219_999)).toBe(0)
    expect(reportedWeight(load, start + 220_000)).toBe(400)
  })

  test('heads are searched ten times a second and endpoint at most', () => {
    let searches = 0
    const counting = new (class extends HeaderList {
      override get(name: string): string | undefined {
        searches++
        return super.get(name)
      }
    })(['endpoint-load-metrics', 'qps=100, cpu_utilization=0.5'])
    const load = new EndpointLoad()
    for (let ms = 0; ms < 10_000; ms++) learnReport(load, counting, start + ms)
    expect(searches).toBe(100)
  })
})

describe('capacities', () => {
  const endpoint = (weight: number, report: string) => {
    const one = bareEndpoint({ weight })
    if (report !== '') reporting(report, 0, 10_000, one.load)
    return one
  }
  const now = start + 10_000

  test('without reports, the configured weights', () => {
    expect([...capacities(bareEndpoints([1, 2, 5]), now)]).toEqual([1, 2, 5])
  })

  test('one report alone compares with nothing', () => {
    expect([...capacities([endpoint(1, 'qps=100,cpu_utilization=0.5'), endpoint(2, '')], now)]).toEqual([1, 2])
  })

  test('reports where there are any; the others have the mean of the known, by their configured weight', () => {
    const endpoints = [
      endpoint(1, 'qps=100,cpu_utilization=0.5'),
      endpoint(1, 'qps=100,cpu_utilization=0.25'),
      endpoint(1, ''),
      endpoint(3, ''),
    ]
    expect([...capacities(endpoints, now)]).toEqual([200, 400, 300, 900])
  })

  test('no more than four times the median of the others, for the same weight, however absurd the report', () => {
    const honest = 'qps=100,cpu_utilization=0.5'
    for (const lie of [
      'qps=100,cpu_utilization=1e-9',
      'qps=1e12,cpu_utilization=0.5',
      'qps=1e12,cpu_utilization=5e-324',
      'qps=1e12,cpu_utilization=1e-300',
    ]) {
      expect([...capacities([endpoint(1, lie), endpoint(1, honest)], now)]).toEqual([800, 200])
      expect([...capacities([endpoint(1, lie), endpoint(2, honest), endpoint(1, '')], now)]).toEqual([400, 200, 250])
      expect([
        ...capacities([endpoint(1, honest), endpoint(1, lie), endpoint(1, honest), endpoint(1, honest)], now),
      ]).toEqual([200, 800, 200, 200])
      // Of five, two liars do not carry each other.
      expect([
        ...capacities(
          [lie, honest, lie, honest, honest].map(report => endpoint(1, report)),
          now,
        ),
      ]).toEqual([800, 200, 800, 200, 200])
      // Where all lie they are alike, and all numbers are numbers.
      const all = capacities([endpoint(1, lie), endpoint(1, lie)], now)
      expect(all[0]! / all[1]!).toBe(1)
    }
  })

  test('an endpoint that makes itself small gets little, and takes no more than three quarters of the share of the others', () => {
    const made = capacities(
      [endpoint(1, 'qps=1e-300,cpu_utilization=1e12'), endpoint(1, 'qps=100,cpu_utilization=0.5')],
      now,
    )
    expect(made[1]! / made[0]!).toBe(4)
  })

  test('what is no number, negative or infinite is no report', () => {
    for (const wrong of ['NaN', '-1', '1e400', 'Infinity', '-0.5', '1e13'])
      for (const report of [
        `qps=${wrong},cpu_utilization=0.5`,
        `qps=100,cpu_utilization=${wrong}`,
        `JSON {"rps_fractional": ${wrong}, "cpu_utilization": 0.5}`,
      ])
        expect(weightOf(report), report).toBe(0)
    const binary = Buffer.alloc(18)
    binary[0] = (6 << 3) | 1
    binary.writeDoubleLE(100, 1)
    binary[9] = (1 << 3) | 1
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
      binary.writeDoubleLE(wrong, 10)
      expect(weightOf(`BIN ${binary.toString('base64')}`)).toBe(0)
    }
  })

  test('learnt and slow-start weights are no capacity', () => {
    const [a, b] = bareEndpoints([1, 2])
    a!.weight = 0.1
    a!.learntWeight = 7
    expect([...capacities([a!, b!], now)]).toEqual([1, 2])
  })
})

test('reports in trailers count as those in heads do, also right after a head without one', () => {
  const load = new EndpointLoad()
  for (let at = 0; at <= 10_000; at += 1000) {
    learnReport(load, new HeaderList(), start + at)
    learnTrailers(load, headers('qps=100, cpu_utilization=0.5'), start + at + 1)
  }
  expect(reportedWeight(load, start + 10_001)).toBe(200)
})
