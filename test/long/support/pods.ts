import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Json, mapOf, mapsOf } from '../../../inject/shape.ts'
import { type Child, node, run, temporaryFolder } from '../../integration/support/child.ts'
import { outrigger } from '../../integration/support/proxy.ts'
import { until } from '../../integration/support/until.ts'
import { IMAGE } from './image.ts'
import { type KubernetesNode, NODE } from './node.ts'

/** Pods as their users write them, injected by `outrigger inject`, that run on a real node. */

export interface PodOptions {
  readonly name: string
  readonly namespace?: string
  /** The name of the pod where it is not said. */
  readonly service?: string
  readonly annotations?: Readonly<Record<string, string>>
  /** Of the application, which is test/long/support/pod-application.cjs. */
  readonly env?: Readonly<Record<string, string>>
  /** More of the application's container. */
  readonly container?: Json
  /** More of the spec. */
  readonly spec?: Json
  /** Between injection and creation. */
  readonly edit?: (pod: Json) => Json
  /** A webhook is to do it. */
  readonly uninjected?: true
}

export interface Pod {
  readonly name: string
  object(): Promise<Json>
  /** `outrigger`, `app` or another of its containers. */
  container(name: string): Promise<ContainerState>
  ip(): Promise<string>
  /** Milliseconds since its creation. */
  ready(): Promise<number>
  logs(container: string): Promise<string>
  /** What a container prints from here on, also while the pod ends. */
  follow(container: string): Child
  execute(container: string, ...command: readonly string[]): Promise<{ code: number | null; out: string; err: string }>
  /** Of the first process of a container, on this machine. */
  pid(container: string): Promise<number>
  annotate(name: string, value: string): Promise<void>
  /** Its end begins. */
  remove(): Promise<void>
  gone(): Promise<void>
}

export interface ContainerState {
  readonly restarts: number
  readonly isReady: boolean
  readonly isRunning: boolean
  /** Of the present or the last run that has ended; null: none has. */
  readonly ended: { readonly code: number; readonly reason: string; readonly message: string } | null
}

const application = readFileSync(join(import.meta.dirname, 'pod-application.cjs'), 'utf8')

/** Of containers that have to pass the Pod Security level *restricted*. */
const restricted: Json = {
  runAsNonRoot: true,
  runAsUser: 1000,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
}

export function podOf(options: PodOptions): Json {
  const { name, service = name, annotations = {}, env = {}, container = {}, spec = {} } = options
  const app = {
    name: 'app',
    image: IMAGE,
    command: ['node', '-e', application],
    env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
    ports: [{ containerPort: 8080, name: 'http' }],
    securityContext: restricted,
    readinessProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 },
    ...container,
  }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: service }, annotations },
    spec: {
      nodeName: NODE,
      dnsPolicy: 'Default',
      enableServiceLinks: false,
      automountServiceAccountToken: false,
      containers: [app],
      ...spec,
    },
  }
}

export async function createPod(where: KubernetesNode, options: PodOptions): Promise<Pod> {
  const { cluster } = where
  const { name, namespace = 'default', edit = pod => pod } = options
  const own = podOf(options)
  const whole = edit(options.uninjected === true ? own : await injected(own))
  const { status, body } = await cluster.admin.ask('POST', `/api/v1/namespaces/${namespace}/pods`, whole)
  if (status !== 201) throw new Error(`${name}: ${JSON.stringify(body)}`)
  const begun = performance.now()
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`
  const object = async () => (await cluster.admin.ask('GET', path)).body
  const kubectl = (...args: string[]) => cluster.kubectl('-n', namespace, ...args)
  const statusOf = async (container: string) => {
    const { containerStatuses, initContainerStatuses } = mapOf((await object()).status)
    return mapsOf([...mapsOf(initContainerStatuses), ...mapsOf(containerStatuses)]).find(
      each => each.name === container,
    )
  }
  const done = async (...args: string[]) => {
    const { code, out, err } = await kubectl(...args)
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${err}`)
    return out
  }
  const pod: Pod = {
    name,
    object,
    async container(container) {
      const { restartCount = 0, ready = false, state, lastState } = (await statusOf(container)) ?? {}
      const ended = mapOf(state).terminated ?? mapOf(lastState).terminated
      const { exitCode, reason, message } = mapOf(ended)
      return {
        restarts: Number(restartCount),
        isReady: ready === true,
        isRunning: mapOf(state).running !== undefined,
        ended:
          ended === undefined
            ? null
            : { code: Number(exitCode), reason: String(reason ?? ''), message: String(message ?? '') },
      }
    },
    ip: () => until(`the address of ${name}`, async () => mapOf((await object()).status).podIP as string | undefined),
    async ready() {
      await until(`that ${name} is ready`, async () =>
        mapsOf(mapOf((await object()).status).conditions).some(
          ({ type, status: is }) => type === 'Ready' && is === 'True',
        ),
      ).catch(async (error: Error) => {
        throw new Error(
          `${error.message}: ${(await kubectl('describe', 'pod', name)).out} ${await pod.logs('outrigger')}`,
        )
      })
      return performance.now() - begun
    },
    logs: async container => (await kubectl('logs', name, '-c', container)).out,
    follow: container => cluster.following('-n', namespace, 'logs', '-f', name, '-c', container),
    execute: (container, ...command) => kubectl('exec', name, '-c', container, '--', ...command),
    async pid(container) {
      const id = String((await statusOf(container))?.containerID ?? '').replace('containerd://', '')
      return firstProcess(id)
    },
    annotate: async (key, value) => void (await done('annotate', 'pod', name, `${key}=${value}`, '--overwrite')),
    remove: async () => void (await done('delete', 'pod', name, '--wait=false')),
    gone: async () =>
      void (await until(`that ${name} is gone`, async () => (await cluster.admin.ask('GET', path)).status === 404)),
  }
  return pod
}

async function injected(pod: Json): Promise<Json> {
  const file = join(temporaryFolder(), 'pod.json')
  writeFileSync(file, JSON.stringify(pod))
  const { code, out, err } = await run(node, [outrigger, 'inject', file, '--image', IMAGE])
  if (code !== 0) throw new Error(err)
  return JSON.parse(out) as Json
}

/** The process that is number 1 in the container with this id. */
function firstProcess(id: string): number {
  const found = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .find(
      pid =>
        id !== '' && textOf(`/proc/${pid}/cgroup`).includes(id) && /^NSpid:.*\t1$/m.test(textOf(`/proc/${pid}/status`)),
    )
  if (found === undefined) throw new Error(`no process is in the container ${id}`)
  return Number(found)
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** When each line was written: those of an application, and the JSON lines of a sidecar. */
export function timeOf(log: string, words: string | RegExp): number {
  const line = log.split('\n').find(each => (typeof words === 'string' ? each.includes(words) : words.test(each)))
  const time = /\d{4}-\d\d-\d\dT[\d:.]+Z/.exec(line ?? '')?.[0]
  if (time === undefined) throw new Error(`no line has ${String(words)}: ${log}`)
  return Date.parse(time)
}
