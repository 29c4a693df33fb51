import { describe, expect, onTestFinished, test } from 'vitest'
import { agentMetrics } from '../../../agent/metrics.ts'
import { publishTraces } from '../../../agent/traces/publish.ts'
import { type TracesPart, tracesPart } from '../../../agent/traces/traces.ts'
import { agentSchema } from '../../../mesh-config/agent/agent-file.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { application } from './support/application.ts'
import { grpcReceiver, type Receiver } from './support/receiver.ts'

interface Started {
  readonly part: TracesPart
  readonly collector: Receiver
  readonly said: string[]
  /** That many spans of one application, sent. */
  readonly send: (count: number) => Promise<void>
  readonly figure: (name: string, label?: string) => number
}

interface StartOptions {
  readonly traces?: object
  readonly env?: Readonly<Record<string, string>>
  readonly consulSelf?: () => Promise<unknown>
  readonly state?: string | null
}

async function start({
  traces = {},
  env = {},
  consulSelf,
  state = temporaryFolder(),
}: StartOptions = {}): Promise<Started> {
  const collector = await grpcReceiver()
  const said: string[] = []
  const own = { export: `grpc://127.0.0.1:${collector.port}`, grpc: '127.0.0.1:0', http: 'off', ...traces }
  const part = tracesPart({
    document: agentSchema.parse({ traces: own }),
    env,
    base: '/',
    state,
    consulSelf: consulSelf ?? null,
    log: { info: line => said.push(line), warn: line => said.push(line) },
  })
  await part.start()
  onTestFinished(() => part.stop())
  const shop = application('shop', 'grpc', part.ports().grpc!)
  return {
    part,
    collector,
    said,
    async send(count) {
      for (let index = 0; index < count; index++) shop.tracer.startSpan(`s${index}`).end()
      await shop.flush()
    },
    figure(name, label = '') {
      const family = part.families().find(each => each.name === `outrigger_agent_spans_${name}`)!
      return family.samples.find(({ labels }) => (Object.values(labels)[0] ?? '') === label)!.value
    },
  }
}

describe('every setting has an effect', () => {
  test('sample: 0 leaves out all that did not fail', async () => {
    const { send, figure } = await start({ traces: { sample: 0 } })
    await send(10)
    expect([figure('received_total', 'grpc'), figure('dropped_total', 'sampled'), figure('queued')]).toEqual([
      10, 10, 0,
    ])
  })

  test('spansPerSecond is the limit of a service, and its name is in the status', async () => {
    const { part, send, figure } = await start({ traces: { spansPerSecond: 10 } })
    await send(100)
    // Twice a second's at once.
    expect(figure('dropped_total', 'rate')).toBeGreaterThanOrEqual(75)
    await expect
      .poll(async () => {
        await send(30)
        return part.exporting()[0]
      })
      .toContain('over their rate: shop')
  })

  test('queue is the bound of what waits', async () => {
    expect((await start({ traces: { queue: '9MiB' } })).figure('queue_limit_bytes')).toBe(9 * 1024 ** 2)
  })

  test('resource, the environment and Consul say what is added; the file counts most', async () => {
    const { send, collector } = await start({
      traces: { resource: { 'deployment.environment': 'file', 'service.name': 'never' } },
      env: { OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=env,team=web%20shop' },
      consulSelf: async () => ({ Config: { NodeName: 'n1', Datacenter: 'dc1' }, Meta: { zone: 'z1' } }),
    })
    await send(1)
    await expect.poll(() => collector.names).toEqual(['s0'])
    expect(collector.resources[0]).toMatchObject({
      'service.name': 'shop',
      'deployment.environment': 'file',
      team: 'web shop',
      'consul.node': 'n1',
      'consul.datacenter': 'dc1',
      'cloud.availability_zone': 'z1',
    })
  })

  test.each([null, 'text', { Config: null }, { Config: { NodeName: 7 } }])(
    'a Consul that answers %j adds nothing',
    async answer => {
      const { send, collector } = await start({ consulSelf: async () => answer })
      await send(1)
      await expect.poll(() => collector.names).toEqual(['s0'])
      expect(collector.resources[0]).not.toHaveProperty('consul.node')
    },
  )
})

describe('what it says of itself', () => {
  test('its status is a line: where spans go, how many, and what is wrong', async () => {
    const { part, send, collector } = await start()
    await send(3)
    await expect
      .poll(() => part.exporting()[0])
      .toBe(`traces to grpc://127.0.0.1:${collector.port}; 3 spans sent; 0 wait (0 % of the queue)`)
    collector.say = () => ({ status: 14 })
    await send(2)
    await expect
      .poll(() => part.exporting()[0])
      .toMatch(/takes none: UNAVAILABLE: as told; 2 wait \(1 % of the queue\)/)
  })

  test('without a folder spans are in memory, and the status and a metric say so', async () => {
    const { part, figure } = await start({ state: null })
    expect(figure('queue_on_disk')).toBe(0)
    expect(part.exporting()[0]).toContain('in memory only: there is no state folder')
  })

  test('its figures are on /metrics', async () => {
    const { part, send } = await start()
    const metrics = agentMetrics()
    publishTraces(metrics, part)
    await send(3)
    await expect.poll(() => metrics.text()).toMatch(/^outrigger_agent_spans_exported_total 3$/m)
    const text = await metrics.text()
    expect(text).toMatch(/^outrigger_agent_spans_received_total\{from="grpc"\} 3$/m)
    expect(text).toMatch(/^outrigger_agent_spans_dropped_total\{reason="queue_full"\} 0$/m)
  })
})
