import { redirecting } from './annotations.ts'
import type { InboundListener } from './application.ts'
import { ACCOUNT_FOLDER, AGENT_FOLDER, annotation, container, FILE_FOLDER, STATE_FOLDER, volume } from './names.ts'
import { hasDns, type Settings } from './settings.ts'
import type { Json } from './shape.ts'

/** What injection adds to the spec of a pod. */

/** Why a container ended is in what `kubectl describe` shows, not only in its log. */
const lastWords = { terminationMessagePolicy: 'FallbackToLogsOnError' } as const

const fileMount = { name: volume.file, mountPath: FILE_FOLDER, readOnly: true }
const FILE = `${FILE_FOLDER}/sidecar.yaml`

/** It passes the Pod Security level *restricted*. `asksCluster`: it reads the API server. */
export function sidecarContainer(
  settings: Settings,
  listeners: readonly InboundListener[],
  asksCluster: boolean,
): Json {
  const { asked, mode, ports, user, options } = settings
  const isNative = mode === 'native'
  return {
    name: container.sidecar,
    ...imageOf(settings, options.image),
    ...(isNative ? { restartPolicy: 'Always' } : {}),
    args: ['proxy', '-c', FILE],
    env: environmentOf(settings),
    ports: [
      { name: 'outrigger-stats', containerPort: ports.probes, protocol: 'TCP' },
      ...listeners.map(({ name, listen }) => ({ name, containerPort: listen, protocol: 'TCP' })),
    ],
    lifecycle: isNative ? leaveEarly(ports.admin) : holdApplication(ports.admin),
    startupProbe: { httpGet: { path: '/ready', port: ports.probes }, periodSeconds: 1, failureThreshold: 120 },
    livenessProbe: { httpGet: { path: '/live', port: ports.probes }, periodSeconds: 10, timeoutSeconds: 2 },
    readinessProbe: { httpGet: { path: '/ready', port: ports.probes }, periodSeconds: 2, timeoutSeconds: 2 },
    resources: {
      requests: { cpu: asked['cpu-request'] ?? '20m', memory: asked['memory-request']?.text ?? '64Mi' },
      limits: {
        memory: asked['memory-limit']?.text ?? '512Mi',
        ...(asked['cpu-limit'] === null ? {} : { cpu: asked['cpu-limit'] }),
      },
    },
    ...lastWords,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: user,
      runAsGroup: user,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [
      fileMount,
      { name: volume.state, mountPath: STATE_FOLDER },
      ...(settings.agent === 'node' ? [{ name: volume.agent, mountPath: AGENT_FOLDER, readOnly: true }] : []),
      ...(asksCluster ? [{ name: volume.account, mountPath: ACCOUNT_FOLDER, readOnly: true }] : []),
    ],
  }
}

/**
 * The kubelet runs this hook when the pod begins to end, together with SIGTERM to the application; SIGTERM comes to a
 * native sidecar when the application has ended. A classic one gets it at once, which is the same moment.
 */
function leaveEarly(adminPort: number): Json {
  return { preStop: { exec: { command: ['outrigger', 'leave', '--admin', `127.0.0.1:${adminPort}`] } } }
}

/** A sidecar that is not ready by then has failed, and its container is started anew. */
const HOLD = '5m'

/** The kubelet starts containers one after the other, and waits for this hook before it starts the next. */
function holdApplication(adminPort: number): Json {
  const command = ['outrigger', 'ready', '--admin', `127.0.0.1:${adminPort}`, '--wait', HOLD]
  return { postStart: { exec: { command } } }
}

function imageOf({ asked }: Settings, usual: string): Json {
  const policy = asked['image-pull-policy']
  return { image: asked.image ?? usual, ...(policy === null ? {} : { imagePullPolicy: policy }) }
}

/** A sidecar file may name all of these, as `${HOST_IP}:8500`. */
export const podVariables: Readonly<Record<string, string>> = {
  POD_NAME: 'metadata.name',
  POD_NAMESPACE: 'metadata.namespace',
  POD_IP: 'status.podIP',
  NODE_NAME: 'spec.nodeName',
  HOST_IP: 'status.hostIP',
}

function environmentOf({ asked }: Settings): readonly Json[] {
  return [
    ...Object.entries(podVariables).map(([name, fieldPath]) => ({ name, valueFrom: { fieldRef: { fieldPath } } })),
    { name: 'OUTRIGGER_LOG_LEVEL', value: asked['log-level'] ?? 'info' },
    { name: 'STATE_DIRECTORY', value: STATE_FOLDER },
    { name: 'CACHE_DIRECTORY', value: STATE_FOLDER },
  ]
}

/** Sets the redirect rules of the pod, and ends. */
export function interceptContainer(settings: Settings): Json {
  const { asked, intercept, user, options } = settings
  const names = [...redirecting.outbound, ...(intercept.inbound ? redirecting.inbound : [])]
  return {
    name: container.intercept,
    ...imageOf(settings, options.image),
    args: [
      'intercept',
      'up',
      '-c',
      FILE,
      `--user=${user}`,
      `--group=${user}`,
      ...names.flatMap(name => (asked[name] === null ? [] : [`--${name}=${asked[name].join(',')}`])),
    ],
    env: environmentOf(settings),
    resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '128Mi' } },
    ...lastWords,
    securityContext: {
      runAsNonRoot: false,
      runAsUser: 0,
      runAsGroup: 0,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [fileMount],
  }
}

export function volumesOf({ agent }: Settings, asksCluster: boolean): readonly Json[] {
  const items = [{ path: 'sidecar.yaml', fieldRef: { fieldPath: `metadata.annotations['${annotation.file}']` } }]
  return [
    { name: volume.file, downwardAPI: { items } },
    { name: volume.state, emptyDir: { sizeLimit: '64Mi' } },
    ...(agent === 'node' ? [{ name: volume.agent, hostPath: { path: AGENT_FOLDER, type: 'DirectoryOrCreate' } }] : []),
    ...(asksCluster ? [{ name: volume.account, projected: { sources: accountOf } }] : []),
  ]
}

/** What Kubernetes mounts into containers by itself, unless the pod says `automountServiceAccountToken: false`. */
const accountOf: readonly Json[] = [
  { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
  { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
  { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
]

/** Ports of the sidecar, by what they are for. */
export function ownPorts(settings: Settings): readonly (readonly [annotation: string, port: number])[] {
  const { ports, intercept } = settings
  return [
    ['outbound-port', ports.outbound],
    ['probes-port', ports.probes],
    ['admin-port', ports.admin],
    ...(intercept.inbound ? ([['inbound-port', ports.inbound]] as const) : []),
    ...(hasDns(settings) ? ([['dns-port', ports.dns]] as const) : []),
  ]
}
