import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ServerCredentials } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import { tagOf } from '../../examples/support/jaeger.ts'
import { startAgent } from '../agent/traces/support/agent.ts'
import { application } from '../agent/traces/support/application.ts'
import { grpcReceiver } from '../agent/traces/support/receiver.ts'
import { obtain } from '../peers/obtain.ts'
import { temporaryFolder } from './support/child.ts'
import { startCollector, startJaeger } from './support/jaeger.ts'

const PORTS = 'grpc: 127.0.0.1:0, http: 127.0.0.1:0'

describe('a real Jaeger', () => {
  test.each(['grpc', 'http'] as const)('shows what an application sends to the agent by %s', async way => {
    await using jaeger = await startJaeger()
    const to = way === 'grpc' ? `grpc://127.0.0.1:${jaeger.ports.grpc}` : `http://127.0.0.1:${jaeger.ports.http}`
    const agent = await startAgent({ traces: `export: "${to}", resource: { deployment.environment: test }, ${PORTS}` })
    const shop = application('shop', way, agent[way])
    shop.tracer.startActiveSpan('outer', outer => {
      shop.tracer.startSpan('inner').end()
      outer.setStatus({ code: 2, message: 'it failed' })
      outer.end()
    })
    await shop.flush()
    await expect.poll(() => jaeger.services()).toEqual(['shop'])
    await expect.poll(async () => (await jaeger.traces('shop')).flatMap(({ spans }) => spans).length).toBe(2)
    const traces = await jaeger.traces('shop')
    const outer = traces.flatMap(({ spans }) => spans).find(({ operationName }) => operationName === 'outer')!
    expect(tagOf(outer.tags, 'error')).toBe(true)
    const { tags } = Object.values(traces[0]!.processes)[0]!
    expect(tagOf(tags, 'deployment.environment')).toBe('test')
    expect(tagOf(tags, 'host.name')).not.toBeNull()
  })

  test('that is away for some seconds loses no span', async () => {
    await using jaeger = await startJaeger()
    const agent = await startAgent({ traces: `export: "grpc://127.0.0.1:${jaeger.ports.grpc}", ${PORTS}` })
    const shop = application('shop', 'grpc', agent.grpc)
    const make = async (from: number, end: number) => {
      for (let index = from; index < end; index++) shop.tracer.startSpan(`s${index}`).end()
      await shop.flush()
    }
    await make(0, 10)
    await expect.poll(async () => (await jaeger.traces('shop', 1_000)).length).toBe(10)
    await jaeger.kill()
    await make(10, 400)
    await expect.poll(() => agent.child.err()).toMatch(/takes no spans: UNAVAILABLE/)
    await make(400, 800)
    await jaeger.start()
    await expect.poll(async () => (await jaeger.traces('shop', 1_000)).length).toBe(790)
    expect(agent.child.err()).toMatch(/takes spans again/)
  })
})

describe('a real OpenTelemetry Collector', () => {
  test.each(['grpc', 'http'] as const)('takes what the agent sends by %s, compressed', async way => {
    await using collector = await startCollector()
    const to = `${way}://127.0.0.1:${collector[way]}`
    const agent = await startAgent({ traces: `export: "${to}", compression: gzip, ${PORTS}` })
    const shop = application('shop', 'http', agent.http)
    const span = shop.tracer.startSpan('a span', { attributes: { 'http.response.status_code': 503 } })
    span.addEvent('retry', { 'retry.reason': 'connect-refused' })
    span.end()
    await shop.flush()
    await expect.poll(() => collector.printed()).toContain('http.response.status_code: Int(503)')
    for (const text of ['service.name: Str(shop)', 'host.name: Str(', 'retry.reason: Str(connect-refused)'])
      expect(collector.printed()).toContain(text)
  })
})

describe('a collector with TLS', () => {
  test('sends by TLS to a collector that its CA knows, with a secret that nobody is shown', async () => {
    const folder = temporaryFolder()
    const program = await obtain('openssl')
    const openssl = (line: string) => execFileSync(program, line.split(' '), { cwd: folder, stdio: 'ignore' })
    openssl(
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost',
    )
    const [cert, key] = [readFileSync(join(folder, 'cert.pem')), readFileSync(join(folder, 'key.pem'))]
    const secure = ServerCredentials.createSsl(null, [{ cert_chain: cert, private_key: key }])
    const collector = await grpcReceiver(0, secure)
    const agent = await startAgent({
      traces: `export: "grpcs://localhost:${collector.port}", tls: { ca: cert.pem }, headers: { x-key: hunter2 }, ${PORTS}`,
      folder,
    })
    const shop = application('shop', 'http', agent.http)
    shop.tracer.startSpan('secret').end()
    await shop.flush()
    await expect.poll(() => collector.names).toEqual(['secret'])
    expect(collector.requests[0]!.headers['x-key']).toBe('hunter2')
    expect(agent.child.err() + agent.child.out()).not.toContain('hunter2')
  })
})
