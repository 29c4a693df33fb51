import { describe, expect, test } from 'vitest'
import { failures } from '../../proxy/core/failure.ts'
import { detectorOf } from './detector.ts'

const { connectRefused: refused, resetBeforeResponse: reset, perTryTimeout: late } = failures

describe('5xx in a row', () => {
  test('count any 5xx; a 500 ends a row of gateway failures', () => {
    const { ends, states, events, detected } = detectorOf(3, { consecutive5xx: 4 })
    ends(0, 503, 2)
    ends(0, 500)
    ends(0, 503)
    expect(states()[0]).toBe('ejected')
    expect(events.at(-1)).toMatchObject({ reason: '4 consecutive 5xx, last: status 503', by: 'consecutive_5xx' })
    expect(detected).toEqual(['consecutive_5xx ejected'])
  })

  test('are off at first: an application that fails in its own way stays', () => {
    const { ends, states, endpoints } = detectorOf(3)
    ends(0, 500, 100)
    expect(states()[0]).toBe('admitting')
    expect(endpoints[0]!.evidence).toBeNull()
  })

  test('end with anything else', () => {
    const { ends, states } = detectorOf(3, { consecutive5xx: 4 })
    for (let i = 0; i < 9; i++) {
      ends(0, 500, 3)
      ends(0, 404)
    }
    expect(states()[0]).toBe('admitting')
  })
})

describe('failures of local origin', () => {
  test('count with the others at first, whatever comes between', () => {
    const { ends, states, events } = detectorOf(3)
    ends(0, refused)
    ends(0, 503)
    ends(0, reset)
    expect(states()[0]).toBe('ejected')
    expect(events.at(-1)).toMatchObject({ reason: '3 consecutive failures, last: reset-before-response' })
  })

  test('apart: each has its own row, and an answer of any kind ends that of local origin', () => {
    const { ends, states, events } = detectorOf(3, { consecutiveLocalFailures: 3, consecutive5xx: 9 })
    for (let i = 0; i < 2; i++) {
      ends(0, refused, 2)
      ends(0, 503)
    }
    expect(states()[0]).toBe('admitting')
    // What came without an answer did not end the row of gateway failures, and did not lengthen it.
    ends(0, refused)
    ends(0, 503)
    expect(events.at(-1)).toMatchObject({
      by: 'consecutive_gateway_failure',
      reason: '3 consecutive failures, last: status 503',
    })
    ends(1, late, 3)
    expect(events.filter(({ kind }) => kind === 'endpoint-ejected')).toHaveLength(1)
  })

  test('apart: so many in a row eject', () => {
    const { ends, events } = detectorOf(3, { consecutiveLocalFailures: 2, consecutiveGatewayFailures: 0 })
    ends(0, 503, 10)
    expect(events).toEqual([])
    ends(0, late, 2)
    expect(events.at(-1)).toMatchObject({
      by: 'consecutive_local_origin_failure',
      reason: '2 consecutive local failures, last: per-try-timeout',
    })
  })

  test('apart with 0: they never eject, but a probe that gets no answer has failed', () => {
    const { ends, states, loop } = detectorOf(3, { consecutiveLocalFailures: 0 })
    ends(0, refused, 100)
    expect(states()[0]).toBe('admitting')
    ends(0, 503, 3)
    loop.advance(1_010)
    expect(states()[0]).toBe('probing')
    ends(0, refused)
    expect(states()[0]).toBe('ejected')
  })
})

describe('how long', () => {
  test('jitter is added, by chance, and to the longest too', () => {
    const { ends, events, loop } = detectorOf(3, { jitterMs: 500 })
    const lengths: number[] = []
    for (let i = 0; i < 8; i++) {
      ends(0, 503, 3)
      const { forMs } = events.at(-1) as { forMs: number }
      lengths.push(forMs)
      loop.advance(forMs + 20)
    }
    lengths.forEach((forMs, i) => {
      const base = Math.min(1000 * (i + 1), 5000)
      expect(forMs).toBeGreaterThanOrEqual(base)
      expect(forMs).toBeLessThanOrEqual(base + 500)
    })
    expect(new Set(lengths.map((forMs, i) => forMs - Math.min(1000 * (i + 1), 5000))).size).toBeGreaterThan(4)
  })

  test('a time longer than a word can hold is cut, and does not end at once', () => {
    const { ends, states, loop } = detectorOf(3, { baseEjectionMs: 1e11, maxEjectionMs: 1e11 })
    ends(0, 503, 3)
    loop.advance(19 * 24 * 3_600_000)
    expect(states()[0]).toBe('ejected')
    loop.advance(2 * 24 * 3_600_000)
    expect(states()[0]).toBe('probing')
  })
})

describe('evidence', () => {
  test('is the last eight failures with their requests, and is kept while it is ejected', () => {
    const { ends, events, endpoints, loop } = detectorOf(3, { consecutiveGatewayFailures: 10 })
    for (let i = 0; i < 10; i++) {
      ends(0, i % 2 === 0 ? 503 : refused, 1, `request-${i}`)
      loop.advance(5)
    }
    const { evidence } = events[0] as unknown as { evidence: object[] }
    expect(evidence).toHaveLength(8)
    expect(evidence[0]).toEqual({ what: 'status 503', requestId: 'request-2', agoMs: 35 })
    expect(evidence[7]).toEqual({ what: 'connect-refused', requestId: 'request-9', agoMs: 0 })
    ends(0, 503, 5, 'late')
    expect(endpoints[0]!.evidence!.failures(loop.now).map(({ requestId }) => requestId)).not.toContain('late')
  })

  test('of a success there is none', () => {
    const { ends, endpoints } = detectorOf(3)
    ends(0, 200, 100)
    expect(endpoints[0]!.evidence).toBeNull()
  })
})

describe('mode: shadow', () => {
  test('ejects none, and says what would have been: once for as long as that would have lasted', () => {
    const { ends, states, events, detected, loop, endpoints, changes } = detectorOf(3, { shadow: true })
    ends(0, 503, 20)
    expect(states()).toEqual(['admitting', 'admitting', 'admitting'])
    expect(events).toEqual([
      expect.objectContaining({
        kind: 'endpoint-ejected',
        shadow: true,
        forMs: 1000,
        reason: '3 consecutive failures, last: status 503',
      }),
    ])
    expect(detected).toEqual(['consecutive_gateway_failure shadow'])
    expect(endpoints[0]!.stats.ejected.values[0]).toBe(0)
    expect(changes()).toBe(0)
    loop.advance(1_001)
    ends(0, 503, 3)
    expect(events.at(-1)).toMatchObject({ forMs: 2000 })
  })

  test('keeps to the share: what is left of the service would have stayed', () => {
    const { ends, events, detected } = detectorOf(2, { shadow: true })
    ends(0, 503, 3)
    ends(1, 503, 3)
    expect(events).toHaveLength(1)
    expect(detected).toEqual(['consecutive_gateway_failure shadow', 'consecutive_gateway_failure no_room'])
  })

  test('turned on, it lets everyone in again', () => {
    const { ends, states, outliers } = detectorOf(3)
    ends(0, 503, 3)
    outliers.configure({
      consecutiveGatewayFailures: 3,
      baseEjectionMs: 1000,
      maxEjectionMs: 5000,
      maxEjectedPercent: 50,
      shadow: true,
    })
    expect(states()[0]).toBe('admitting')
  })
})

test('where there is no room it is counted once for a row, and ejected as soon as there is', () => {
  const { ends, states, detected, endpoints } = detectorOf(2)
  ends(0, 503, 3)
  ends(1, 503, 50)
  expect(detected).toEqual(['consecutive_gateway_failure ejected', 'consecutive_gateway_failure no_room'])
  endpoints[0]!.state = 'admitting'
  ends(1, 503)
  expect(states()[1]).toBe('ejected')
})
