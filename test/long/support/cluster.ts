import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Json } from '../../../inject/shape.ts'
import { makeAuthority, makeServerCertificate } from '../../../inject/webhook/certificate.ts'
import { type Kubernetes, kubernetesClient } from '../../../inject/webhook/kubernetes.ts'
import { type Child, run, startChild, temporaryFolder } from '../../integration/support/child.ts'
import { freePort } from '../../integration/support/ports.ts'
import { until } from '../../integration/support/until.ts'
import { obtain } from '../../peers/obtain.ts'

/**
 * A real etcd and a real kube-apiserver, without controllers. Without a node (`node.ts`), pods are admitted and do not
 * run.
 */
export interface Cluster extends AsyncDisposable {
  readonly server: string
  /** As the administrator. */
  readonly admin: Kubernetes
  /** A file for clients of the administrator and for a kubelet, with the context `admin`. */
  readonly kubeconfig: string
  kubectl(
    ...args: readonly string[]
  ): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>
  /** kubectl, which goes on. */
  following(...args: readonly string[]): Child
  /** A folder as a pod of this service account has it. */
  serviceAccount(namespace: string, name: string): Promise<string>
  makeNamespace(name: string, labels?: Readonly<Record<string, string>>): Promise<void>
  /** `kubectl apply` of these objects; rejects where it does not take them. */
  apply(...objects: readonly Json[]): Promise<void>
  /** Rejects where it fails. */
  must(...args: readonly string[]): Promise<string>
  /** The API server, as by a crash. etcd goes on. */
  killServer(): Promise<void>
  startServer(): Promise<void>
  /** etcd forgets all versions but the last one. */
  compact(): Promise<void>
}

const ADMIN = 'admin-of-the-test'
const HOUR = 3_600_000

/** `address`: where the API server listens. A kubelet cannot reach one on loopback. */
export async function startCluster(address = '127.0.0.1'): Promise<Cluster> {
  const [etcdBinary, serverBinary, kubectlBinary] = [
    await obtain('etcd'),
    await obtain('kube-apiserver'),
    await obtain('kubectl'),
  ]
  const folder = temporaryFolder()
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const authority = makeAuthority('cluster-ca', Date.now(), 24 * HOUR)
  const by = { certificate: authority.certificate, key: createPrivateKey(authority.key) }
  const own = makeServerCertificate(['localhost', address], by, Date.now(), 24 * HOUR)
  const accounts = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const [clients, peers, port] = [await freePort(), await freePort(), await freePort()]
  const etcdAt = `http://127.0.0.1:${clients}`
  const etcd = startChild(etcdBinary, [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${etcdAt}`,
    `--advertise-client-urls=${etcdAt}`,
    `--listen-peer-urls=http://127.0.0.1:${peers}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peers}`,
    `--initial-cluster=default=http://127.0.0.1:${peers}`,
    '--unsafe-no-fsync',
  ])
  const accountKey = file('accounts.key', accounts.export({ type: 'pkcs1', format: 'pem' }).toString())
  const startApi = () =>
    startChild(serverBinary, [
      `--etcd-servers=${etcdAt}`,
      `--bind-address=${address}`,
      `--advertise-address=${address}`,
      `--secure-port=${port}`,
      `--tls-cert-file=${file('server.crt', own.certificate)}`,
      `--tls-private-key-file=${file('server.key', own.key)}`,
      `--token-auth-file=${file('tokens.csv', `${ADMIN},admin,admin,"system:masters"\n`)}`,
      '--authorization-mode=RBAC',
      '--service-account-issuer=https://127.0.0.1',
      `--service-account-key-file=${accountKey}`,
      `--service-account-signing-key-file=${accountKey}`,
      '--service-cluster-ip-range=10.0.0.0/24',
      // Webhooks are called at the endpoints of their Service: its own address leads nowhere, without nodes.
      '--enable-aggregator-routing=true',
      `--cert-dir=${folder}`,
      '--allow-privileged=true',
      '--kubelet-preferred-address-types=InternalIP',
    ])
  const server = `https://${address}:${port}`
  const accountFolder = (name: string, token: string, namespace: string) => {
    mkdirSync(join(folder, name), { recursive: true })
    file(join(name, 'ca.crt'), authority.certificate)
    file(join(name, 'token'), token)
    file(join(name, 'namespace'), namespace)
    return join(folder, name)
  }
  let api = startApi()
  const admin = kubernetesClient(server, accountFolder('admin', ADMIN, 'default'))
  const isReady = () =>
    until('that the API server is ready', async () => {
      if (!etcd.running() || !api.running())
        throw new Error(`it ended: ${etcd.err().slice(-2000)} ${api.err().slice(-4000)}`)
      // `ok`, which is no JSON.
      const asked = await admin.ask('GET', '/api/v1/namespaces/default').catch(() => null)
      return asked?.status === 200
    })
  await isReady()
  const must = async (path: string, body: Json) => {
    const { status, body: answer } = await admin.ask('POST', path, body)
    if (status !== 201 && status !== 409) throw new Error(`${path}: ${status} ${JSON.stringify(answer)}`)
    return answer
  }
  let applied = 0
  const access = [`--server=${server}`, `--certificate-authority=${join(folder, 'admin/ca.crt')}`, `--token=${ADMIN}`]
  const apart = { KUBECONFIG: '/dev/null', HOME: folder }
  const kubectl: Cluster['kubectl'] = (...args) => run(kubectlBinary, [...access, ...args], apart)
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server, 'certificate-authority': join(folder, 'admin/ca.crt') } }],
    users: [{ name: 'admin', user: { token: ADMIN } }],
    contexts: [{ name: 'admin', context: { cluster: 'c', user: 'admin' } }],
    'current-context': 'admin',
  }
  const cluster: Cluster = {
    server,
    admin,
    kubeconfig: file('kubeconfig', JSON.stringify(config)),
    kubectl,
    following: (...args) => startChild(kubectlBinary, [...access, ...args], apart),
    async serviceAccount(namespace, name) {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`
      const answer = await must(path, { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} })
      return accountFolder(`${namespace}-${name}`, (answer.status as { token: string }).token, namespace)
    },
    async makeNamespace(name, labels = {}) {
      await must('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
      // A controller would make it.
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } }
      await must(`/api/v1/namespaces/${name}/serviceaccounts`, account)
    },
    async apply(...objects) {
      const list = { apiVersion: 'v1', kind: 'List', items: objects }
      await cluster.must('apply', '-f', file(`applied-${applied++}.json`, JSON.stringify(list)))
    },
    async must(...args) {
      const { code, out, err } = await kubectl(...args)
      if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${err}`)
      return out
    },
    async killServer() {
      api.signal('SIGKILL')
      await api.ended
    },
    async startServer() {
      api = startApi()
      await isReady()
    },
    async compact() {
      const ask = async (path: string, body: object) => {
        const answer = await fetch(`${etcdAt}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) })
        return (await answer.json()) as { header: { revision: string } }
      }
      const { header } = await ask('range', { key: Buffer.from('a').toString('base64') })
      await ask('compaction', { revision: header.revision, physical: true })
    },
    async [Symbol.asyncDispose]() {
      admin.close()
      api.signal('SIGKILL')
      await api.ended
      etcd.signal('SIGKILL')
      await etcd.ended
    },
  }
  await cluster.makeNamespace('default')
  return cluster
}
