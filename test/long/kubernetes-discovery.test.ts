import { writeFileSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { injectText } from '../../inject/manifest.ts'
import { type Json, mapOf, mapsOf } from '../../inject/shape.ts'
import { injectOptions } from '../inject/support/options.ts'
import { root, temporaryFolder } from '../integration/support/child.ts'
import { startLoad } from '../integration/support/load.ts'
import { freePort } from '../integration/support/ports.ts'
import { type Config, get, type RunningProxy, startProxy } from '../integration/support/proxy.ts'
import { until } from '../integration/support/until.ts'
import { type Cluster, startCluster } from './support/cluster.ts'
import { ownAddress, serviceObject, sliceObject } from './support/cluster-objects.ts'
import { type Relay, startRelay } from './support/relay.ts'

/**
 * Endpoints from a real API server: Services and EndpointSlices are written by kubectl, as the controllers of a cluster
 * would, and the endpoints are servers of this machine.
 */

let cluster: Cluster
let relay: Relay
const backends: Server[] = []

beforeAll(async () => {
  cluster = await startCluster()
  relay = await startRelay(Number(new URL(cluster.server).port))
  await cluster.makeNamespace('shop')
  await cluster.makeNamespace('other')
  await cluster.must('apply', '-f', join(root, 'deploy/kubernetes/discovery.yaml'))
  await cluster.must(
    'create',
    'rolebinding',
    'outrigger-discovery',
    '-n',
    'shop',
    '--clusterrole=outrigger-discovery',
    '--group=system:serviceaccounts:shop',
  )
})

afterAll(async () => {
  for (const backend of backends) backend.close()
  relay?.close()
  await cluster?.[Symbol.asyncDispose]()
})

/** An application of this machine: says its port. */
async function backend(answer?: (response: ServerResponse) => void): Promise<number> {
  const server = createServer((_request, response) => {
    if (answer !== undefined) return answer(response)
    response.end(String((server.address() as AddressInfo).port))
  })
  backends.push(server)
  await new Promise<void>(resolve => server.listen(0, '0.0.0.0', resolve))
  return (server.address() as AddressInfo).port
}

const usual = { ready: true, serving: true, terminating: false }
const http = [{ name: 'http', port: 80 }]

/** One slice for each endpoint: they differ in their ports. */
const single = (namespace: string, service: string, port: number, conditions = usual) =>
  sliceObject(
    namespace,
    service,
    `${service}-${port}`,
    [{ name: 'http', port }],
    [{ address: ownAddress(), conditions }],
  )

async function proxyOf(
  account: string,
  more: object = {},
  config: Config = {},
): Promise<RunningProxy & { readonly port: number }> {
  const port = await freePort()
  const proxy = await startProxy({
    service: 'web',
    outbound: [{ listen: `127.0.0.1:${port}` }],
    discovery: {
      kubernetes: {
        address: `https://127.0.0.1:${relay.port}`,
        tokenFile: join(account, 'token'),
        tls: { ca: join(account, 'ca.crt') },
        namespace: 'shop',
        ...more,
      },
    },
    ...config,
  })
  return Object.assign(proxy, { port })
}

let made = 0
/** A service account of the namespace, with the rights that deploy/ gives it there. */
async function account(namespace = 'shop'): Promise<string> {
  const name = `web-${made++}`
  await cluster.must('create', 'serviceaccount', name, '-n', namespace)
  return cluster.serviceAccount(namespace, name)
}

const call = (port: number, host: string) => get(port, '/', { headers: { host } })
const stateOf = async (proxy: RunningProxy, service: string) =>
  (await proxy.admin(`/endpoints?service=${service}&format=text`)).body

describe('names', () => {
  test('all that a cluster has for a Service find it on demand, and the port says which', async () => {
    const [web, grpc] = [await backend(), await backend()]
    const ports = [
      { name: 'http', port: 80 },
      { name: 'admin', port: 9090 },
    ]
    await cluster.apply(
      serviceObject('shop', 'names', ports),
      sliceObject(
        'shop',
        'names',
        'names-a',
        [
          { name: 'http', port: web },
          { name: 'admin', port: grpc },
        ],
        [{ address: ownAddress() }],
      ),
    )
    await using proxy = await proxyOf(await account())
    const short = ['names', 'names.shop', 'names.shop.svc', 'names.shop.svc.cluster.local', 'names:80', 'names:15001']
    for (const host of short) expect([host, (await call(proxy.port, host)).body]).toEqual([host, String(web)])
    for (const host of ['names:9090', 'names.shop.svc.cluster.local:9090'])
      expect([host, (await call(proxy.port, host)).body]).toEqual([host, String(grpc)])
    const address = await cluster.must('get', 'service', 'names', '-n', 'shop', '-o', 'jsonpath={.spec.clusterIP}')
    expect((await call(proxy.port, `${address}:9090`)).body).toBe(String(grpc))
    expect((await call(proxy.port, `${address}:80`)).body).toBe(String(web))
    const none = await call(proxy.port, 'nobody')
    expect(none.status).toBe(404)
    expect(none.body).toContain('there is no Service nobody in the namespace shop')
    expect(await stateOf(proxy, 'names')).toContain('from kubernetes: ')
    // One watch for all Services, and one for the slices.
    expect(relay.connections()).toBeLessThanOrEqual(4)
  })

  test('in another namespace are denied until the rights are bound there: the answer says which', async () => {
    const port = await backend()
    await cluster.apply(serviceObject('other', 'far', http), single('other', 'far', port))
    await using proxy = await proxyOf(await account())
    const denied = await call(proxy.port, 'far.other')
    expect(denied.status).toBe(503)
    expect(denied.body).toMatch(
      /cannot get resource.*needs get on services in the namespace other \(deploy\/kubernetes\/discovery.yaml\)/,
    )
    await cluster.must(
      'create',
      'rolebinding',
      'outrigger-discovery',
      '-n',
      'other',
      '--clusterrole=outrigger-discovery',
      '--group=system:serviceaccounts:shop',
    )
    await until('that it is found', async () => (await call(proxy.port, 'far.other.svc')).body === String(port))
    expect((await call(proxy.port, 'nothing.nowhere')).status).toBe(503)
  })

  test('a Service without endpoints is known, and one that stands for a host outside leads there', async () => {
    const port = await backend()
    await cluster.apply(
      serviceObject('shop', 'empty', http),
      serviceObject('shop', 'outside', [{ name: 'http', port }], { type: 'ExternalName', externalName: 'localhost' }),
    )
    await using proxy = await proxyOf(await account())
    const { status, body } = await call(proxy.port, 'empty')
    expect([status, body]).toEqual([503, expect.stringContaining('UH')])
    expect((await call(proxy.port, 'outside')).body).toBe(String(port))
  })
})

test('endpoints come, drain and go under load, and no request fails', async () => {
  const ports = [await backend(), await backend(), await backend()]
  const [first, second, third] = ports as [number, number, number]
  await cluster.apply(
    serviceObject('shop', 'orders', http),
    single('shop', 'orders', first),
    single('shop', 'orders', second),
  )
  await using proxy = await proxyOf(await account(), { services: { orders: {} } }, { services: { orders: {} } })
  const load = startLoad({ port: proxy.port, path: '/', rate: 100, headers: { host: 'orders' } })
  const has = (port: number, health: string) => async () =>
    (await proxy.endpoints('orders')).some(each => each.address.endsWith(`:${port}`) && each.health === health)
  for (let round = 0; round < 3; round++) {
    await cluster.apply(single('shop', 'orders', third))
    await until('that it is used', has(third, 'passing'))
    await cluster.apply(single('shop', 'orders', first, { ready: false, serving: true, terminating: true }))
    await until('that it drains', has(first, 'draining'))
    await cluster.must('delete', 'endpointslice', `orders-${first}`, '-n', 'shop')
    await until('that it is gone', async () => (await proxy.endpoints('orders')).length === 2)
    await cluster.apply(single('shop', 'orders', first))
    await until('that it is back', has(first, 'passing'))
    await cluster.must('delete', 'endpointslice', `orders-${third}`, '-n', 'shop')
    await until('that the other is gone', async () => (await proxy.endpoints('orders')).length === 2)
  }
  const { failures, good } = await load.stop()
  expect([...failures]).toEqual([])
  expect(good).toBeGreaterThan(50)
  // Deleting the Service says it at once, whatever its endpoints do.
  await cluster.must('delete', 'service', 'orders', '-n', 'shop')
  await until('that none is used', async () => (await call(proxy.port, 'orders')).status === 503)
  expect((await proxy.endpoints('orders')).map(each => each.healthReason)).toEqual([
    'its Service was deleted',
    'its Service was deleted',
  ])
})

test('the API server is killed and comes back: no request fails, the source is stale, and the watch goes on', async () => {
  const [one, two] = [await backend(), await backend()]
  await cluster.apply(serviceObject('shop', 'steady', http), single('shop', 'steady', one))
  await using proxy = await proxyOf(await account(), {}, { services: { steady: {} } })
  const load = startLoad({ port: proxy.port, path: '/', rate: 50, headers: { host: 'steady' } })
  await until('that it serves', () => load.good() > 20)
  await cluster.killServer()
  await until('that it says so', async () => (await stateOf(proxy, 'steady')).includes('from kubernetes: STALE'))
  expect((await proxy.metrics()).value('outrigger_discovery_stale', { service: 'steady' })).toBe(1)
  const before = load.good()
  await until('that requests go on', () => load.good() > before + 20)
  await cluster.startServer()
  await until('that it is fresh', async () => !(await stateOf(proxy, 'steady')).includes('STALE'))
  await cluster.apply(single('shop', 'steady', two))
  await until('that the new one is used', async () => (await proxy.endpoints('steady')).length === 2)
  expect([...(await load.stop()).failures]).toEqual([])
})

test('a version that etcd has compacted: what there is now is listed, and no request fails', async () => {
  const [one, two] = [await backend(), await backend()]
  await cluster.apply(serviceObject('shop', 'kept', http), single('shop', 'kept', one), single('shop', 'kept', two))
  await using proxy = await proxyOf(await account(), {}, { services: { kept: {} } })
  const load = startLoad({ port: proxy.port, path: '/', rate: 50, headers: { host: 'kept' } })
  await until('that it serves', () => load.good() > 20)
  relay.cut()
  await until('that it says so', async () => (await stateOf(proxy, 'kept')).includes('STALE'))
  await cluster.must('delete', 'endpointslice', `kept-${one}`, '-n', 'shop')
  await cluster.apply(serviceObject('shop', 'unrelated', http))
  await cluster.compact()
  // Its cache of recent changes is lost with it.
  await cluster.killServer()
  await cluster.startServer()
  relay.open()
  await until('that it has caught up', async () => (await proxy.endpoints('kept')).length === 1)
  expect([...(await load.stop()).failures]).toEqual([])
})

test('a sidecar that starts while the API server is away uses what was known last', async () => {
  const port = await backend()
  await cluster.apply(serviceObject('shop', 'last', http), single('shop', 'last', port))
  const who = await account()
  const config = { services: { last: {} }, state: temporaryFolder() }
  const first = await proxyOf(who, {}, config)
  expect((await call(first.port, 'last')).body).toBe(String(port))
  await first.stop()
  relay.cut()
  await using second = await proxyOf(who, {}, config)
  expect((await call(second.port, 'last')).body).toBe(String(port))
  expect(await stateOf(second, 'last')).toContain('STALE')
  relay.open()
  await until('that it is fresh', async () => !(await stateOf(second, 'last')).includes('STALE'))
})

test('1,000 endpoints in 10 slices', async () => {
  const slices = Array.from({ length: 10 }, (_, a) =>
    sliceObject(
      'shop',
      'big',
      `big-${a}`,
      http,
      Array.from({ length: 100 }, (_, b) => ({ address: `10.78.${a}.${b + 1}` })),
    ),
  )
  await cluster.apply(serviceObject('shop', 'big', http), ...slices)
  await using proxy = await proxyOf(await account(), { services: { big: {} } })
  await until('that all are known', async () => (await proxy.endpoints('big')).length === 1_000)
  await cluster.must('delete', 'endpointslice', 'big-3', '-n', 'shop')
  await until('that 900 are left', async () => (await proxy.endpoints('big')).length === 900)
})

describe('rights', () => {
  test('a token that has none: which is missing, in the log and at /endpoints', async () => {
    await cluster.makeNamespace('poor')
    await using proxy = await proxyOf(await account('poor'), { namespace: 'poor' }, { services: { any: {} } })
    expect(await stateOf(proxy, 'any')).toMatch(/the service account needs list and watch on \S+ in the namespace poor/)
    await cluster.must(
      'create',
      'rolebinding',
      'outrigger-discovery',
      '-n',
      'poor',
      '--clusterrole=outrigger-discovery',
      '--group=system:serviceaccounts:poor',
    )
    await until('that it is taken up', async () => !(await stateOf(proxy, 'any')).includes('needs list'))
  })

  test.each([
    ['services', 'list'],
    ['services', 'watch'],
    ['services', 'get'],
    ['endpointslices', 'list'],
    ['endpointslices', 'watch'],
  ])('without %s %s it does not work', async (resource, verb) => {
    const namespace = `less-${resource}-${verb}`
    const port = await backend()
    await cluster.makeNamespace(namespace)
    const who = await account(namespace)
    const rules = [
      { apiGroups: [''], resources: ['services'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
    ].map(rule => ({ ...rule, verbs: rule.verbs.filter(each => !(rule.resources[0] === resource && each === verb)) }))
    const subject = [
      { kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: `system:serviceaccounts:${namespace}` },
    ]
    const metadata = { name: `less-${namespace}` }
    await cluster.apply(
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata, rules },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name },
        subjects: subject,
      },
      serviceObject(namespace, 'orders', http),
      single(namespace, 'orders', port),
      serviceObject('other', 'elsewhere', http),
      single('other', 'elsewhere', port),
    )
    await using proxy = await proxyOf(who, { namespace })
    if (verb === 'get') {
      expect((await call(proxy.port, 'orders')).body).toBe(String(port))
      const { status, body } = await call(proxy.port, 'elsewhere.other')
      expect([status, body]).toEqual([503, expect.stringContaining('needs get on services')])
      return
    }
    // A list alone is an answer, and goes stale: what is watched is not kept.
    await until('that it says so', async () => {
      const { body } = await call(proxy.port, 'orders')
      return `${body}${await stateOf(proxy, 'orders')}`.includes(`list and watch on ${resource}`)
    })
  })
})

test('an injected sidecar has the service account of its pod at the place where it looks, and passes restricted', async () => {
  await cluster.makeNamespace('strict', { 'pod-security.kubernetes.io/enforce': 'restricted' })
  const securityContext = {
    runAsNonRoot: true,
    runAsUser: 1000,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  }
  for (const spec of [{}, { automountServiceAccountToken: false }]) {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'web',
        labels: { app: 'web' },
        annotations: { 'outrigger.io/config': 'discovery: { kubernetes: {} }' },
      },
      spec: {
        ...spec,
        containers: [{ name: 'app', image: 'a', ports: [{ containerPort: 80, name: 'http' }], securityContext }],
      },
    }
    const { text } = await injectText(JSON.stringify(pod), injectOptions())
    const file = join(temporaryFolder(), 'pod.json')
    writeFileSync(file, text)
    const made = mapOf(
      JSON.parse(await cluster.must('create', '-n', 'strict', '--dry-run=server', '-o', 'json', '-f', file)),
    )
    const account = (container: Json | undefined) =>
      mapsOf(container?.volumeMounts).filter(({ mountPath }) => String(mountPath).includes('serviceaccount'))
    const { initContainers, containers } = mapOf(made.spec)
    expect(account(mapsOf(initContainers)[0])).toMatchObject([{ name: 'outrigger-account' }])
    expect(account(mapsOf(containers)[0])).toHaveLength(spec.automountServiceAccountToken === false ? 0 : 1)
  }
})
