import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  askJaeger,
  type JaegerPorts,
  type JaegerTrace,
  jaegerConfig,
  tracesOf,
} from '../../../examples/support/jaeger.ts'
import { obtain } from '../../peers/obtain.ts'
import { type Child, startChild, temporaryFolder } from './child.ts'
import { freePort } from './ports.ts'
import { until } from './until.ts'

export interface Jaeger extends AsyncDisposable {
  readonly ports: JaegerPorts
  traces(service: string, limit?: number): Promise<readonly JaegerTrace[]>
  services(): Promise<readonly string[]>
  /** SIGKILL: what it had is lost. */
  kill(): Promise<void>
  /** On the same ports. */
  start(): Promise<void>
}

/** A real Jaeger, started. */
export async function startJaeger(): Promise<Jaeger> {
  const binary = await obtain('jaeger')
  const ports: JaegerPorts = {
    query: await freePort(),
    grpc: await freePort(),
    http: await freePort(),
    unused: await freePort(),
  }
  const file = join(temporaryFolder(), 'jaeger.json')
  writeFileSync(file, jaegerConfig(ports))
  let child: Child | null = null
  const jaeger: Jaeger = {
    ports,
    traces: (service, limit) => tracesOf(ports.query, service, limit),
    services: async () => (await askJaeger<string[]>(ports.query, 'services')) ?? [],
    async start() {
      const started = startChild(binary, ['--config', file])
      child = started
      await until('that Jaeger answers', async () => {
        if (!started.running()) throw new Error(`Jaeger ended: ${started.err()}`)
        return (await askJaeger<string[]>(ports.query, 'services')) !== null
      })
    },
    async kill() {
      child?.signal('SIGKILL')
      await child?.ended
    },
    [Symbol.asyncDispose]: () => jaeger.kill(),
  }
  await jaeger.start()
  return jaeger
}

export interface OpenTelemetryCollector extends AsyncDisposable {
  readonly grpc: number
  readonly http: number
  /** Every span, attribute by attribute. */
  printed(): string
}

/** A real OpenTelemetry Collector that prints what it gets: the program of Jaeger is one. */
export async function startCollector(): Promise<OpenTelemetryCollector> {
  const [grpc, http] = [await freePort(), await freePort()]
  const file = join(temporaryFolder(), 'collector.json')
  const at = (port: number) => ({ endpoint: `127.0.0.1:${port}` })
  const config = {
    receivers: { otlp: { protocols: { grpc: at(grpc), http: at(http) } } },
    processors: { batch: { timeout: '50ms' } },
    exporters: { debug: { verbosity: 'detailed' } },
    service: {
      pipelines: { traces: { receivers: ['otlp'], processors: ['batch'], exporters: ['debug'] } },
      telemetry: { metrics: { level: 'none' } },
    },
  }
  writeFileSync(file, JSON.stringify(config))
  const child = startChild(await obtain('jaeger'), ['--config', file])
  await child.said('that the collector is ready', (out, err) => (out + err).includes('Everything is ready'))
  return {
    grpc,
    http,
    printed: () => child.out() + child.err(),
    async [Symbol.asyncDispose]() {
      child.signal('SIGKILL')
      await child.ended
    },
  }
}
