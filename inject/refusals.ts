import { redirecting } from './annotations.ts'
import type { ApplicationPort, InboundListener } from './application.ts'
import { PREFIX } from './names.ts'
import { ownPorts } from './parts.ts'
import type { Settings } from './settings.ts'
import { type Json, mapOf, mapsOf, own, textOf } from './shape.ts'

/** Why a pod is not injected, and what a user may want to know where it is. */

const otherSidecars: readonly (readonly [container: string, mesh: string, remedy: string])[] = [
  ['istio-proxy', 'Istio', 'set the label sidecar.istio.io/inject to "false"'],
  ['linkerd-proxy', 'Linkerd', 'set the annotation linkerd.io/inject to disabled'],
  ['consul-dataplane', 'Consul', 'set the annotation consul.hashicorp.com/connect-inject to "false"'],
  ['kuma-sidecar', 'Kuma', 'set the label kuma.io/sidecar-injection to disabled'],
]

/** Another mesh is in the pod, or will be as soon as it is created. Null: none. */
export function elsewhere(pod: Json): string | null {
  const spec = mapOf(pod.spec)
  const names = [...mapsOf(spec.containers), ...mapsOf(spec.initContainers)].map(({ name }) => name)
  const found = otherSidecars.find(([container]) => names.includes(container))
  if (found !== undefined)
    return `the pod has the sidecar of ${found[1]}, and two would take each other's connections: ${found[2]}, or ${PREFIX}inject to disabled`
  const { annotations, labels } = mapOf(pod.metadata)
  const says = (name: string) => textOf(own(mapOf(annotations), name)) ?? textOf(own(mapOf(labels), name))
  const asked = [
    says('sidecar.istio.io/inject') === 'true' ? 'sidecar.istio.io/inject' : null,
    says('linkerd.io/inject') === 'enabled' ? 'linkerd.io/inject' : null,
    says('consul.hashicorp.com/connect-inject') === 'true' ? 'consul.hashicorp.com/connect-inject' : null,
  ].find(name => name !== null)
  return asked === undefined
    ? null
    : `${asked} asks for the sidecar of another mesh, and two would take each other's connections: remove it, or set ${PREFIX}inject to disabled`
}

interface Unfit {
  readonly why: string
  /** The pod asks for what cannot be done; else it is no pod for a sidecar. */
  readonly isError: boolean
}

export function notFor(spec: Json, { intercept, asked }: Settings): Unfit | null {
  const system = mapOf(spec.os).name ?? own(mapOf(spec.nodeSelector), 'kubernetes.io/os')
  if (system === 'windows') return { why: 'Windows: the sidecar runs on Linux', isError: false }
  if (mapsOf(spec.containers).length === 0) return { why: 'it has no containers', isError: false }
  if (spec.hostNetwork !== true) return null
  if (intercept.outbound)
    return {
      why: `hostNetwork: ${PREFIX}intercept would redirect the connections of the whole node: remove the annotation`,
      isError: true,
    }
  return asked.inject === 'enabled'
    ? { why: `hostNetwork: the ports of the sidecar would be ports of the node: remove ${PREFIX}inject`, isError: true }
    : { why: 'hostNetwork: the ports of the sidecar would be ports of the node', isError: false }
}

export interface ClashFacts {
  readonly spec: Json
  readonly kind: string
  readonly ports: readonly ApplicationPort[]
  readonly listeners: readonly InboundListener[]
  readonly settings: Settings
  /** The container that runs as the user of the sidecar. */
  readonly sameUser: string | null
}

export function clashes({ kind, ports, listeners, settings, sameUser }: ClashFacts): string[] {
  const { asked, intercept, mode, user } = settings
  const errors: string[] = []
  const own = ownPorts(settings)
  for (const [name, port] of own) {
    const other = ports.find(each => each.isTcp && each.port === port)
    if (other !== undefined)
      errors.push(
        `containerPort ${port} of ${other.container} is a port of the sidecar: set ${PREFIX}${name} to another`,
      )
    const twin = own.find(([also, same]) => same === port && also > name)
    if (twin !== undefined) errors.push(`${PREFIX}${name} and ${PREFIX}${twin[0]} are both ${port}: choose another`)
  }
  for (const { listen, port } of listeners) {
    const holder = own.find(([, each]) => each === listen)?.[0]
    const isTaken =
      ports.some(each => each.port === listen) || listeners.some(each => each.listen === listen && each.port !== port)
    if (holder !== undefined || isTaken || listen > 65_535)
      errors.push(
        `${PREFIX}inbound-ports: ${listen}:${port}: ${listen} is taken${holder === undefined ? '' : ` by ${PREFIX}${holder}`}: choose another port before the colon`,
      )
  }
  if (intercept.outbound && sameUser !== null)
    errors.push(
      `${sameUser === '' ? 'a container' : sameUser} runs as user ${user}, whose connections are never redirected: set ${PREFIX}run-as-user to another`,
    )
  if (mode === 'classic' && (kind === 'Job' || kind === 'CronJob'))
    errors.push(
      `a ${kind} with a classic sidecar never completes, because nothing ends the sidecar: set ${PREFIX}sidecar-mode to native (Kubernetes 1.29)`,
    )
  const idle = [
    ...(intercept.outbound ? [] : ([...redirecting.outbound, 'pass-through', 'dns', 'dns-port'] as const)),
    ...(intercept.inbound ? [] : redirecting.inbound),
  ].filter(name => asked[name] !== null && asked[name] !== 'disabled')
  for (const name of idle)
    errors.push(`${PREFIX}${name} has an effect with interception only: set ${PREFIX}intercept to enabled`)
  if (intercept.inbound)
    for (const name of ['inbound-ports', 'protocols'] as const)
      if (asked[name] !== null)
        errors.push(`${PREFIX}${name} has no effect where all inbound connections are intercepted: remove it`)
  return errors
}

interface NoteFacts {
  readonly spec: Json
  readonly settings: Settings
  readonly listeners: readonly InboundListener[]
  readonly graceSeconds: number
  readonly hasDns: boolean
}

/** What works, and not as one might think. */
export function notes({ spec, settings, graceSeconds }: NoteFacts): string[] {
  const containers = mapsOf(spec.containers)
  const probes = containers.flatMap(each =>
    ['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap(name =>
      isMapWith(each[name], 'tcpSocket') ? [`${name} of ${String(each.name)}`] : [],
    ),
  )
  return [
    ...(settings.intercept.inbound && probes.length > 0
      ? [
          `${probes.join(', ')}: the sidecar accepts the connection of a tcpSocket probe, which then says nothing of the application: use httpGet or exec, or ${PREFIX}skip-inbound-ports`,
        ]
      : []),
    ...(graceSeconds < 5
      ? [`terminationGracePeriodSeconds of ${graceSeconds} leaves the sidecar hardly any time to drain`]
      : []),
  ]
}

function isMapWith(value: unknown, key: string): boolean {
  return Object.hasOwn(mapOf(value), key)
}
