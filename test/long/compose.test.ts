import { afterAll, beforeAll, expect, test } from 'vitest'
import { type JaegerTrace, tagOf } from '../../examples/support/jaeger.ts'
import { tryPage } from '../console/try-page.ts'
import { until } from '../integration/support/until.ts'
import { obtain } from '../peers/obtain.ts'
import { type Compose, startComposed } from './support/compose.ts'

// The example of Docker Compose as users start it, with real Consul, Jaeger and Prometheus; only Grafana is a stand-in.

const WEB = 'http://127.0.0.1:8080/'
const BOTH = ['200 web orders-1 stock', '200 web orders-2 stock']

let machine: Compose

beforeAll(async () => {
  await Promise.all([obtain('dockerd'), obtain('debootstrap'), obtain('ip')])
  machine = await startComposed()
  await machine.compose('up', '-d')
}, 1_800_000)

afterAll(() => machine?.[Symbol.asyncDispose]())

/** `orders-1-sidecar` ... */
async function inspect(service: string, path: string): Promise<string> {
  return (await machine.docker(['inspect', '-f', `{{${path}}}`, `outrigger-example-${service}-1`])).trim()
}

test('when all is up, the first call is answered, and calls are balanced', async () => {
  // Compose has waited for the chain: nothing is left to wait for here but the last application itself.
  await until('that web answers', () => machine.get(WEB))
  expect(Object.keys(await machine.calls(WEB, 40, 0)).sort()).toEqual(BOTH)
})

test('applications go by their sidecars, which they do not know', async () => {
  const why = await machine.compose('exec', '-T', 'web-sidecar', 'outrigger', 'explain', 'http://orders/')
  expect(why).toContain('least_request')
  const rules = await machine.compose('logs', 'orders-1-rules')
  expect(rules).toContain('set by nft')
  expect(await inspect('orders-1-rules', '.State.ExitCode')).toBe('0')
  expect(await machine.compose('exec', '-T', 'agent', 'outrigger', 'status')).toMatch(/all good|4 proxies/)
})

test('Jaeger shows a call as one trace of three services', async () => {
  const api = 'http://127.0.0.1:16686/api/traces?service=web&limit=20&lookback=1h'
  const trace = await until('a whole trace', async () => {
    const { data } = JSON.parse((await machine.get(api)) ?? '{"data":[]}') as { data: JaegerTrace[] }
    const servicesOf = ({ processes }: JaegerTrace) => Object.values(processes).map(each => each.serviceName)
    return data.find(each => ['web', 'orders', 'stock'].every(name => servicesOf(each).includes(name)))
  })
  const called = trace.spans.filter(({ tags }) => tagOf(tags, 'span.kind') === 'client')
  expect(called.map(({ tags }) => tagOf(tags, 'peer.service')).sort()).toEqual(['orders', 'stock'])
})

test('Prometheus has the series of every sidecar, and of the agent', async () => {
  const query = async (expression: string) => {
    const url = `http://127.0.0.1:9090/api/v1/query?query=${encodeURIComponent(expression)}`
    const answer = JSON.parse((await machine.get(url)) ?? '{"data":{"result":[]}}') as {
      data: { result: { metric: Readonly<Record<string, string>>; value: [number, string] }[] }
    }
    return answer.data.result
  }
  const pairs = await until('that both pairs are there', async () => {
    const found = await query('sum by (source, destination) (http_requests_total{direction="outbound"}) > 0')
    const named = found.map(({ metric }) => `${metric.source} ${metric.destination}`)
    return named.includes('web orders') && named.includes('orders stock') && found
  })
  expect(pairs.length).toBeGreaterThan(1)
  await until('that all are scraped', async () => (await query('up == 1')).length === 5)
})

test('a sidecar is killed and comes back, an instance is stopped: every call is answered', async () => {
  const calls = machine.calls(WEB, 300, 20)
  process.kill(Number(await inspect('orders-1-sidecar', '.State.Pid')), 'SIGKILL')
  expect(Object.keys(await calls).filter(answer => !BOTH.includes(answer))).toEqual([])
  await until('that it is healthy again', async () => {
    const [restarts, health] = [
      await inspect('orders-1-sidecar', '.RestartCount'),
      await inspect('orders-1-sidecar', '.State.Health.Status'),
    ]
    return restarts === '1' && health === 'healthy'
  })
  await until('that both are called', async () => Object.keys(await machine.calls(WEB, 20, 0)).length === 2)

  const more = machine.calls(WEB, 300, 20)
  await machine.compose('stop', 'orders-2-app')
  expect(Object.keys(await more).filter(answer => !BOTH.includes(answer))).toEqual([])
  expect(await machine.calls(WEB, 20, 0)).toEqual({ '200 web orders-1 stock': 20 })
  await machine.compose('start', 'orders-2-app')
  await until('that both are called', async () => Object.keys(await machine.calls(WEB, 20, 0)).length === 2)
})

test('down leaves nothing', async () => {
  await machine.compose('down', '-v')
  for (const list of [
    ['ps', '-aq'],
    ['volume', 'ls', '-q'],
    ['network', 'ls', '-q', '--filter', 'type=custom'],
  ])
    expect((await machine.docker(list)).trim(), list.join(' ')).toBe('')
})

test('docs/quickstart-docker.md, as written', async () => {
  await using session = machine.session()
  await tryPage('docs/quickstart-docker.md', session)
}, 900_000)
