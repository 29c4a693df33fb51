import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Json, mapOf, mapsOf } from '../../inject/shape.ts'
import { type ConsulAgent, startConsul } from '../integration/support/consul.ts'
import { type Load, startLoad } from '../integration/support/load.ts'
import { freePort } from '../integration/support/ports.ts'
import { type RunningProxy, startProxy } from '../integration/support/proxy.ts'
import { until } from '../integration/support/until.ts'
import { obtain } from '../peers/obtain.ts'
import { IMAGE } from './support/image.ts'
import { startInjectors } from './support/injectors.ts'
import { type KubernetesNode, startNode } from './support/node.ts'
import { nodeImages, SANDBOX } from './support/node-images.ts'
import { createPod, type Pod, type PodOptions, timeOf } from './support/pods.ts'

// Injected pods on a real Kubernetes node, with the image that the Dockerfile makes: how they start, how they end, and
// what a sidecar that dies does to its application. It needs root and control groups.

let where: KubernetesNode
let consul: ConsulAgent
/** A service outside of the pods, which says what it was asked with. */
let echo: { readonly address: string; close(): void }

beforeAll(async () => {
  await Promise.all([obtain('dockerd'), obtain('debootstrap'), obtain('kubelet'), obtain('kube-apiserver')])
  where = await startNode(await nodeImages(), SANDBOX)
  consul = await startConsul({ config: { client_addr: '0.0.0.0' } })
  await consul.ready()
  echo = await startEcho(where.host)
}, 3_600_000)

afterAll(async () => {
  echo?.close()
  await consul?.stop()
  await where?.[Symbol.asyncDispose]()
})

async function startEcho(host: string): Promise<typeof echo> {
  const server = createServer((request, response) => response.end(JSON.stringify(request.headers)))
  await new Promise<void>(resolve => server.listen(0, host, resolve))
  return { address: `${host}:${(server.address() as AddressInfo).port}`, close: () => void server.close() }
}

const create = (options: PodOptions) => createPod(where, options)

/** Of the caller of these tests, outside of the cluster. */
function ask(url: string): Promise<{ readonly status: number; readonly body: Json }> {
  return new Promise((resolve, reject) => {
    const asked = get(url, { agent: false, timeout: 10_000 }, answer => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: mapOf(parsed(text)) }))
      answer.on('error', reject)
    })
    asked.on('timeout', () => asked.destroy(new Error(`no answer of ${url}`)))
    asked.on('error', reject)
  })
}

/** Null: it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const answers = (url: string) =>
  ask(url).then(
    ({ status }) => status === 200,
    () => false,
  )

/** Laid over the file that is made from the pod. */
const config = (more: Json = {}) => ({
  'outrigger.io/config': JSON.stringify({ discovery: { endpoints: { echo: [echo.address] } }, ...more }),
})

/** Calls the service of the tests by its name, through the sidecar. */
const callsEcho = { CALL: 'http://127.0.0.1:15001/', CALL_HOST: 'echo' }

describe('the start', () => {
  test('the application starts when the sidecar is ready, and its first call works', async () => {
    const pod = await create({ name: 'start', annotations: config(), env: callsEcho })
    await pod.ready()
    const [own, sidecar] = [await pod.logs('app'), await pod.logs('outrigger')]
    expect(own).toContain('first call 200')
    const { initContainerStatuses, containerStatuses } = mapOf((await pod.object()).status)
    const startedAt = (list: unknown) => Date.parse(String(mapOf(mapOf(mapsOf(list)[0]!.state).running).startedAt))
    expect(startedAt(initContainerStatuses)).toBeLessThanOrEqual(startedAt(containerStatuses))
    expect(sidecar).toContain('ready after')
    const { body } = await ask(`http://${await pod.ip()}:20000/`)
    expect(body).toMatchObject({ id: expect.any(String) })
    await pod.remove()
  })

  test('the level restricted admits the pod, and it runs there', async () => {
    await where.cluster.makeNamespace('strict', { 'pod-security.kubernetes.io/enforce': 'restricted' })
    const pod = await create({ name: 'strict', namespace: 'strict' })
    await pod.ready()
    await expect(
      create({ name: 'rules', namespace: 'strict', annotations: { 'outrigger.io/intercept': 'enabled' } }),
    ).rejects.toThrow(/violates PodSecurity/)
    await pod.remove()
  })

  test('as the user that OpenShift gives to a namespace', async () => {
    const pod = await create({ name: 'any-user', annotations: { 'outrigger.io/run-as-user': '1000730000' } })
    await pod.ready()
    expect(await answers(`http://${await pod.ip()}:20000/`)).toBe(true)
    expect(await pod.logs('outrigger')).not.toMatch(/"level":"(warn|error)"/)
    await pod.remove()
  })

  test('by the webhook, as it is created', async () => {
    const replicas = await startInjectors(where.cluster, 1, [`--image=${IMAGE}`])
    await where.cluster.makeNamespace('shop', { 'outrigger.io/inject': 'enabled' })
    const pod = await create({ name: 'by-webhook', namespace: 'shop', uninjected: true })
    await pod.ready()
    expect(await answers(`http://${await pod.ip()}:20000/`)).toBe(true)
    await pod.remove()
    for (const replica of replicas) await replica.stop()
  })

  test('a sidecar whose file is wrong says so in its log and in what kubectl describe shows', async () => {
    const pod = await create({
      name: 'wrong-file',
      // As after a change by hand: injection itself refuses such a file.
      edit: whole => withAnnotation(whole, 'outrigger.io/sidecar', 'inbound:\n  - listen: here\n'),
    })
    const ended = await until('that it has failed', async () => (await pod.container('outrigger')).ended)
    expect(ended).toMatchObject({ code: 2, message: expect.stringContaining('/etc/outrigger/sidecar.yaml:2:13') })
    // Empty while the next run begins.
    await until('its log', async () => (await pod.logs('outrigger')).includes('/etc/outrigger/sidecar.yaml:2:13'))
    expect((await where.cluster.kubectl('describe', 'pod', pod.name)).out).toContain('sidecar.yaml:2:13')
    expect((await pod.container('app')).isRunning).toBe(false)
    await pod.remove()
  })

  test('a changed annotation is taken up by a sidecar that runs', async () => {
    const pod = await create({ name: 'changed' })
    await pod.ready()
    const file = String(mapOf(mapOf((await pod.object()).metadata).annotations)['outrigger.io/sidecar'])
    const more = '- listen: 0.0.0.0:20099\n  forward: 127.0.0.1:8080\n'
    expect(file).toContain('inbound:\n- listen')
    await pod.annotate('outrigger.io/sidecar', file.replace('inbound:\n', `inbound:\n${more}`))
    await until('that the new listener answers', async () => await answers(`http://${await pod.ip()}:20099/`))
    expect((await pod.container('outrigger')).restarts).toBe(0)
    await pod.remove()
  })
})

function withAnnotation(pod: Json, name: string, value: string): Json {
  const metadata = mapOf(pod.metadata)
  return { ...pod, metadata: { ...metadata, annotations: { ...mapOf(metadata.annotations), [name]: value } } }
}

describe('a container that dies', () => {
  test('the sidecar: it comes back, and the application and its own connections go on', async () => {
    const pod = await create({ name: 'killed', annotations: config(), env: callsEcho })
    await pod.ready()
    const at = await pod.ip()
    const before = await ask(`http://${at}:8080/`)
    // Not through the sidecar: of the application alone.
    const direct = startLoad({ host: at, port: 8080, path: '/', rate: 50 })
    process.kill(await pod.pid('outrigger'), 'SIGKILL')
    await until('that it was restarted', async () => (await pod.container('outrigger')).restarts === 1)
    await until('that it answers again', () => answers(`http://${at}:20000/`))
    await until('that it is ready', async () => (await pod.container('outrigger')).isReady)
    expect((await direct.stop()).failures).toEqual(new Map())
    expect((await ask(`http://${at}:20000/`)).body.pid).toBe(before.body.pid)
    expect(await pod.container('app')).toMatchObject({ restarts: 0, isRunning: true })
    expect(await ask(`http://${at}:8080/call?url=http://127.0.0.1:15001/`)).toMatchObject({ status: 200 })
    await pod.remove()
  })

  test('an application that hangs is restarted alone', async () => {
    const pod = await create({
      name: 'hangs',
      container: {
        livenessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1, failureThreshold: 2, timeoutSeconds: 1 },
      },
      // It does not hear SIGTERM either.
      spec: { terminationGracePeriodSeconds: 2 },
    })
    await pod.ready()
    const sidecar = await pod.pid('outrigger')
    await ask(`http://${await pod.ip()}:8080/hang`)
    await until('that it was restarted', async () => (await pod.container('app')).restarts === 1)
    await until('that it answers again', async () => await answers(`http://${await pod.ip()}:20000/`))
    expect(await pod.container('outrigger')).toMatchObject({ restarts: 0, isReady: true })
    expect(await pod.pid('outrigger')).toBe(sidecar)
    await pod.remove()
  })
})

describe('the end', () => {
  /** A machine that stands still for seconds is not what is tested. */
  const patient = { timeouts: { connect: '60s', request: '120s' } }

  /** Two instances in Consul, and a caller of theirs under load. */
  async function rolled(service: string, env: Readonly<Record<string, string>> = {}, more: Partial<PodOptions> = {}) {
    const registered = {
      ...config({
        discovery: {
          endpoints: { echo: [echo.address] },
          consul: { address: `http://${where.host}:${consul.ports.http}` },
        },
        inbound: [{ listen: '0.0.0.0:20000', forward: '127.0.0.1:8080', application: patient }],
        register: { address: '${POD_IP}' },
      }),
      ...more.annotations,
    }
    const start = (name: string) =>
      create({ name: `${service}-${name}`, service, env: { ...callsEcho, ...env }, ...more, annotations: registered })
    const pods = [await start('a'), await start('b')] as const
    for (const pod of pods) await pod.ready()
    const passing = async () =>
      ((await consul.api('GET', `/v1/health/service/${service}?passing`)) as readonly unknown[]).length
    await until('both in Consul', async () => (await passing()) === 2)
    const port = await freePort()
    const caller = await startProxy({
      outbound: [{ listen: `127.0.0.1:${port}`, service }],
      discovery: { consul: { address: consul.address, services: { [service]: {} } } },
      services: { [service]: patient },
    })
    await until('both known', async () => (await caller.endpoints(service)).length === 2)
    const loads = [
      startLoad({ port, path: '/', rate: 20 }),
      startLoad({ port, path: '/', rate: 10, headers: { connection: 'close' } }),
    ]
    await until('good answers', () => loads.every(load => load.good() > 20))
    return { pods, passing, caller, loads }
  }

  async function failuresOf(loads: readonly Load[], caller: RunningProxy, pods: readonly Pod[]): Promise<string[]> {
    const good = loads.map(load => load.good())
    await until('good answers afterwards', () => loads.every((load, index) => load.good() > good[index]! + 20))
    const results = await Promise.all(loads.map(load => load.stop()))
    const failures = results.flatMap(each => [...each.failures].map(([kind, count]) => `${count} x ${kind}`))
    // Why, by the one who knows.
    if (failures.length > 0) failures.push((await caller.admin('/flights?failed&limit=5&format=text')).body)
    await caller.stop()
    for (const pod of pods) await pod.remove()
    return failures
  }

  test('the sidecar leaves first and ends last: no request is lost, and the last calls of the application work', async () => {
    const { pods, passing, caller, loads } = await rolled('rolled')
    const [first] = pods
    const [own, sidecar] = [first.follow('app'), first.follow('outrigger')]
    await own.said('its log', out => out.includes('listens'))
    await first.remove()
    await until('that it is deregistered', async () => (await passing()) === 1)
    // The kubelet runs the hook while the application has its SIGTERM.
    expect(await first.container('app')).toMatchObject({ isRunning: true })
    await first.gone()
    expect(await failuresOf(loads, caller, pods.slice(1))).toEqual([])
    await Promise.all([own.ended, sidecar.ended])
    expect(own.out()).toMatch(/last calls \{"200":\d+\}/)
    expect(sidecar.out()).toMatch(/POST \/leave: leaving[\s\S]*SIGTERM: draining[\s\S]*"drained"/)
    expect(timeOf(sidecar.out(), 'POST /leave: leaving')).toBeLessThan(timeOf(own.out(), 'last calls'))
    expect(timeOf(sidecar.out(), 'SIGTERM: draining')).toBeGreaterThanOrEqual(timeOf(own.out(), 'last calls'))
  })

  test('an application that closes its port at once on SIGTERM, without a preStop hook: callers in the mesh lose nothing', async () => {
    const { pods, caller, loads } = await rolled('hasty', { AT_TERM: 'close' })
    await pods[0].remove()
    await pods[0].gone()
    expect(await failuresOf(loads, caller, pods.slice(1))).toEqual([])
  })

  test('a classic sidecar gets SIGTERM with the application, and serves while callers turn elsewhere', async () => {
    const { pods, caller, loads } = await rolled(
      'classic',
      {},
      {
        annotations: { 'outrigger.io/sidecar-mode': 'classic' },
      },
    )
    const [own, sidecar] = [pods[0].follow('app'), pods[0].follow('outrigger')]
    await own.said('its log', out => out.includes('listens'))
    await pods[0].remove()
    await pods[0].gone()
    expect(await failuresOf(loads, caller, pods.slice(1))).toEqual([])
    await Promise.all([own.ended, sidecar.ended])
    expect(own.out()).toContain('first call 200')
    expect(sidecar.out()).toMatch(/SIGTERM: draining[\s\S]*"drained"/)
  })
})

describe('a pod that ends by itself', () => {
  const once = (name: string, program: string, more: Json = {}) =>
    create({
      name,
      annotations: config(),
      container: { command: ['node', '-e', program], readinessProbe: null, ...more },
      spec: { restartPolicy: 'Never' },
    })
  const call = "require('node:http').get('http://127.0.0.1:15001/', { headers: { host: 'echo' } })"

  test.each([
    ['0', `${call}.on('response', answer => process.exit(answer.statusCode === 200 ? 0 : 3))`, {}, 'Succeeded', 0],
    ['1', 'process.exit(1)', {}, 'Failed', 1],
    [
      '137, out of memory',
      'const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1))',
      { resources: { limits: { memory: '96Mi' } } },
      'Failed',
      137,
    ],
  ] as const)('completes with the exit code of its application: %s', async (name, program, more, phase, code) => {
    const pod = await once(`once-${name.replaceAll(/\D/g, '')}`, program, more)
    await until(`that it is ${phase}`, async () => mapOf((await pod.object()).status).phase === phase)
    expect((await pod.container('app')).ended).toMatchObject({ code })
    expect((await pod.container('outrigger')).ended).toMatchObject({ code: 0 })
    expect(await pod.logs('outrigger')).toContain('"drained"')
    await pod.remove()
  })
})

describe('interception', () => {
  test('both ways, without the application knowing; probes of the kubelet pass, and what is left out stays out', async () => {
    const other = await startEcho(where.host)
    const pod = await create({
      name: 'intercepted',
      annotations: {
        ...config(),
        'outrigger.io/intercept': 'enabled',
        'outrigger.io/skip-inbound-ports': '8081',
        'outrigger.io/skip-outbound-ports': other.address.split(':')[1]!,
      },
      env: { GRPC_PORT: '9000' },
      container: {
        ports: [{ containerPort: 8080 }, { containerPort: 9000 }],
        startupProbe: { exec: { command: ['node', '-e', ''] }, periodSeconds: 1, timeoutSeconds: 10 },
        readinessProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 },
        livenessProbe: { grpc: { port: 9000 }, periodSeconds: 1, timeoutSeconds: 5 },
      },
    })
    await pod.ready()
    const at = await pod.ip()
    // The sidecar gives each request an id.
    expect((await ask(`http://${at}:8080/`)).body).toMatchObject({ id: expect.any(String) })
    const call = async (address: string) =>
      JSON.parse(String((await ask(`http://${at}:8080/call?url=http://${address}/`)).body.text)) as Json
    expect(await call(echo.address)).toHaveProperty('x-request-id')
    expect(await call(other.address)).not.toHaveProperty('x-request-id')
    const flights = await pod.execute('outrigger', 'outrigger', 'flights', 'echo')
    expect(flights.out).toContain(`echo at ${echo.address}`)
    other.close()
    expect(await pod.container('app')).toMatchObject({ restarts: 0, isReady: true })
    await pod.remove()
  })

  test('a port that is left out is the application itself; a tcpSocket probe meets the sidecar, or there the application', async () => {
    const probe = (port: number) => ({ tcpSocket: { port }, periodSeconds: 1 })
    const pod = await create({
      name: 'sockets',
      annotations: { 'outrigger.io/intercept': 'enabled', 'outrigger.io/skip-inbound-ports': '8080' },
      container: { readinessProbe: probe(8080), livenessProbe: probe(8080) },
    })
    await pod.ready()
    expect((await ask(`http://${await pod.ip()}:8080/`)).body).toEqual({ pid: expect.any(Number), id: null })
    const blind = await create({
      name: 'blind',
      annotations: { 'outrigger.io/intercept': 'enabled' },
      env: { PORT: '8082' },
      container: { readinessProbe: probe(8080) },
    })
    // Nothing listens at 8080.
    await blind.ready()
    for (const each of [pod, blind]) await each.remove()
  })
})

describe('the agent of the node', () => {
  test('as a pod with the user of the sidecars, which follow it by a folder of the node', async () => {
    const socket = { name: 'socket', mountPath: '/run/outrigger' }
    const agent = await create({
      name: 'agent',
      uninjected: true,
      container: {
        volumeMounts: [socket, { name: 'state', mountPath: '/var/lib/outrigger' }],
        command: null,
        args: ['agent'],
        env: [
          { name: 'OUTRIGGER_AGENT', value: 'unix:/run/outrigger/agent.sock' },
          { name: 'STATE_DIRECTORY', value: '/var/lib/outrigger' },
        ],
        ports: null,
        readinessProbe: null,
        securityContext: { runAsUser: 1337, runAsGroup: 1337 },
      },
      spec: {
        initContainers: [
          {
            name: 'folder',
            volumeMounts: [socket],
            image: IMAGE,
            command: ['node', '-e', "fs.chownSync('/run/outrigger', 1337, 1337)"],
            securityContext: { runAsUser: 0 },
          },
        ],
        volumes: [
          { name: 'socket', hostPath: { path: '/run/outrigger', type: 'DirectoryOrCreate' } },
          { name: 'state', emptyDir: {} },
        ],
      },
    })
    await agent.ready()
    const pod = await create({ name: 'with-agent', annotations: { 'outrigger.io/agent': 'node' } })
    await pod.ready()
    const metrics = async () => await (await fetch(`http://${await pod.ip()}:15020/metrics`)).text()
    await until('that it follows the agent', async () => /^outrigger_agent_connected 1$/m.test(await metrics()))
    // The same folder, so it is found again.
    process.kill(await agent.pid('app'), 'SIGKILL')
    await until('that it has lost the agent', async () => /^outrigger_agent_losses_total 1$/m.test(await metrics()))
    await until('that it follows it again', async () => /^outrigger_agent_connected 1$/m.test(await metrics()))
    for (const each of [pod, agent]) await each.remove()
  })
})
