import { describe, expect, test } from 'vitest'
import { describeSource, effectiveLines } from '../../mesh-config/effective-yaml.ts'
import type { Environment } from '../../mesh-config/environment.ts'
import { type LoadedSnapshot, loadTexts } from '../../mesh-config/load-snapshot.ts'
import { hidden } from '../../mesh-config/secret.ts'

async function load(env: Environment, text = ''): Promise<LoadedSnapshot> {
  const file = `outbound: [{ listen: 127.0.0.1:9101, service: orders }]\ndiscovery: { endpoints: { orders: [127.0.0.1:9001] } }\n${text}`
  const loaded = await loadTexts([{ file: 'sidecar.yaml', text: file }], env)
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return loaded
}

const warned = async (env: Environment) => (await load(env)).warnings

describe('variables of OpenTelemetry', () => {
  test.each([
    [{ OTEL_SDK_DISABLED: 'true' }, { isOn: false }],
    [{ OTEL_SDK_DISABLED: 'TRUE' }, { isOn: false }],
    [{ OTEL_SDK_DISABLED: 'false' }, { isOn: true }],
    [{ OTEL_TRACES_EXPORTER: 'none' }, { isOn: false }],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, { isOn: true }],
    [{ OTEL_TRACES_SAMPLER: 'always_on' }, { samplePercent: 100 }],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_always_on' }, { samplePercent: 100 }],
    [{ OTEL_TRACES_SAMPLER: 'always_off' }, { samplePercent: 0, failed: false, slow: false }],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.07' }, { samplePercent: 7 }],
    [{ OTEL_TRACES_SAMPLER: 'traceidratio' }, { samplePercent: 100 }],
    // Without a sampler its argument says nothing.
    [{ OTEL_TRACES_SAMPLER_ARG: '0.5' }, { samplePercent: 1 }],
    [{ OTEL_PROPAGATORS: 'tracecontext,baggage' }, { propagate: ['w3c'] }],
    [{ OTEL_PROPAGATORS: 'b3multi , tracecontext' }, { propagate: ['w3c', 'b3'] }],
    [{ OTEL_PROPAGATORS: 'none' }, { propagate: [] }],
  ] as [Environment, object][])('%j', async (env, expected) => {
    const { snapshot, warnings } = await load(env)
    expect(snapshot.traces).toMatchObject(expected)
    expect(warnings).toEqual([])
  })

  test.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }, { url: 'http://c:4318/v1/traces' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c/otlp/' }, { url: 'https://c/otlp/v1/traces' }],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c:1/own' }, { url: 'http://c:1/own' }],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://b/own' },
      { url: 'http://b/own' },
    ],
    [
      { OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a%20b, x=1', OTEL_EXPORTER_OTLP_TIMEOUT: '2500' },
      { secretHeaders: ['api-key', 'a b', 'x', '1'], timeoutMs: 2500 },
    ],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'a=1', OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'b=2' }, { secretHeaders: ['b', '2'] }],
    [{ OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' }, { gzip: true }],
    [
      {
        OTEL_BSP_SCHEDULE_DELAY: '0',
        OTEL_BSP_MAX_QUEUE_SIZE: '99',
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '9',
        OTEL_BSP_EXPORT_TIMEOUT: '70',
      },
      { batchMs: 0, queueSpans: 99, batchSpans: 9, timeoutMs: 70 },
    ],
    [
      { OTEL_RESOURCE_ATTRIBUTES: 'service.name=a,team=b%2Cc', OTEL_SERVICE_NAME: 'shop' },
      { attributes: ['service.name', 'shop', 'team', 'b,c'] },
    ],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }, { url: null }],
  ] as [Environment, object][])('%j', async (env, expected) => {
    const { bootstrap, warnings } = await load(env)
    expect(bootstrap.traces).toMatchObject(expected)
    expect(warnings).toEqual([])
  })

  test('a file counts over them, key by key', async () => {
    const env = { OTEL_TRACES_SAMPLER: 'always_on', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c' }
    const { snapshot, bootstrap } = await load(env, 'traces: { sample: 5 }\n')
    expect(snapshot.traces).toMatchObject({ samplePercent: 5, isExported: true })
    expect(bootstrap.traces.url).toBe('http://c/v1/traces')
    expect((await load(env, 'traces: off\n')).snapshot.traces.isOn).toBe(false)
  })

  test.each([
    [{ OTEL_TRACES_SAMPLER: 'jaeger_remote' }, /^\$OTEL_TRACES_SAMPLER: jaeger_remote is not known here/],
    [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }, /_ARG: this is not a ratio from 0 to 1/],
    [{ OTEL_TRACES_EXPORTER: 'zipkin' }, /zipkin is not known here/],
    [{ OTEL_EXPORTER_OTLP_TIMEOUT: 'soon' }, /this is not a whole number from 1 on/],
    [{ OTEL_EXPORTER_OTLP_COMPRESSION: 'br' }, /br is not known here/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }, /this is not a URL/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://u:p@c' }, /this is not a URL/],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      /the proxy exports http\/protobuf only, so OTEL_EXPORTER_OTLP_ENDPOINT is not used: start an agent/,
    ],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'no' }, /one of its pairs is not name=value/],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'a=%' }, /one of its pairs is not name=value/],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'a=%0Ab' }, /a name or a value that a header cannot have/],
    [{ OTEL_RESOURCE_ATTRIBUTES: 'a%20b=1' }, /a name that is empty, too long or not ASCII/],
  ] as [Environment, RegExp][])('what makes no sense is passed over, with a warning: %j', async (env, message) => {
    expect(await warned(env)).toEqual([expect.stringMatching(message)])
  })

  test('a warning never shows what may be a secret', async () => {
    const text = (await warned({ OTEL_EXPORTER_OTLP_HEADERS: 'a=hunter2%0A,hunter2' })).join()
    expect(text).not.toContain('hunter2')
  })

  test('are where `config effective` says that a value comes from', async () => {
    const loaded = await load(
      {
        OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
        OTEL_TRACES_SAMPLER_ARG: '0.2',
        OTEL_EXPORTER_OTLP_HEADERS: 'api-key=hunter2',
        OTEL_PROPAGATORS: 'tracecontext',
      },
      'traces: { failed: false }\n',
    )
    const effective = await loaded.effective()
    const { traces } = effective.config as { traces: Record<string, unknown> }
    expect(traces).toMatchObject({ sample: 20, headers: { 'api-key': hidden }, propagate: ['w3c'], failed: false })
    const said = Object.fromEntries(
      effectiveLines(effective).map(({ text, source }) => [text.trim(), source === null ? '' : describeSource(source)]),
    )
    expect(said['sample: 20']).toBe('from OTEL_TRACES_SAMPLER_ARG')
    expect(said['propagate: [w3c]']).toBe('from OTEL_PROPAGATORS')
    expect(said['failed: false']).toBe('sidecar.yaml:3')
    expect(said['slow: true']).toMatch(/^default: /)
    expect(JSON.stringify(effective)).not.toContain('hunter2')
  })
})
