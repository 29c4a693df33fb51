import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type Json, mapOf, mapsOf } from '../../inject/shape.ts'
import { type Child, root, run, temporaryFolder } from '../integration/support/child.ts'
import { until } from '../integration/support/until.ts'
import { obtain } from '../peers/obtain.ts'
import { good, NAMESPACE, startInjector } from './support/chart.ts'
import { type Cluster, startCluster } from './support/cluster.ts'

/**
 * docs/quickstart-kubernetes.md and examples/kubernetes, on a real API server: every command of the page that needs no
 * node, as it stands there and in its order.
 */

/** They build an image, or talk to a container. */
const needsNode = /^docker |^curl | exec | port-forward | get pods$/
const page = readFileSync(join(root, 'docs/quickstart-kubernetes.md'), 'utf8')
const commands = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block]) =>
  block!.replaceAll('\\\n', '').trim().split('\n'),
)
const possible = commands.filter(line => !needsNode.test(line))

let cluster: Cluster
let injector: Child | null = null
let shell: (line: string) => ReturnType<typeof run>

beforeAll(async () => {
  cluster = await startCluster()
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'bin'))
  for (const name of ['helm', 'kubectl'] as const) symlinkSync(await obtain(name), join(folder, 'bin', name))
  const env = { KUBECONFIG: cluster.kubeconfig, HOME: folder, PATH: `${join(folder, 'bin')}:/usr/bin:/bin` }
  shell = line => run('/bin/sh', ['-c', line], env, root)
})

afterAll(async () => {
  await injector?.stop()
  await cluster?.[Symbol.asyncDispose]()
})

async function get(path: string): Promise<Json> {
  const { status, body } = await cluster.admin.ask('GET', path)
  if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`)
  return body
}

test('the page has commands of both kinds, and installs, deploys and takes away', () => {
  expect(possible.map(line => line.split(/\s+/).slice(0, 2).join(' '))).toEqual([
    'helm install',
    'kubectl apply',
    'kubectl create',
    'kubectl label',
    'kubectl -n',
    'helm upgrade',
    'helm upgrade',
    'helm upgrade',
    'kubectl -n',
    'helm upgrade',
    'kubectl delete',
    'helm uninstall',
    'kubectl delete',
  ])
})

describe('in the order of the page', () => {
  test('2: the chart is installed', async () => {
    // Without nodes nothing becomes ready.
    good(await shell(possible[0]!.replace(' --wait', '')))
    injector = await startInjector(
      cluster,
      await get(`/apis/apps/v1/namespaces/${NAMESPACE}/deployments/outrigger-injector`),
    )
  })

  test('3: the services are applied, and another namespace gets sidecars', async () => {
    expect(good(await shell(`${possible[1]!} --validate=strict`))).toContain('deployment.apps/web created')
    expect(good(await shell(`${possible[1]!} --dry-run=server`))).toContain('deployment.apps/web unchanged')
    for (const line of possible.slice(2, 5)) good(await shell(line))
  })

  test.each(['web', 'orders', 'stock'])('a pod of %s gets its sidecar, and its Service leads there', async name => {
    const { spec } = await get(`/apis/apps/v1/namespaces/shop/deployments/${name}`)
    const template = mapOf(mapOf(spec).template)
    // A controller would make the account, and the pod.
    await cluster.kubectl('create', 'serviceaccount', 'default', '-n', 'shop')
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...mapOf(template.metadata), name },
      spec: template.spec,
    }
    const created = await until('that the API server calls the injector', async () => {
      const { status, body } = await cluster.admin.ask('POST', '/api/v1/namespaces/shop/pods', pod)
      if (status !== 201) throw new Error(String(body.message))
      return body
    })
    const [sidecar] = mapsOf(mapOf(created.spec).initContainers)
    expect(sidecar).toMatchObject({ name: 'outrigger', image: 'registry.example.com/outrigger:0.1.0' })
    const file = parse(String(mapOf(mapOf(created.metadata).annotations)['outrigger.io/sidecar'])) as Json
    expect(file).toMatchObject({
      service: name,
      discovery: { kubernetes: {} },
      agent: 'unix:/run/outrigger/agent.sock',
    })
    const [port] = mapsOf(mapOf((await get(`/api/v1/namespaces/shop/services/${name}`)).spec).ports)
    const target = mapsOf(sidecar!.ports).find(each => each.name === port!.targetPort)
    expect(mapsOf(file.inbound)[0]).toEqual({
      listen: `0.0.0.0:${target!.containerPort}`,
      forward: '127.0.0.1:8080',
    })
    // With discovery.kubernetes it asks the API, by the token of the pod.
    expect(mapsOf(sidecar!.volumeMounts).map(({ mountPath }) => mountPath)).toContain(
      '/var/run/secrets/kubernetes.io/serviceaccount',
    )
  })

  test('the service accounts of shop may find endpoints there, and nothing else', async () => {
    const may = async (namespace: string, verb: string, kind: string, where = 'shop') => {
      const as = `--as=system:serviceaccount:${namespace}:default`
      const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`].map(each => `--as-group=${each}`)
      return (await cluster.kubectl('auth', 'can-i', verb, kind, '-n', where, as, ...groups)).out.trim()
    }
    for (const verb of ['list', 'watch'])
      for (const kind of ['endpointslices.discovery.k8s.io', 'services']) {
        expect(await may('shop', verb, kind)).toBe('yes')
        expect(await may('shop', verb, kind, 'default')).toBe('no')
        expect(await may('default', verb, kind)).toBe('no')
      }
    expect(await may('shop', 'list', 'secrets')).toBe('no')
    expect(await may('shop', 'list', 'pods')).toBe('no')
  })

  test('6: a policy comes into the ConfigMap of the agents; a wrong one changes nothing, with the words of the page', async () => {
    const policies = async () =>
      mapOf((await get(`/api/v1/namespaces/${NAMESPACE}/configmaps/outrigger-policies`)).data)
    good(await shell(possible[5]!))
    const before = await policies()
    expect(before).toEqual({ 'orders.yaml': 'timeouts:\n  request: 2s\n' })
    const { code, err } = await shell(possible[6]!)
    expect(code).not.toBe(0)
    expect(page).toContain(err.trim())
    expect(await policies()).toEqual(before)
  })

  test('with Consul, and with traces', async () => {
    good(await shell(possible[7]!))
    good(await shell(possible[8]!))
    const base = mapOf((await get(`/api/v1/namespaces/${NAMESPACE}/configmaps/outrigger-injector`)).data)
    expect(parse(String(base['base.yaml']))).toMatchObject({
      discovery: { consul: { address: 'http://${HOST_IP}:8500' } },
      register: { address: '${POD_IP}' },
    })
    good(await shell(possible[9]!))
    const agent = mapOf((await get(`/api/v1/namespaces/${NAMESPACE}/configmaps/outrigger-agent`)).data)
    expect(parse(String(agent['agent.yaml']))).toMatchObject({
      consul: { address: 'http://${HOST_IP}:8500' },
      traces: { export: 'grpc://jaeger.observability:4317' },
    })
  })

  test('it is taken away', async () => {
    // No kubelet ends pods, and no controller empties a namespace.
    good(await shell('kubectl -n shop delete pods --all --force --grace-period=0'))
    good(await shell(`${possible[10]!} --wait=false`))
    good(await shell(possible[11]!))
    good(await shell(`${possible[12]!} --wait=false`))
    expect((await shell('helm list --all-namespaces --short')).out).toBe('')
  })
})
