import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { agentMetrics } from '../../scripts/agent-metrics.ts'
import { dashboards } from '../../scripts/dashboards.ts'
import { obtain } from '../peers/obtain.ts'
import { type Backend, startBackend } from './support/backend.ts'
import { type Child, node, root, startChild, temporaryFolder } from './support/child.ts'
import { freePort } from './support/ports.ts'
import { type Prometheus, startPrometheus, staticScrape } from './support/prometheus.ts'
import { get, outrigger, type RunningProxy, startProxy } from './support/proxy.ts'

/**
 * A small mesh in which things go wrong, an agent, and a real Prometheus: every query of the dashboards has data, and
 * every alert that can come fires.
 */

const rulesFile = join(root, 'deploy/prometheus/rules.yaml')
/** Alerts that come within seconds: the same rules over shorter times. */
const rules = readFileSync(rulesFile, 'utf8')
  .replace(/\[\dm\]/g, '[15s]')
  .replace(/for: \d+m/g, 'for: 1s')
  .replace('> 300', '> 3')

interface Mesh {
  readonly backend: Backend
  readonly agent: Child
  readonly web: RunningProxy
  readonly orders: RunningProxy
  readonly prometheus: Prometheus
  readonly endpoints: string
  readonly agentAdmin: number
  stop(): Promise<void>
}

let mesh: Mesh

beforeAll(async () => {
  mesh = await startMesh()
})

afterAll(() => mesh.stop())

async function startMesh(): Promise<Mesh> {
  const folder = temporaryFolder()
  const backend = await startBackend()
  const port = await freePort()
  const [inbound, webMetrics, ordersMetrics, agentAdmin] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ]
  const dead = `127.0.0.1:${await freePort()}`
  // The path of a socket has 107 bytes at most.
  const socketFolder = mkdtempSync('/tmp/outrigger-')
  const socket = join(socketFolder, 'agent.sock')
  mkdirSync(join(folder, 'policies'))
  writeFileSync(join(folder, 'policies/orders.yaml'), 'timeouts: { request: 20s }\n')
  const agentFile = join(folder, 'agent.yaml')
  writeFileSync(
    agentFile,
    `listen: unix:${socket}\nstate: ${folder}/state\nadmin: 127.0.0.1:${agentAdmin}\npolicies: { folder: ${folder}/policies }\ntraces: { grpc: 127.0.0.1:0, http: 127.0.0.1:0 }\n`,
  )
  const agent = startChild(node, [outrigger, 'agent', '-c', agentFile], { OTEL_EXPORTER_OTLP_ENDPOINT: undefined })
  await agent.said('that it is ready', out => out.includes('ready on unix:'))
  const endpoints = join(folder, 'orders.json')
  writeFileSync(endpoints, JSON.stringify([`127.0.0.1:${inbound}`]))
  const orders = await startProxy({
    service: 'orders',
    metrics: { listen: `127.0.0.1:${ordersMetrics}` },
    inbound: [{ listen: `127.0.0.1:${inbound}`, forward: backend.address }],
  })
  const web = await startProxy({
    service: 'web',
    agent: `unix:${socket}`,
    metrics: { listen: `127.0.0.1:${webMetrics}`, aliases: ['envoy', 'istio'] },
    traces: { sample: 100 },
    outbound: [{ listen: `127.0.0.1:${port}` }],
    discovery: {
      files: { orders: endpoints },
      endpoints: { flaky: [backend.address, dead], spent: [dead], slow: [backend.address], bad: [backend.address] },
    },
    services: {
      orders: {},
      flaky: { outliers: { consecutiveGatewayFailures: 3, baseEjection: '20s' } },
      spent: { retries: { budget: { percent: 0, minPerSecond: 0 } } },
      slow: { subsets: { all: {} }, routes: [{ match: { path: { prefix: '/' } }, to: [{ subset: 'all' }] }] },
      bad: {},
    },
  })
  const load = traffic(port)
  const prometheus = await startPrometheus({
    scrape: staticScrape([
      { job: 'outrigger', port: webMetrics, instance: 'web-1' },
      { job: 'outrigger', port: ordersMetrics, instance: 'orders-1' },
      { job: 'outrigger-agent', port: agentAdmin, instance: 'agent-1' },
    ]),
    rules,
  })
  return {
    backend,
    agent,
    web,
    orders,
    prometheus,
    endpoints,
    agentAdmin,
    async stop() {
      load.stop()
      await Promise.all([prometheus, web, orders, agent, backend].map(each => each.stop()))
      rmSync(socketFolder, { recursive: true, force: true })
    },
  }
}

/** Some calls to each service, one after the other, until it is stopped. */
function traffic(port: number): { stop(): void } {
  const agent = new Agent({ keepAlive: true })
  let stopped = false
  async function call(host: string, path: string): Promise<void> {
    while (!stopped) {
      const began = Date.now()
      await get(port, path, { headers: { host }, agent }).catch(() => null)
      await new Promise(resolve => setTimeout(resolve, Math.max(0, 100 - (Date.now() - began))))
    }
  }
  for (const [host, path] of [
    ['orders', '/'],
    ['flaky', '/'],
    ['spent', '/'],
    ['bad', '/status/503'],
  ] as const)
    void call(host, path)
  for (let i = 0; i < 3; i++) void call('slow', '/slow/2500')
  return {
    stop() {
      stopped = true
      agent.destroy()
    },
  }
}

describe('the dashboards', () => {
  const queries = Object.entries(dashboards).flatMap(([name, { panels }]) =>
    panels.flatMap(({ title, queries: all }) => all.map(([expression]) => ({ name, title, expression }))),
  )

  test.each(queries)('$name: $title: $expression', async ({ expression }) => {
    const inGrafana = expression
      .replaceAll('$__rate_interval', '15s')
      .replaceAll('$service', '.+')
      .replaceAll('$endpoint', '.+')
    await expect.poll(() => mesh.prometheus.query(inGrafana), { timeout: 60_000 }).not.toEqual([])
  })

  test.each(Object.keys(dashboards))('%s.json is what the script writes (npm run docs)', async name => {
    const { grafanaJson } = await import('../../scripts/dashboards.ts')
    expect(readFileSync(join(root, `deploy/grafana/${name}.json`), 'utf8')).toBe(grafanaJson(dashboards[name]!))
  })
})

describe('what Prometheus keeps of a mesh', () => {
  test('names both peers of a call at either end', async () => {
    for (const direction of ['outbound', 'inbound']) {
      const query = `http_requests_total{direction="${direction}",source="web",destination="orders",status="200"}`
      await expect.poll(() => mesh.prometheus.query(query), { timeout: 60_000 }).toHaveLength(1)
    }
  })

  test('has the trace of a recorded request as an exemplar', async () => {
    const parameters = () => ({
      query: 'http_response_time_seconds_bucket{direction="outbound"}',
      start: String(Date.now() / 1000 - 60),
      end: String(Date.now() / 1000),
    })
    const ids = async () =>
      (
        (await mesh.prometheus.api('query_exemplars', parameters())) as {
          exemplars: { labels: Record<string, string> }[]
        }[]
      ).flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id))
    await expect.poll(ids, { timeout: 60_000 }).toContainEqual(expect.stringMatching(/^[0-9a-f]{32}$/))
  })

  test('has the names of Envoy and Istio, with the values of ours', async () => {
    const sum = async (query: string) => (await mesh.prometheus.query(query))[0]?.value ?? 0
    const pairs = [
      [
        'envoy_cluster_upstream_rq_total{envoy_cluster_name="orders"}',
        'outrigger_upstream_requests_total{service="orders"}',
      ],
      [
        'istio_requests_total{destination_service_name="bad",response_code="503"}',
        'http_requests_total{destination="bad",status="503"}',
      ],
      [
        'envoy_cluster_upstream_rq_xx{envoy_cluster_name="bad",envoy_response_code_class="5"}',
        'http_requests_total{destination="bad",status="503"}',
      ],
    ]
    for (const [alias, own] of pairs) {
      // Both are of the same scrape.
      await expect.poll(() => sum(`sum(${alias})`), { timeout: 60_000 }).toBeGreaterThan(0)
      await expect.poll(() => sum(`sum(${alias}) - sum(${own})`), { timeout: 60_000 }).toBe(0)
    }
  })
})

test('docs/metrics.md has the metrics of the agent', async () => {
  const { body } = await get(mesh.agentAdmin, '/metrics')
  const said = [...body.matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)$/gm)]
  expect(said.map(([, name, help, type]) => [name, type, help]).sort()).toEqual(
    agentMetrics.map(([name, type, , help]) => [name, type, help]).sort(),
  )
  const labels = agentMetrics.flatMap(([, , all]) => all)
  for (const [, label] of body.matchAll(/[{,](\w+)="/g)) expect(labels).toContain(label)
})

describe('promtool', () => {
  const promtool = async (args: readonly string[], input = '') => {
    const child = spawn(await obtain('promtool'), args, { cwd: join(root, 'deploy/prometheus') })
    child.stdin.end(input)
    return (await Promise.all([text(child.stdout), text(child.stderr)])).join('')
  }

  test('finds nothing to say of a sidecar and of an agent', async () => {
    for (const port of [mesh.orders.adminPort, mesh.agentAdmin])
      expect(await promtool(['check', 'metrics'], (await get(port, '/metrics')).body)).toBe('')
  })

  test('of the aliases only that Istio counts in milliseconds', async () => {
    const said = await promtool(['check', 'metrics'], (await get(mesh.web.adminPort, '/metrics')).body)
    expect(said.trim().split('\n')).toEqual([
      'istio_request_duration_milliseconds use base unit "seconds" instead of "milliseconds"',
    ])
  })

  test('runs the tests of the rules', async () => {
    expect(await promtool(['test', 'rules', 'rules.test.yaml'])).toContain('SUCCESS')
    const rulesOf = (file: string) =>
      [...readFileSync(file, 'utf8').matchAll(/alert(?:name)?: (\w+)/g)].map(([, name]) => name)
    const tested = rulesOf(join(root, 'deploy/prometheus/rules.test.yaml'))
    expect(rulesOf(rulesFile).filter(name => !tested.includes(name))).toEqual([])
  })
})

/** Consul's discovery is not in every build: a file says what it would. */
test('the scrape configuration makes the targets of what Consul knows', async () => {
  const written = readFileSync(join(root, 'deploy/prometheus/prometheus.yaml'), 'utf8')
  const file = join(temporaryFolder(), 'consul.json')
  const meta = (labels: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(labels).map(([name, value]) => [`__meta_consul_${name}`, value]))
  const port = { service_metadata_metrics: '15020', node: 'n1', dc: 'dc1' }
  writeFileSync(
    file,
    JSON.stringify([
      {
        targets: ['10.0.0.7:20000'],
        labels: meta({
          ...port,
          address: '10.0.0.1',
          service_address: '10.0.0.7',
          service: 'orders',
          service_id: 'orders-1',
        }),
      },
      {
        targets: ['10.0.0.1:20001'],
        labels: meta({ ...port, address: '10.0.0.1', service_address: '', service: 'stock', service_id: 'stock-1' }),
      },
      {
        targets: ['10.0.0.2:3306'],
        labels: meta({ address: '10.0.0.2', service: 'mysql', service_id: 'mysql-1', node: 'n2', dc: 'dc1' }),
      },
    ]),
  )
  const jobs = parse(written).scrape_configs as Record<string, unknown>[]
  const { consul_sd_configs: _consul, ...job } = jobs.find(({ job_name }) => job_name === 'outrigger')!
  await using prometheus = await startPrometheus({
    scrape: JSON.stringify([{ ...job, file_sd_configs: [{ files: [file] }] }]),
  })
  const targets = async () => {
    const { activeTargets } = (await prometheus.api('targets')) as {
      activeTargets: { scrapeUrl: string; labels: unknown }[]
    }
    return activeTargets.map(({ scrapeUrl, labels }) => [scrapeUrl, labels]).sort()
  }
  const labels = { job: 'outrigger', node: 'n1', datacenter: 'dc1' }
  await expect.poll(targets, { timeout: 60_000 }).toEqual([
    ['http://10.0.0.1:15020/metrics', { ...labels, sidecar: 'stock', instance: 'stock-1' }],
    ['http://10.0.0.7:15020/metrics', { ...labels, sidecar: 'orders', instance: 'orders-1' }],
  ])
})

describe('the alerts', () => {
  const firing = async (alert: string, labels: Readonly<Record<string, string>> = {}) =>
    (await mesh.prometheus.firing()).filter(each =>
      Object.entries({ alertname: alert, ...labels }).every(([name, value]) => each[name] === value),
    )

  test.each([
    ['HighErrorRate', { source: 'web', destination: 'bad' }],
    ['HighErrorRate', { source: 'web', destination: 'spent' }],
    ['LatencySpike', { source: 'web', destination: 'slow' }],
    ['EndpointEjected', { service: 'flaky' }],
    ['RetryBudgetExhausted', { service: 'spent' }],
  ] as const)('%s fires: %o', async (alert, labels) => {
    await expect.poll(() => firing(alert, labels), { timeout: 90_000 }).not.toEqual([])
  })

  test('are silent about what is well', async () => {
    const quiet = (await mesh.prometheus.firing()).filter(
      ({ alertname = '', destination, service }) =>
        ['StaleDiscovery', 'StalePolicy', 'CertificateExpiring', 'ProxyDown'].includes(alertname) ||
        destination === 'orders' ||
        service === 'orders',
    )
    expect(quiet).toEqual([])
  })

  test('StaleDiscovery fires when a source gives nothing that can be used', async () => {
    writeFileSync(mesh.endpoints, '{ this is no list')
    await expect.poll(() => firing('StaleDiscovery', { service: 'orders' }), { timeout: 90_000 }).not.toEqual([])
  })

  test('StalePolicy fires when the agent is gone', async () => {
    mesh.agent.signal('SIGKILL')
    await expect.poll(() => firing('StalePolicy', { instance: 'web-1' }), { timeout: 90_000 }).not.toEqual([])
  })

  test('ProxyDown fires when a sidecar is gone', async () => {
    mesh.orders.signal('SIGKILL')
    await expect.poll(() => firing('ProxyDown', { instance: 'orders-1' }), { timeout: 90_000 }).not.toEqual([])
  })
})
