import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { injectText } from '../../inject/manifest.ts'
import { type Json, mapOf, mapsOf } from '../../inject/shape.ts'
import { rotated, usualLifetimes } from '../../inject/webhook/rotation.ts'
import { injectOptions } from '../inject/support/options.ts'
import { root, temporaryFolder } from '../integration/support/child.ts'
import { until } from '../integration/support/until.ts'
import { type Cluster, startCluster } from './support/cluster.ts'
import { type Replica, startInjectors } from './support/injectors.ts'

/** `outrigger injector`, two replicas of it, behind a real API server, with the rights that deploy/ gives it. */

const manifests = join(root, 'test/inject/manifests')
const DAY = 24 * 3_600_000
let cluster: Cluster
let replicas: readonly Replica[] = []

beforeAll(async () => {
  cluster = await startCluster()
  replicas = await startInjectors(cluster, 2)
  await cluster.makeNamespace('shop', { 'outrigger.io/inject': 'enabled' })
  await cluster.makeNamespace('plain')
  await cluster.makeNamespace('strict', {
    'outrigger.io/inject': 'enabled',
    'pod-security.kubernetes.io/enforce': 'restricted',
  })
})

afterAll(async () => {
  for (const replica of replicas) await replica.stop()
  await cluster?.[Symbol.asyncDispose]()
})

const strictApp = {
  name: 'app',
  image: 'example/app:1',
  ports: [{ containerPort: 8080, name: 'http' }],
  securityContext: {
    runAsNonRoot: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  },
}

function podOf(name: string, metadata: Json = {}): Json {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'shop' }, ...metadata },
    spec: { containers: [strictApp] },
  }
}

async function create(
  namespace: string,
  pod: Json,
  query = '',
): Promise<{ readonly status: number; readonly body: Json }> {
  return await cluster.admin.ask('POST', `/api/v1/namespaces/${namespace}/pods${query}`, pod)
}

const names = (list: unknown) => mapsOf(list).map(({ name }) => name)
const annotationsOf = (body: Json) => mapOf(mapOf(body.metadata).annotations)

describe('a pod that is created', () => {
  test('in a namespace with the label gets the sidecar, also by a dry run', async () => {
    for (const [name, query] of [
      ['one', ''],
      ['two', '?dryRun=All'],
    ] as const) {
      const { status, body } = await create('shop', podOf(name), query)
      expect(status).toBe(201)
      expect(names(mapOf(body.spec).initContainers)).toEqual(['outrigger'])
      expect(annotationsOf(body)['outrigger.io/sidecar']).toContain('forward: 127.0.0.1:8080')
    }
    const stored = await cluster.kubectl('get', 'pods', '-n', 'shop', '-o', 'name')
    expect(stored.out.trim()).toBe('pod/one')
  })

  test('elsewhere gets none, unless it has the label itself; and none where it says so', async () => {
    const plain = await create('plain', podOf('none'))
    expect(mapOf(plain.body.spec)).not.toHaveProperty('initContainers')
    const own = await create('plain', podOf('own', { labels: { app: 'a', 'outrigger.io/inject': 'enabled' } }))
    expect(names(mapOf(own.body.spec).initContainers)).toEqual(['outrigger'])
    const out = await create('shop', podOf('out', { labels: { app: 'a', 'outrigger.io/inject': 'disabled' } }))
    expect(out.status).toBe(201)
    expect(mapOf(out.body.spec)).not.toHaveProperty('initContainers')
  })

  test('passes the Pod Security level restricted with the sidecar in it, and does not where it asks for interception', async () => {
    const { status, body } = await create('strict', podOf('one'))
    expect([status, body.message]).toEqual([201, undefined])
    expect(names(mapOf(body.spec).initContainers)).toEqual(['outrigger'])
    const rules = await create('strict', podOf('rules', { annotations: { 'outrigger.io/intercept': 'enabled' } }))
    expect(rules.status).toBe(403)
    expect(rules.body.message).toContain('outrigger-intercept')
  })

  test('is denied with the remedy where an annotation is wrong', async () => {
    const { status, body } = await create('shop', podOf('wrong', { annotations: { 'outrigger.io/log-levle': 'info' } }))
    expect(status).toBe(422)
    expect(body.message).toContain('did you mean outrigger.io/log-level?')
    const said = await cluster.kubectl(
      'run',
      'bad',
      '-n',
      'shop',
      '--image=x',
      '--annotations=outrigger.io/config=admn: "off"',
    )
    expect(said.code).not.toBe(0)
    expect(said.err).toContain('did you mean "admin"?')
  })

  test('in kube-system is never looked at', async () => {
    await cluster.makeNamespace('kube-system')
    const { status, body } = await create('kube-system', podOf('own', { labels: { 'outrigger.io/inject': 'enabled' } }))
    expect(status).toBe(201)
    expect(mapOf(body.spec)).not.toHaveProperty('initContainers')
  })
})

test('both replicas have the certificate of one Secret, and the API server trusts it', async () => {
  const [one, two] = await Promise.all(replicas.map(({ port }) => certificateAt(port)))
  expect(one!.fingerprint256).toBe(two!.fingerprint256)
  const { body } = await cluster.admin.ask(
    'GET',
    '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/outrigger-injector',
  )
  const bundles = new Set(mapsOf(body.webhooks).map(webhook => mapOf(webhook.clientConfig).caBundle))
  expect(bundles.size).toBe(1)
  const authority = new X509Certificate(Buffer.from(String([...bundles][0]), 'base64'))
  expect(one!.verify(authority.publicKey)).toBe(true)
})

function certificateAt(port: number): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      const raw = socket.getPeerCertificate().raw
      socket.destroy()
      resolve(new X509Certificate(raw))
    })
    socket.once('error', reject)
  })
}

/** What the replicas would have made so long ago. */
async function age(days: number, lifetimes = usualLifetimes): Promise<void> {
  const path = '/api/v1/namespaces/outrigger-system/secrets/outrigger-injector-tls'
  const { body } = await cluster.admin.ask('GET', path)
  const hosts = [
    'outrigger-injector.outrigger-system.svc',
    'outrigger-injector.outrigger-system.svc.cluster.local',
    '127.0.0.1',
  ]
  const held = rotated(null, hosts, Date.now() - days * DAY, lifetimes)
  const data = {
    'ca.crt': held.authorities,
    'ca.key': held.authorityKey,
    'tls.crt': held.certificate,
    'tls.key': held.key,
  }
  const encoded = Object.fromEntries(
    Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
  )
  const written = await cluster.admin.ask('PUT', path, { ...body, data: encoded })
  expect(written.status).toBe(200)
}

test('an old certificate is rotated in every replica without a restart, and pods are injected all the while', async () => {
  const before = await certificateAt(replicas[0]!.port)
  await age(25)
  let rotations = 0
  await until('that both have a new one', async () => {
    const { status, body } = await create('shop', podOf(`during-${rotations++}`), '?dryRun=All')
    // The API server may know the new authority a moment later than the replicas use it: this one is not of the old one.
    if (status !== 201) expect(String(body.message)).toMatch(/certificate|x509/)
    const now = await Promise.all(replicas.map(({ port }) => certificateAt(port)))
    const isNew = now.every(
      each => each.fingerprint256 !== before.fingerprint256 && Date.parse(each.validTo) > Date.now() + 29 * DAY,
    )
    return isNew && now[0]!.fingerprint256 === now[1]!.fingerprint256
  })
  await until(
    'that pods are injected',
    async () => (await create('shop', podOf('after'), '?dryRun=All')).status === 201,
  )
})

test('an old authority gets a successor beside it: both are trusted, and no pod is refused', async () => {
  const old = { ...usualLifetimes, certificateMs: 360 * DAY }
  await age(250, old)
  const bundle = async () => {
    const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/outrigger-injector'
    const { body } = await cluster.admin.ask('GET', path)
    const text = Buffer.from(String(mapOf(mapsOf(body.webhooks)[0]!.clientConfig).caBundle), 'base64').toString('utf8')
    return text.split('BEGIN CERTIFICATE').length - 1
  }
  await until('that two are trusted', async () => (await bundle()) === 2)
  await until('that pods are injected', async () => (await create('shop', podOf('x'), '?dryRun=All')).status === 201)
})

test('a caBundle that someone took away comes back', async () => {
  const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/outrigger-injector'
  const removed = await cluster.admin.ask('PATCH', path, [{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }])
  expect(removed.status).toBe(200)
  await until('that it is there', async () => {
    const { body } = await cluster.admin.ask('GET', path)
    return mapOf(mapsOf(body.webhooks)[0]!.clientConfig).caBundle !== undefined
  })
})

test('a container that another webhook adds is seen in the second call of the same admission', async () => {
  // The API server calls webhooks in the order of their names, and ours once more where a later one has changed the pod.
  const { startOther } = await import('./support/other-webhook.ts')
  await using other = await startOther(cluster)
  const { body } = await create('shop', podOf('together'))
  expect(names(mapOf(body.spec).containers)).toEqual(['app', 'exporter'])
  expect(names(mapOf(body.spec).initContainers)).toEqual(['outrigger'])
  expect(annotationsOf(body)['outrigger.io/sidecar']).toContain('127.0.0.1:9100')
  expect(other.calls()).toBeGreaterThan(0)
  const metrics = await (await fetch(`http://127.0.0.1:${replicas[0]!.probes}/metrics`)).text()
  expect(metrics).toMatch(/outrigger_injector_reviews_total\{result="again"\} [1-9]/)
})

describe('injected manifests pass a dry run of the API server', () => {
  test.each(
    readdirSync(manifests).flatMap(
      file =>
        [
          [file, 'native'],
          [file, 'classic'],
        ] as const,
    ),
  )('%s, %s', async (file, mode) => {
    const { text, rows } = await injectText(readFileSync(join(manifests, file), 'utf8'), injectOptions({ mode }))
    if (rows.some(({ result }) => result === 'refused')) return expect(mode).toBe('classic')
    const path = join(temporaryFolder(), file)
    writeFileSync(path, text)
    // `create` takes generateName, too. Other kinds than those of Kubernetes are not known here.
    const { err, out } = await cluster.kubectl(
      'create',
      '--dry-run=server',
      '--validate=strict',
      '-n',
      'default',
      '-f',
      path,
    )
    const troubles = err
      .split('\n')
      .filter(
        line =>
          line !== '' &&
          !line.includes('resource mapping not found') &&
          !line.includes('ensure CRDs are installed') &&
          !line.startsWith('Warning:'),
      )
    expect(troubles).toEqual([])
    expect(out).toContain('created (server dry run)')
  })
})

test('a replica that ends serves until it has ended, and the other one goes on', async () => {
  const [first, second] = replicas as [Replica, Replica]
  second.signal('SIGTERM')
  expect(await second.ended).toEqual({ code: 0, signal: null })
  expect((await create('shop', podOf('last'), '?dryRun=All')).status).toBe(201)
  // With none left, pods that are to be in the mesh do not start outside of it.
  first.signal('SIGTERM')
  expect((await first.ended).code).toBe(0)
  const { status, body } = await create('shop', podOf('late'))
  expect(status).toBe(500)
  expect(body.message).toContain('failed calling webhook')
  expect((await create('plain', podOf('unhurt'))).status).toBe(201)
})
