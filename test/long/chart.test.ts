import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Json, mapOf, mapsOf } from '../../inject/shape.ts'
import { loadAgentFile } from '../../mesh-config/agent/load-agent-file.ts'
import { loadTexts } from '../../mesh-config/load-snapshot.ts'
import { compilePolicy, readPolicy } from '../../mesh-config/policy-document.ts'
import { injectorFile, injectorManifest } from '../../scripts/injector-manifest.ts'
import { type Child, temporaryFolder } from '../integration/support/child.ts'
import { until } from '../integration/support/until.ts'
import { obtain } from '../peers/obtain.ts'
import { chart, good, helmOf, NAMESPACE, objectsIn, startInjector } from './support/chart.ts'
import { type Cluster, startCluster } from './support/cluster.ts'

/** The chart, by a real Helm on a real API server. There are no nodes: what it installs is admitted, and does not run. */

/** As a user would type them, but for the file. */
const sets = {
  defaults: [],
  'a gateway behind an Ingress, scaled by load': [
    '--set=gateway.enabled=true',
    '--set=gateway.autoscaling.enabled=true',
    '--set=gateway.ingress.enabled=true',
    '--set=gateway.ingress.className=nginx',
    '--set-json=gateway.ingress.hosts=[{"host":"shop.example.com","paths":["/","/api"]}]',
    '--set-json=gateway.ingress.tls=[{"secretName":"shop","hosts":["shop.example.com"]}]',
  ],
  'no agent': ['--set=agent.enabled=false'],
  'high availability': [
    '--set=injector.replicas=3',
    '--set=injector.podDisruptionBudget.minAvailable=2',
    '--set-json=injector.topologySpreadConstraints=[{"maxSkew":1,"topologyKey":"topology.kubernetes.io/zone","whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchLabels":{"app.kubernetes.io/component":"injector"}}}]',
    '--set=gateway.enabled=true',
    '--set=gateway.replicas=4',
    '--set=gateway.podDisruptionBudget.maxUnavailable=25%',
  ],
  everything: [`--values=${join(import.meta.dirname, 'support/everything.values.yaml')}`],
  'no rights, classic sidecars': [
    '--set=rbac.create=false',
    '--set=injector.sidecar=classic',
    '--set=injector.hostNetwork=true',
    '--set=agent.stateHostPath=',
  ],
  'a gateway alone, by digest': [
    '--set=injector.enabled=false',
    '--set=agent.enabled=false',
    '--set=discovery.clusterRole=false',
    '--set=gateway.enabled=true',
    `--set=image.digest=sha256:${'0'.repeat(64)}`,
    '--set=fullnameOverride=partners',
  ],
} as const satisfies Record<string, readonly string[]>
const names = Object.keys(sets) as (keyof typeof sets)[]

let cluster: Cluster
let helm: Awaited<ReturnType<typeof helmOf>>
let offline: typeof helm
const injectors: Child[] = []

const render = async (...args: readonly string[]) =>
  good(await offline('template', 'outrigger', chart, `--namespace=${NAMESPACE}`, ...args))

beforeAll(async () => {
  cluster = await startCluster()
  helm = await helmOf(cluster)
  offline = await helmOf(null)
  good(await cluster.kubectl('apply', '-f', join(import.meta.dirname, 'support/monitoring.crds.yaml')))
  await until(
    'that the kinds of the Prometheus operator are known',
    async () => (await cluster.kubectl('get', 'podmonitors,prometheusrules', '-A')).code === 0,
  )
})

afterAll(async () => {
  for (const injector of injectors) await injector.stop()
  await cluster?.[Symbol.asyncDispose]()
})

describe.each(names)('with %s', name => {
  test('helm lint --strict has nothing to say', async () => {
    expect(good(await offline('lint', '--strict', chart, ...sets[name]))).toContain('0 chart(s) failed')
  })

  test('the API server takes every object, with no unknown field', async () => {
    const file = join(temporaryFolder(), 'all.yaml')
    const text = await render(...sets[name])
    writeFileSync(file, text)
    for (const namespace of [NAMESPACE, 'shop', 'payments']) await cluster.makeNamespace(namespace)
    const { out, err } = await cluster.kubectl('apply', '--dry-run=server', '--validate=strict', '-f', file)
    expect(err).toBe('')
    expect(out.trim().split('\n')).toHaveLength(objectsIn(text).length)
  })

  test('every object has its namespace, or is of the whole cluster; names do not repeat', async () => {
    const objects = objectsIn(await render(...sets[name]))
    const ofCluster = ['ClusterRole', 'ClusterRoleBinding', 'MutatingWebhookConfiguration']
    for (const { kind, metadata, roleRef } of objects) {
      // What a namespace may read is bound there.
      if (kind === 'RoleBinding' && mapOf(roleRef).kind === 'ClusterRole') continue
      expect(mapOf(metadata).namespace, String(kind)).toBe(ofCluster.includes(String(kind)) ? undefined : NAMESPACE)
    }
    const all = objects.map(({ kind, metadata }) => `${kind} ${mapOf(metadata).namespace} ${mapOf(metadata).name}`)
    expect(new Set(all).size).toBe(all.length)
  })

  test('Outrigger takes the files that it writes', async () => {
    const env = { HOST_IP: '10.0.0.1', CONSUL_HTTP_TOKEN: 'x' }
    const data = objectsIn(await render(...sets[name])).flatMap(({ kind, data }) =>
      kind === 'ConfigMap' ? Object.entries(mapOf(data) as Record<string, string>) : [],
    )
    const around = { file: 'around.yaml', text: 'outbound: [{ listen: 127.0.0.1:15001 }]\n' }
    for (const [file, text] of data) {
      if (file === 'agent.yaml') expect(await loadAgentFile({ file, text }, env)).toMatchObject({ ok: true })
      else if (file === 'sidecar.yaml' || file === 'base.yaml') {
        const loaded = await loadTexts([...(file === 'base.yaml' ? [around] : []), { file, text }], env)
        expect(loaded.ok ? [] : loaded.errors).toEqual([])
      } else if (file.endsWith('.yaml')) {
        const { root, problems } = await readPolicy(file.replace('.yaml', ''), file, text, env)
        expect(problems).toEqual([])
        expect(compilePolicy('orders', [root!])).toMatchObject({ ok: true, warnings: [] })
      }
    }
  })
})

test('sidecars get the rights of deploy/kubernetes/discovery.yaml, where they are bound', async () => {
  const role = (text: string) => objectsIn(text).find(({ metadata }) => mapOf(metadata).name === 'outrigger-discovery')
  const file = readFileSync(join(chart, '../../kubernetes/discovery.yaml'), 'utf8')
  expect(role(await render())!.rules).toEqual(role(file)!.rules)
  const bound = objectsIn(await render('--set=discovery.namespaces={shop,payments}')).filter(
    ({ kind, roleRef }) => kind === 'RoleBinding' && mapOf(roleRef).name === 'outrigger-discovery',
  )
  expect(bound.map(({ metadata }) => mapOf(metadata).namespace)).toEqual(['shop', 'payments'])
})

test('deploy/kubernetes/injector.yaml is what `node scripts/injector-manifest.ts` writes', async () => {
  expect(readFileSync(injectorFile, 'utf8')).toBe(injectorManifest(await obtain('helm')))
})

describe('Pod Security', () => {
  const podsOf = async (component: string) => {
    const rendered = objectsIn(await render('--set=gateway.enabled=true'))
    const { metadata, spec } = mapOf(
      mapOf(rendered.find(each => hasPods(each) && componentOf(each) === component)!.spec).template,
    )
    return { apiVersion: 'v1', kind: 'Pod', metadata: { ...mapOf(metadata), name: component }, spec }
  }
  const create = async (level: string, component: string) => {
    await cluster.makeNamespace(level, { 'pod-security.kubernetes.io/enforce': level })
    await cluster.kubectl('create', 'serviceaccount', `outrigger-${component}`, '-n', level)
    return await cluster.admin.ask('POST', `/api/v1/namespaces/${level}/pods?dryRun=All`, await podsOf(component))
  }

  test.each(['injector', 'gateway'])('restricted admits the pods of the %s', async component => {
    const { status, body } = await create('restricted', component)
    expect([status, body.message]).toEqual([201, undefined])
  })

  test('the agent needs privileged, for folders of the node', async () => {
    const { status, body } = await create('baseline', 'agent')
    expect(status).toBe(403)
    expect(body.message).toContain('hostPath')
    expect((await create('privileged', 'agent')).status).toBe(201)
  })
})

const hasPods = ({ kind }: Json) => kind === 'Deployment' || kind === 'DaemonSet'
const componentOf = ({ metadata }: Json) => mapOf(mapOf(metadata).labels)['app.kubernetes.io/component']

describe('what is wrong is refused, with its place', () => {
  test.each([
    ['--set=injector.replica=3', "at '/injector': additional properties 'replica' not allowed"],
    ['--set=injector.replicas=two', "at '/injector/replicas': got string, want integer"],
    ['--set=injector.failurePolicy=ignore', "at '/injector/failurePolicy': value must be one of 'Fail', 'Ignore'"],
    ['--set=image.digest=abc', "at '/image/digest': 'abc' does not match"],
    ['--set=injector.base.accesslog=errors', "at '/injector/base': additional properties 'accesslog' not allowed"],
    ['--set=gateway.config.admin=false', "at '/gateway/config/admin': got boolean, want null or string"],
    ['--set=agent.config.trace.export=x', "at '/agent/config': additional properties 'trace' not allowed"],
    [
      '--set=agent.policies.orders.timeouts.requst=2s',
      "at '/agent/policies/orders/timeouts': additional properties 'requst' not allowed",
    ],
    ['--set=agent.tolerations[0].effekt=NoExecute', "at '/agent/tolerations/0': additional properties 'effekt'"],
    ['--set=discovery.namespaces[0]=Shop', "at '/discovery/namespaces/0': 'Shop' does not match"],
    [
      '--set=gateway.enabled=true,gateway.service.ports[0].name=web,gateway.service.ports[0].port=80,gateway.service.ports[0].targetPort=9090',
      'gateway.service.ports: web leads to port 9090, where gateway.config has no listener',
    ],
    ['--set=gateway.enabled=true,gateway.ingress.enabled=true', 'gateway.ingress.hosts: an Ingress needs a host'],
    [
      '--set=gateway.enabled=true,gateway.config.drain.timeout=60s',
      'gateway.config.drain: write it under gateway.drain',
    ],
    [
      '--set=gateway.enabled=true,gateway.config.metrics=0.0.0.0:9090',
      'gateway.config.metrics: probes and scrapes use',
    ],
    ['--set=agent.config.listen=unix:/tmp/agent.sock', 'agent.config.listen: sidecars look for the agent at'],
    ['--set=agent.otlpHostPorts=true', 'agent.otlpHostPorts: spans go nowhere without a collector'],
    ['--kube-version=1.28.0', 'injector.sidecar: native needs Kubernetes 1.29: set injector.sidecar=classic'],
  ])('%s', async (option, message) => {
    const { code, err } = await offline('template', 'outrigger', chart, option)
    expect(code).not.toBe(0)
    expect(err).toContain(message)
  })
})

test('as a dependency of another chart it has what that sets for all', async () => {
  const parent = join(temporaryFolder(), 'shop')
  mkdirSync(join(parent, 'charts'), { recursive: true })
  cpSync(chart, join(parent, 'charts/outrigger'), { recursive: true })
  const dependencies = '[{ name: outrigger, version: "*", condition: outrigger.enabled }]'
  writeFileSync(
    join(parent, 'Chart.yaml'),
    `apiVersion: v2\nname: shop\nversion: 1.0.0\ndependencies: ${dependencies}\n`,
  )
  writeFileSync(join(parent, 'values.yaml'), 'global: { team: shop }\noutrigger: { enabled: true }\n')
  expect(good(await offline('template', 'shop', parent))).toContain('kind: MutatingWebhookConfiguration')
})

test('packed, it has all its files, and little of what a release may hold', async () => {
  const folder = temporaryFolder()
  good(await offline('package', chart, `--destination=${folder}`))
  const [packed] = readdirSync(folder)
  // Helm keeps the chart of each revision in a Secret, which may have 1 MiB.
  expect(statSync(join(folder, packed!)).size).toBeLessThan(100 * 1024)
  const all = ['--set=monitoring.dashboards.enabled=true', '--set=monitoring.prometheusRule.enabled=true']
  const names = objectsIn(good(await offline('template', 'outrigger', join(folder, packed!), ...all))).map(
    ({ kind, metadata }) => `${kind} ${mapOf(metadata).name}`,
  )
  for (const name of ['mesh', 'service', 'endpoint', 'agent'])
    expect(names).toContain(`ConfigMap outrigger-dashboard-${name}`)
  expect(names).toContain('PrometheusRule outrigger')
})

/** All that could stay behind. */
async function everythingIn(): Promise<string[]> {
  const kinds = good(await cluster.kubectl('api-resources', '--verbs=list', '-o=name'))
    .trim()
    .split('\n')
    // What the API server itself writes meanwhile.
    .filter(kind => !/^(events|leases\.|componentstatuses|apiservices\.|servicecidrs|ipaddresses)/.test(kind))
  const { out } = await cluster.kubectl('get', kinds.join(','), '-A', '-o=name')
  return out.trim().split('\n').sort()
}

async function get(path: string): Promise<Json> {
  const { status, body } = await cluster.admin.ask('GET', path)
  if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`)
  return body
}

const webhooks = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/outrigger-injector'
const secret = `/api/v1/namespaces/${NAMESPACE}/secrets/outrigger-injector-tls`

async function createPod(name: string): Promise<{ readonly status: number; readonly body: Json }> {
  return await cluster.admin.ask('POST', '/api/v1/namespaces/market/pods?dryRun=All', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'shop' } },
    spec: { containers: [{ name: 'app', image: 'example/app:1' }] },
  })
}
const isInjected = ({ status, body }: { status: number; body: Json }) =>
  status === 201 && mapsOf(mapOf(body.spec).initContainers).some(({ name }) => name === 'outrigger')

describe.each(['true', 'false'])('a release with --server-side=%s', serverSide => {
  const namespace = `--namespace=${NAMESPACE}`
  const way = `--server-side=${serverSide}`
  let before: string[]
  let injector: Child

  beforeAll(async () => {
    await cluster.makeNamespace(NAMESPACE)
    await cluster.makeNamespace('market', { 'outrigger.io/inject': 'enabled' })
    before = await everythingIn()
    good(await helm('install', 'outrigger', chart, namespace, way, '--set=gateway.enabled=true'))
    const deployments = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`
    injector = await startInjector(cluster, await get(`${deployments}/outrigger-injector`))
    injectors.push(injector)
  })

  test('injects pods, by the Service and with the rights that the chart gives it', async () => {
    await until('that a pod gets the sidecar', async () => isInjected(await createPod('one')))
  })

  test('keeps its certificate when it is upgraded and rolled back, while no injector runs to heal it', async () => {
    await injector.stop()
    const bundles = async () => mapsOf((await get(webhooks)).webhooks).map(each => mapOf(each.clientConfig).caBundle)
    const timeouts = async () => mapsOf((await get(webhooks)).webhooks).map(each => each.timeoutSeconds)
    const [trusted, held] = [await bundles(), mapOf((await get(secret)).data)]
    expect(trusted).toEqual([expect.any(String), expect.any(String)])
    expect(Object.keys(held).sort()).toEqual(['ca.crt', 'ca.key', 'tls.crt', 'tls.key'])

    good(await helm('upgrade', 'outrigger', chart, namespace, way, '--set=injector.timeoutSeconds=9'))
    expect(await timeouts()).toEqual([9, 9])
    expect([await bundles(), mapOf((await get(secret)).data)]).toEqual([trusted, held])

    good(await helm('rollback', 'outrigger', '1', namespace))
    expect(await timeouts()).toEqual([5, 5])
    expect([await bundles(), mapOf((await get(secret)).data)]).toEqual([trusted, held])

    const deployments = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`
    injector = await startInjector(cluster, await get(`${deployments}/outrigger-injector`))
    injectors.push(injector)
    await until('that a pod gets the sidecar', async () => isInjected(await createPod('two')))
  })

  test('leaves nothing behind but its namespace, and pods are created as before', async () => {
    good(await helm('uninstall', 'outrigger', namespace))
    await cluster.kubectl('delete', 'endpointslice', '-n', NAMESPACE, 'outrigger-injector-test')
    const after = await until('that all is deleted', async () => {
      const now = await everythingIn()
      return now.length <= before.length && now
    })
    expect(after).toEqual(before)
    await until('that the webhook is not called', async () => {
      const made = await createPod('three')
      return made.status === 201 && !isInjected(made)
    })
  })
})
