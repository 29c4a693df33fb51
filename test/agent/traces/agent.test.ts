import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { Client, credentials } from '@grpc/grpc-js'
import { describe, expect, onTestFinished, test } from 'vitest'
import { node, root, run, temporaryFolder } from '../../integration/support/child.ts'
import { startAgent } from './support/agent.ts'
import { application } from './support/application.ts'
import { requestOf, spanOf } from './support/otlp.ts'
import { grpcReceiver, httpReceiver } from './support/receiver.ts'

const PORTS = 'grpc: 127.0.0.1:0, http: 127.0.0.1:0'

async function makeSpan(way: 'grpc' | 'http', port: number, name: string): Promise<void> {
  const { tracer, flush } = application('an-application', way, port)
  tracer.startSpan(name).end()
  await flush()
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  await new Promise(done => server.close(done))
  return port
}

async function holdPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  return (server.address() as { port: number }).port
}

/** As a proxy does it: on the agent's socket. */
function sendAsProxy(socket: string, request: Buffer): Promise<Buffer> {
  const client = new Client(`unix:${socket}`, credentials.createInsecure())
  onTestFinished(() => client.close())
  const asItIs = (bytes: Buffer) => bytes
  const path = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
  return new Promise((resolve, reject) =>
    client.makeUnaryRequest(path, asItIs, asItIs, request, (error, answer) =>
      error === null ? resolve(answer!) : reject(error),
    ),
  )
}

describe('an agent', () => {
  test('passes on what applications and proxies send, and adds its host', async () => {
    const collector = await grpcReceiver()
    const agent = await startAgent({ traces: `export: "grpc://127.0.0.1:${collector.port}", ${PORTS}` })
    await makeSpan('grpc', agent.grpc, 'by gRPC')
    await makeSpan('http', agent.http, 'by HTTP')
    await sendAsProxy(agent.socket, requestOf('orders', [spanOf({ name: 'of a proxy' })]))
    await expect.poll(() => collector.names).toEqual(['by gRPC', 'by HTTP', 'of a proxy'])
    const ended = await agent.child.stop()
    expect(ended.code).toBe(0)
    expect(agent.child.err()).toContain(`spans go to grpc://127.0.0.1:${collector.port}`)
    for (const attributes of collector.resources) expect(attributes['host.name']).toBe(hostname())
  })

  test('killed -9 while the collector is away loses no span that it has taken', async () => {
    const port = await freePort()
    const traces = `export: "grpc://127.0.0.1:${port}", ${PORTS}`
    const first = await startAgent({ traces })
    for (let index = 0; index < 20; index++)
      await sendAsProxy(first.socket, requestOf('orders', [spanOf({ name: `s${index}` })]))
    first.child.signal('SIGKILL')
    await first.child.ended
    const second = await startAgent({ traces, folder: first.folder })
    await sendAsProxy(second.socket, requestOf('orders', [spanOf({ name: 'after' })]))
    const collector = await grpcReceiver(port)
    await expect
      .poll(() => collector.names)
      .toEqual([...Array.from({ length: 20 }, (_, index) => `s${index}`), 'after'])
    expect(second.child.err()).toContain('20 spans are left from before, and are sent first')
  })

  test('honours the environment variables of OpenTelemetry', async () => {
    const collector = await httpReceiver()
    const agent = await startAgent({
      traces: PORTS,
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.port}`,
        OTEL_EXPORTER_OTLP_HEADERS: 'x-team=web',
      },
    })
    await makeSpan('grpc', agent.grpc, 'a')
    await expect.poll(() => collector.names).toEqual(['a'])
    expect(collector.requests[0]!.headers).toMatchObject({ 'x-team': 'web', ':path': '/v1/traces' })
  })

  test('without a place for spans opens no port for them', async () => {
    const agent = await startAgent({ traces: '' })
    expect([agent.grpc, agent.http]).toEqual([0, 0])
    expect(agent.child.err()).not.toContain('traces')
    const answer = await sendAsProxy(agent.socket, requestOf('orders', [spanOf()]))
    expect(answer.toString()).toContain('the agent of this host exports no traces')
  })
})

describe('what cannot be ends the start', () => {
  async function fails(traces: string): Promise<{ code: number | null; err: string }> {
    const folder = temporaryFolder()
    const file = join(folder, 'agent.yaml')
    writeFileSync(file, `listen: unix:${folder}/agent.sock\nstate: ${folder}/state\ntraces: { ${traces} }\n`)
    return await run(node, [join(root, 'bin/outrigger.js'), 'agent', '-c', file])
  }

  test('a port that the file names and another program has', async () => {
    const port = await holdPort()
    const { code, err } = await fails(`export: "grpc://127.0.0.1:1", grpc: off, http: 127.0.0.1:${port}`)
    expect(code).toBe(1)
    expect(err).toContain(`traces.http: cannot listen on 127.0.0.1:${port}: `)
  })

  test('a port to which its own spans go', async () => {
    const { code, err } = await fails('export: "grpc://localhost:4999", grpc: 127.0.0.1:4999, http: off')
    expect(code).toBe(1)
    expect(err).toContain('traces.grpc: 127.0.0.1:4999 is where traces.export sends the spans: change one of them')
  })

  test('a certificate that is not there', async () => {
    const { code, err } = await fails(
      'export: "grpcs://localhost:4999", tls: { ca: missing.pem }, grpc: off, http: off',
    )
    expect(code).toBe(1)
    expect(err).toMatch(/ENOENT.*missing\.pem/)
  })

  test.each([
    ['export: collector', /"collector" is not an address of a collector: write grpc:\/\/host:4317/],
    ['export: "http://user:pw@host"', /is not an address of a collector/],
    ['sample: 101', /sample|101/],
    ['queue: 1MiB', /"1MiB" is out of range: write a size from 8MiB to 64GiB/],
    ['headers: { "bad name": x }', /header name/],
  ])('a value that makes no sense: %s', async (traces, message) => {
    const { code, err } = await fails(traces)
    expect([code, err]).toEqual([2, expect.stringMatching(message)])
  })
})
