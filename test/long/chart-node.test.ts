import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Json, mapOf, mapsOf } from '../../inject/shape.ts'
import { root, run, temporaryFolder } from '../integration/support/child.ts'
import { until } from '../integration/support/until.ts'
import { obtain } from '../peers/obtain.ts'
import { chart, good, helmOf, NAMESPACE } from './support/chart.ts'
import { sliceObject } from './support/cluster-objects.ts'
import { IMAGE } from './support/image.ts'
import { type KubernetesNode, NODE, startNode } from './support/node.ts'
import { nodeImages, SANDBOX } from './support/node-images.ts'
import { createPod, type Pod } from './support/pods.ts'

/**
 * What the chart installs, and examples/kubernetes behind it, on a real node. There are no controllers, no scheduler and
 * no addresses of Services: this file makes the pods of each template, and the EndpointSlices.
 */

const services = ['web', 'orders', 'stock'] as const
const pods = new Map<string, Pod>()
let where: KubernetesNode

beforeAll(async () => {
  await Promise.all([
    obtain('dockerd'),
    obtain('debootstrap'),
    obtain('kubelet'),
    obtain('kube-apiserver'),
    obtain('helm'),
  ])
  where = await startNode(await nodeImages(), SANDBOX)
  const { cluster } = where
  await cluster.makeNamespace(NAMESPACE)
  await cluster.must('apply', '-k', join(root, 'examples/kubernetes'))
  await cluster.must('create', 'serviceaccount', 'default', '-n', 'shop')
  const config = JSON.parse(readFileSync(cluster.kubeconfig, 'utf8')) as { clusters: { cluster: Json }[] }
  const authority = String(config.clusters[0]!.cluster['certificate-authority'])
  for (const namespace of [NAMESPACE, 'shop'])
    await cluster.must('create', 'configmap', 'kube-root-ca.crt', '-n', namespace, `--from-file=ca.crt=${authority}`)
  const [repository, tag] = IMAGE.split(':')
  const account = '/var/run/secrets/kubernetes.io/serviceaccount'
  const kubernetes = {
    address: cluster.server,
    tokenFile: `${account}/token`,
    tls: { ca: `${account}/ca.crt` },
  }
  const discovery = JSON.stringify({ kubernetes })
  const helm = await helmOf(cluster)
  good(
    await helm(
      'install',
      'outrigger',
      chart,
      `--namespace=${NAMESPACE}`,
      `--values=${join(root, 'examples/kubernetes/values.yaml')}`,
      `--set=image.repository=${repository},image.tag=${tag},agent.stateHostPath=${temporaryFolder()}`,
      '--set=agent.policies.orders.timeouts.request=2s',
      `--set-json=injector.base.discovery=${discovery}`,
      `--set-json=gateway.config.discovery=${discovery}`,
    ),
  )
}, 3_600_000)

afterAll(async () => {
  await where?.[Symbol.asyncDispose]()
})

/** The pod that a controller would make of it. */
async function start(namespace: string, kind: string, name: string, edit = (pod: Json) => pod): Promise<Pod> {
  const { body } = await where.cluster.admin.ask('GET', `/apis/apps/v1/namespaces/${namespace}/${kind}/${name}`)
  const { metadata, spec } = mapOf(mapOf(body.spec).template)
  const own = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...mapOf(metadata), name },
    // There is no name server, and the address of the API's Service leads nowhere.
    spec: { ...mapOf(spec), nodeName: NODE, dnsPolicy: 'Default', enableServiceLinks: false },
  }
  const pod = await createPod(where, { name, namespace, uninjected: true, edit: () => edit(own) })
  pods.set(name, pod)
  return pod
}

/** Each container, edited. */
function containers(pod: Json, edit: (container: Json) => Json): Json {
  const spec = mapOf(pod.spec)
  return { ...pod, spec: { ...spec, containers: mapsOf(spec.containers).map(edit) } }
}

async function serve(
  namespace: string,
  service: string,
  port: { name: string; port: number },
  pod: Pod,
): Promise<void> {
  const endpoints = [{ address: await pod.ip() }]
  await where.cluster.apply(sliceObject(namespace, service, `${service}-1`, [port], endpoints))
}

async function ask(url: string, host: string): Promise<string> {
  return (await run(await obtain('curl'), ['-s', '-m', '5', '-H', `host: ${host}`, url])).out
}

test('the agent of the node becomes ready, with folders that the kubelet has made for root', async () => {
  const agent = await start(NAMESPACE, 'daemonsets', 'outrigger-agent')
  await agent.ready()
  expect((await agent.execute('agent', 'outrigger', 'status')).out).toContain(
    'ok  files /etc/outrigger/policies  1 document',
  )
})

test('the injector becomes ready: it has made its certificate with the rights of the chart', async () => {
  const api = `--api-server=${where.cluster.server}`
  const injector = await start(NAMESPACE, 'deployments', 'outrigger-injector', pod =>
    containers(pod, container => ({ ...container, args: [...(container.args as string[]), api] })),
  )
  await injector.ready()
  await serve(NAMESPACE, 'outrigger-injector', { name: 'https-webhook', port: 8443 }, injector)
})

test('the services get sidecars by it, find each other in Kubernetes, and answer', async () => {
  for (const name of services) {
    const pod = await start('shop', 'deployments', name, own =>
      containers(own, container => ({ ...container, image: IMAGE })),
    )
    await serve('shop', name, { name: 'http', port: 20_000 }, pod)
  }
  for (const name of services) await pods.get(name)!.ready()
  const url = `http://${await pods.get('web')!.ip()}:20000/`
  const body = await until('that web answers', async () => {
    const said = await ask(url, 'web')
    return said.includes('left') && said
  })
  expect(JSON.parse(body)).toEqual({
    from: 'web',
    order: { from: 'orders', item: 'tea', stock: { from: 'stock', left: 17 } },
  })
})

test('the commands of the quickstart show them', async () => {
  const status = await until('that all follow the agent', async () => {
    const { out } = await pods.get('outrigger-agent')!.execute('agent', 'outrigger', 'status')
    return out.includes('3 proxies') && out
  })
  expect(status).toMatch(/^good /m)
  const web = pods.get('web')!
  expect((await web.execute('outrigger', 'outrigger', 'flights')).out).toContain('orders at ')
  expect((await web.execute('outrigger', 'outrigger', 'endpoints')).out).toContain('from kubernetes')
  expect((await web.execute('outrigger', 'outrigger', 'explain', 'http://orders/')).out).toContain('request timeout 2s')
})

test('the gateway leads to them from outside', async () => {
  const gateway = await start(NAMESPACE, 'deployments', 'outrigger-gateway')
  await gateway.ready()
  const said = await until('that the gateway answers', async () => {
    const body = await ask(`http://${await gateway.ip()}:8080/`, 'web.shop')
    return body.includes('left') && body
  })
  expect(said).toContain('"from":"web"')
})
