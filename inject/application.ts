import type { InboundPort, Protocol } from './readers.ts'
import type { Settings } from './settings.ts'
import { type Json, mapOf, mapsOf, own, textOf } from './shape.ts'

/** What a pod says of its application: its ports, its name, its users. */

export interface ApplicationPort {
  readonly port: number
  readonly name: string | null
  readonly container: string
  readonly isTcp: boolean
}

export interface InboundListener {
  readonly listen: number
  readonly port: number
  /** Null: found out from the first bytes. */
  readonly protocol: Protocol | null
  /** The name of the listener's port, for `targetPort` of a Service. */
  readonly name: string
}

export function portsOf(spec: Json): ApplicationPort[] {
  return [...mapsOf(spec.containers), ...mapsOf(spec.initContainers)].flatMap(container =>
    mapsOf(container.ports).flatMap(({ containerPort, name, protocol }) =>
      Number.isInteger(containerPort)
        ? [
            {
              port: containerPort as number,
              name: textOf(name),
              container: textOf(container.name) ?? '',
              isTcp: protocol === undefined || protocol === 'TCP',
            },
          ]
        : [],
    ),
  )
}

/** The listeners in front of the application, where its connections are not intercepted. */
export function inboundListeners(ports: readonly ApplicationPort[], settings: Settings): InboundListener[] {
  const { asked } = settings
  const wanted = asked['inbound-ports']
  if (wanted === 'none' || settings.intercept.inbound) return []
  const tcp = ports.filter(({ isTcp }) => isTcp)
  const declared = [...new Set(tcp.map(({ port }) => port))].map(port => ({ port, listen: null }))
  const pairs: readonly InboundPort[] = wanted ?? declared
  const taken = new Set([
    ...ports.map(({ port }) => port),
    ...pairs.flatMap(({ listen }) => (listen === null ? [] : [listen])),
    ...Object.values({ ...settings.ports, inbound: 0 }),
  ])
  let next = settings.ports.inbound
  const used = new Set<string>()
  return pairs.map(({ listen, port }) => {
    while (listen === null && taken.has(next)) next++
    const own = tcp.find(each => each.port === port)?.name ?? null
    // Two containers may have a port of the same name.
    const name = used.has(portName(own, port)) ? portName(null, port) : portName(own, port)
    used.add(name)
    return {
      listen: listen ?? next++,
      port,
      protocol: asked.protocols?.find(each => each.port === port)?.protocol ?? protocolOf(own),
      name,
    }
  })
}

/** A name of a port has 15 characters at most. */
function portName(own: string | null, port: number): string {
  return own === null || own.length > 10 ? `mesh-${port}` : `mesh-${own}`
}

/** By the convention of other meshes: the protocol, or the protocol and a dash, begin the name. */
const byName: readonly (readonly [RegExp, Protocol])[] = [
  [/^grpc-web(-|$)|^http(-|$)/, 'http'],
  [/^grpc(-|$)/, 'grpc'],
  [/^(http2|h2c)(-|$)/, 'http2'],
  [/^(tcp|tls|https|mysql|postgres(ql)?|redis|mongo(db)?|amqp|kafka|mqtt|ldap|smtp|ssh|dns-tcp)(-|$)/, 'tcp'],
]

function protocolOf(name: string | null): Protocol | null {
  return name === null ? null : (byName.find(([pattern]) => pattern.test(name))?.[1] ?? null)
}

const nameLabels = ['app.kubernetes.io/name', 'app', 'k8s-app']
const SERVICE = /^[a-z0-9]([a-z0-9_.-]*[a-z0-9])?$/

/** Null: nothing names it. `workload`: the name of the Deployment or the like. */
export function serviceOf(labels: Json, asked: string | null, workload: string | null): string | null {
  const names = [asked, ...nameLabels.map(label => textOf(own(labels, label))), workload]
  return names.find((name): name is string => name !== null && SERVICE.test(name)) ?? null
}

/** The name of the workload that a pod comes from, as far as the pod tells: `orders-6f7d8c5b9-` is of `orders`. */
export function workloadOf(metadata: Json): string | null {
  const owner = mapsOf(metadata.ownerReferences)[0]
  const name = textOf(owner?.name) ?? textOf(metadata.name) ?? textOf(metadata.generateName)?.replace(/-$/, '') ?? null
  if (name === null || owner === undefined) return name
  const hash = textOf(own(mapOf(metadata.labels), 'pod-template-hash'))
  if (hash !== null && name.endsWith(`-${hash}`)) return name.slice(0, -hash.length - 1)
  // A CronJob names its Jobs by the minute.
  return owner.kind === 'Job' ? name.replace(/-\d{8,}$/, '') : name
}

/** The first container that runs as this user, or null. */
export function containerOfUser(spec: Json, user: number): string | null {
  const ofPod = mapOf(spec.securityContext).runAsUser
  const found = mapsOf(spec.containers).find(each => (mapOf(each.securityContext).runAsUser ?? ofPod) === user)
  return found === undefined ? null : (textOf(found.name) ?? '')
}
