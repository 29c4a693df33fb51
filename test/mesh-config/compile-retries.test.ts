import { describe, expect, test } from 'vitest'
import { compileService } from '../../mesh-config/compile-service.ts'
import { serviceSchema } from '../../mesh-config/service.ts'

const compiled = (policy: object) => compileService('orders', serviceSchema.parse(policy), [])
const ofRoute = (service: object, route: object) =>
  compiled({ ...service, routes: [{ match: {}, ...route }] }).routes[0]!

describe('retries', () => {
  test('a spec says only what differs from the defaults, so older sidecars take it', () => {
    expect(Object.keys(compiled({}).retries)).toEqual(['on', 'attempts', 'replayBytes', 'budget'])
    expect(Object.keys(compiled({}).timeouts)).not.toContain('deadline')
  })

  test('words of Envoy that are several of ours', () => {
    expect(
      compiled({ retries: { on: ['reset', 'connect-failure', 'reset-before-request', '5xx'] } }).retries.on,
    ).toEqual(['reset-before-response', 'connect-failure', 'refused-stream', 'per-try-timeout', '5xx'])
  })

  test('a second try after a percentile, or after a time', () => {
    expect(compiled({ retries: { hedge: {} } }).retries.hedge).toEqual({ afterMs: 0, percentile: 95, minSamples: 100 })
    expect(compiled({ retries: { hedge: { after: '50ms' } } }).retries.hedge).toEqual({
      afterMs: 50,
      percentile: 0,
      minSamples: 0,
    })
    for (const after of ['p49', 'p100', '0ms', 'off', 'soon', 5])
      expect(serviceSchema.safeParse({ retries: { hedge: { after } } }).success, String(after)).toBe(false)
  })

  test('a route says what differs, part by part', () => {
    const service = {
      retries: {
        backoff: { base: '10ms', max: '100ms' },
        hedge: { after: '50ms' },
        headers: { 'X-Again': 'yes' },
        idempotencyKey: true,
      },
    }
    expect(ofRoute(service, { retries: { backoff: { base: '20ms' }, attempts: 3 } }).retries).toEqual({
      on: ['connect-failure', 'refused-stream', 'reset-before-response'],
      headers: [{ name: 'x-again', kind: 'exact', value: 'yes' }],
      idempotencyKey: true,
      backoff: { baseMs: 20, maxMs: 100 },
      hedge: { afterMs: 50, percentile: 0, minSamples: 0 },
      attempts: 3,
      replayBytes: 65_536,
    })
    const off = ofRoute(service, { retries: { hedge: 'off', headers: {}, idempotencyKey: false } }).retries!
    expect([off.hedge, off.headers, off.idempotencyKey]).toEqual([undefined, undefined, undefined])
  })

  test('timeouts of a route', () => {
    const service = { timeouts: { maxStream: '1m', deadline: 'begin' } }
    expect(ofRoute(service, { timeouts: { request: '1s' } }).timeouts).toMatchObject({
      maxStreamMs: 60_000,
      deadline: 'begin',
    })
    const over = ofRoute(service, { timeouts: { maxStream: 'off', deadline: 'enforce' } }).timeouts!
    expect([over.maxStreamMs, over.deadline]).toEqual([undefined, undefined])
  })
})
