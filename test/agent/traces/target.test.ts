import { describe, expect, test } from 'vitest'
import { nameOf } from '../../../agent/traces/collector.ts'
import { exportSettings } from '../../../agent/traces/target.ts'
import { agentSchema } from '../../../mesh-config/agent/agent-file.ts'

type Environment = Readonly<Record<string, string>>

function settings(traces: object, env: Environment = {}) {
  return exportSettings(agentSchema.parse({ traces }), env, '/etc/outrigger')
}

function placeOf(traces: object, env: Environment = {}): string | null {
  const { target } = settings(traces, env)
  return target === null ? null : nameOf(target)
}

describe('where spans go', () => {
  test.each([
    ['grpc://jaeger', 'grpc://jaeger:4317'],
    ['grpcs://jaeger:443', 'grpcs://jaeger:443'],
    ['http://jaeger', 'http://jaeger:4318/v1/traces'],
    ['http://jaeger:80', 'http://jaeger:80/v1/traces'],
    ['https://api.example/otlp/', 'https://api.example:443/otlp/v1/traces'],
    ['https://api.example/otlp/v1/traces', 'https://api.example:443/otlp/v1/traces'],
    ['grpc://[fd00::1]:4317', 'grpc://[fd00::1]:4317'],
    ['off', null],
  ])('as the file says: %s', (written, place) => {
    expect(placeOf({ export: written }, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://other' })).toBe(place)
  })

  test.each<[Environment, string | null]>([
    [{}, null],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }, 'http://c:4318/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318/base' }, 'http://c:4318/base/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c' }, 'https://c:443/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c:4318/own' }, 'http://c:4318/own'],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://t:1', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:2' }, 'http://t:1/'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4317' }, 'grpc://c:4317'],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' },
      'http://c:4317/v1/traces',
    ],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'c:55680', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'grpc://c:55680'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc' }, 'grpcs://c:4317'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_TRACES_EXPORTER: 'none' }, null],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: '', OTEL_TRACES_EXPORTER: '' }, null],
  ])('as the environment says: %j', (env, place) => {
    expect(placeOf({}, env)).toBe(place)
  })

  test('what is no address ends the start', () => {
    expect(() => settings({}, { OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://c' })).toThrow(
      'OTEL_EXPORTER_OTLP_ENDPOINT: this is no address of a collector: write http://host:4318',
    )
  })
})

describe('how they go', () => {
  test('as the environment says, those for traces first', () => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20abc, x-team = web',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
      OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_TIMEOUT: '2500',
      OTEL_EXPORTER_OTLP_CERTIFICATE: '/ca.pem',
    }
    expect(settings({}, env)).toMatchObject({
      target: { headers: { authorization: 'Bearer abc', 'x-team': 'web' }, compression: 'gzip' },
      timeoutMs: 2_500,
      files: { ca: '/ca.pem', cert: null, key: null },
      warnings: [],
    })
    const traces = {
      export: 'grpc://c',
      headers: { a: 'b' },
      compression: 'none',
      timeout: '1s',
      tls: { ca: 'mine.pem' },
    }
    expect(settings(traces, env)).toMatchObject({
      target: { headers: { a: 'b' }, compression: 'none' },
      timeoutMs: 1_000,
      files: { ca: '/etc/outrigger/mine.pem' },
    })
  })

  test('a header that could not be sent is left out, and not shown', () => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4317',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=s%0Aecret,a b=secret,x=1,y=s%C4%8Decret',
    }
    const { target, warnings } = settings({}, env)
    expect(target!.headers).toEqual({ x: '1' })
    expect(warnings.filter(warning => warning.includes('that no header has'))).toHaveLength(2)
    expect(warnings.join()).not.toMatch(/s.?ecret/)
  })

  test('with a warning for what makes no sense, that shows no secret', () => {
    const { warnings, target } = settings(
      {},
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318',
        OTEL_EXPORTER_OTLP_HEADERS: 'secret',
        OTEL_EXPORTER_OTLP_COMPRESSION: 'zstd',
        OTEL_EXPORTER_OTLP_TIMEOUT: '10s',
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      },
    )
    expect(target!.headers).toEqual({})
    expect(warnings).toHaveLength(4)
    expect(warnings.join('\n')).not.toContain('secret')
    expect(settings({}, { OTEL_TRACES_EXPORTER: 'zipkin' }).warnings).toEqual([
      'OTEL_TRACES_EXPORTER=zipkin: the agent exports by otlp only, and so it exports nothing',
    ])
  })
})
