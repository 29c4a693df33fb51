import { usualPorts } from '../mesh-config/usual-ports.ts'
import { PREFIX } from './names.ts'
import {
  anyText,
  cidr,
  cpu,
  destination,
  inboundPort,
  listOf,
  matching,
  memory,
  oneOf,
  ownPort,
  portProtocol,
  portRange,
  type Read,
  wholeNumber,
} from './readers.ts'

/**
 * Every annotation of a pod that injection knows: the one source of its checks, its settings and its table in
 * docs/kubernetes.md.
 */

interface Rule<Value> {
  /** For the table: which values there are, and what holds without the annotation. */
  readonly values: string
  readonly usual: string
  readonly what: string
  readonly read: Read<Value>
}

const rule = <Value>(each: Rule<Value>): Rule<Value> => each

const LEAST_MEMORY = 96 * 1024 ** 2
export const logLevels = ['debug', 'info', 'warn', 'error', 'off'] as const
const none: Read<'none'> = text => (text === 'none' ? { value: 'none' } : { wrong: '' })

function either<One, Other>(one: Read<One>, other: Read<Other>): Read<One | Other> {
  return text => {
    const first = one(text)
    return 'value' in first ? first : other(text)
  }
}

export const annotations = {
  inject: rule({
    values: '`enabled`, `disabled`',
    usual: 'what the namespace says',
    what: 'Also a label, which is what the webhook is called by. `disabled` leaves the pod as it is.',
    read: oneOf('enabled', 'disabled'),
  }),
  'sidecar-mode': rule({
    values: '`native`, `classic`',
    usual: '`native`',
    what: 'A native sidecar is an init container that goes on running (Kubernetes 1.29): it starts before and ends after the application, and Jobs complete. `classic` is a container beside the others.',
    read: oneOf('native', 'classic'),
  }),
  service: rule({
    values: 'a name',
    usual: 'the label `app.kubernetes.io/name`, `app` or `k8s-app`; else the name of the workload',
    what: 'The service of the pod, as other sidecars call it.',
    read: matching(
      /^[a-z0-9]([a-z0-9_.-]{0,251}[a-z0-9])?$/,
      'a name of a service',
      'small letters, digits, - _ and . such as orders or orders-v2',
    ),
  }),
  sidecar: rule({
    values: 'a sidecar file',
    usual: 'made from the pod',
    what: 'The whole file of the sidecar. A pod that has this annotation before injection keeps it, and nothing is made from its ports.',
    read: anyText,
  }),
  config: rule({
    values: 'a part of a sidecar file',
    usual: 'nothing',
    what: 'Laid over the file that is made from the pod: maps are merged, lists and values replaced.',
    read: anyText,
  }),
  intercept: rule({
    values: '`enabled`, `outbound`, `disabled`',
    usual: '`disabled`',
    what: 'Connections are redirected to the sidecar without the application knowing: both ways, or only its own. An init container with NET_ADMIN sets the rules.',
    read: oneOf('enabled', 'outbound', 'disabled'),
  }),
  'pass-through': rule({
    values: '`allow`, `deny`, destinations',
    usual: '`allow`',
    what: 'With interception: whether connections to what is no service of the mesh go on to where they were going; or only those to networks (`10.0.0.0/8`), addresses (`10.1.2.3:5432`) and names (`*.example.com:443`).',
    read: either(oneOf('allow', 'deny'), listOf(destination)),
  }),
  dns: rule({
    values: '`enabled`, `disabled`',
    usual: '`disabled`',
    what: 'With interception: the sidecar answers DNS queries of the application for services, and passes the others on.',
    read: oneOf('enabled', 'disabled'),
  }),
  'skip-inbound-ports': rule({
    values: 'ports, `8000-8010`',
    usual: 'none',
    what: 'With interception: connections to these ports go to the application directly.',
    read: listOf(portRange),
  }),
  'skip-inbound-cidrs': rule({
    values: 'address ranges, `10.0.0.0/8`',
    usual: 'none',
    what: 'With interception: connections from these addresses go to the application directly.',
    read: listOf(cidr),
  }),
  'only-inbound-ports': rule({
    values: 'ports, `8000-8010`',
    usual: 'none',
    what: 'With interception: connections to these ports are redirected, and no others.',
    read: listOf(portRange),
  }),
  'skip-outbound-ports': rule({
    values: 'ports, `8000-8010`',
    usual: 'none',
    what: 'With interception: connections of the application to these ports go past the sidecar.',
    read: listOf(portRange),
  }),
  'skip-outbound-cidrs': rule({
    values: 'address ranges, `10.0.0.0/8`',
    usual: 'none',
    what: 'With interception: connections of the application to these addresses go past the sidecar.',
    read: listOf(cidr),
  }),
  'only-outbound-ports': rule({
    values: 'ports, `8000-8010`',
    usual: 'none',
    what: 'With interception: connections of the application to these ports are redirected, and no others.',
    read: listOf(portRange),
  }),
  'only-outbound-cidrs': rule({
    values: 'address ranges, `10.0.0.0/8`',
    usual: 'none',
    what: 'With interception: connections of the application to these addresses are redirected, and no others.',
    read: listOf(cidr),
  }),
  'skip-users': rule({
    values: 'user ids',
    usual: 'none',
    what: 'With interception: connections of these users go past the sidecar. Those of the sidecar always do.',
    read: listOf(wholeNumber(0, 2 ** 31 - 1)),
  }),
  'inbound-ports': rule({
    values: '`8080`, `20080:8080`, `none`',
    usual: 'each TCP `containerPort`',
    what: 'Without interception: the ports of the application that get a listener of the sidecar, each with the port of the listener before it where that matters.',
    read: either(none, listOf(inboundPort)),
  }),
  protocols: rule({
    values: '`8080=grpc`; `http`, `http2`, `grpc`, `tcp`',
    usual:
      'by the name of the port: `http`, `grpc`, `tcp` and the like, or one of them with a dash and more behind it; else found out from the first bytes',
    what: 'Without interception: what the application speaks on a port.',
    read: listOf(portProtocol),
  }),
  'outbound-port': rule({
    values: 'a port from 1024 up',
    usual: `${usualPorts.outbound}`,
    what: 'Where the sidecar takes outbound connections.',
    read: ownPort,
  }),
  'inbound-port': rule({
    values: 'a port from 1024 up',
    usual: `20000; ${usualPorts.inbound} with interception`,
    what: 'Where the sidecar takes inbound connections. Without interception: of the first port of the application; the others follow.',
    read: ownPort,
  }),
  'probes-port': rule({
    values: 'a port from 1024 up',
    usual: `${usualPorts.probes}`,
    what: 'Where the sidecar answers probes of the kubelet and scrapes of Prometheus.',
    read: ownPort,
  }),
  'admin-port': rule({
    values: 'a port from 1024 up',
    usual: '15000',
    what: 'The admin port of the sidecar, on loopback.',
    read: ownPort,
  }),
  'dns-port': rule({
    values: 'a port from 1024 up',
    usual: `${usualPorts.dns}`,
    what: 'With `dns`: where the sidecar takes DNS queries.',
    read: ownPort,
  }),
  'listen-address': rule({
    values: '`0.0.0.0`, `::`',
    usual: '`0.0.0.0`',
    what: 'On which addresses the sidecar listens; `::` for clusters with IPv6.',
    read: oneOf('0.0.0.0', '::'),
  }),
  'run-as-user': rule({
    values: 'a user id',
    usual: '1337',
    what: 'The user and the group of the sidecar, whose connections are never redirected. No container of the application may have it.',
    read: wholeNumber(1, 2 ** 31 - 1),
  }),
  agent: rule({
    values: '`node`, `off`, `unix:/path`',
    usual: '`off`, or what `--agent` says',
    what: 'The agent that the sidecar follows. `node`: that of the node, by its socket in /run/outrigger, which a hostPath volume shows; the Pod Security level *restricted* does not allow such volumes.',
    read: matching(/^(node|off|unix:\/[^\0\s]{1,106})$/, 'an agent', 'node, off or unix:/path/to/agent.sock'),
  }),
  'log-level': rule({
    values: logLevels.map(level => `\`${level}\``).join(', '),
    usual: '`info`',
    what: 'How much the sidecar logs of itself.',
    read: oneOf(...logLevels),
  }),
  image: rule({
    values: 'an image',
    usual: 'that of the injector',
    what: 'The image of the sidecar.',
    read: matching(/^[a-z0-9][\w./:@-]{0,510}$/, 'an image', 'registry.example.com/outrigger:1.2.3'),
  }),
  'image-pull-policy': rule({
    values: '`Always`, `IfNotPresent`, `Never`',
    usual: 'what Kubernetes takes for the tag',
    what: 'When the image is pulled.',
    read: oneOf('Always', 'IfNotPresent', 'Never'),
  }),
  'cpu-request': rule({ values: '`20m`', usual: '`20m`', what: 'CPU that the sidecar asks for.', read: cpu }),
  'cpu-limit': rule({
    values: '`500m`',
    usual: 'none, because a limit stops a proxy for tens of milliseconds at a time',
    what: 'The most CPU that the sidecar gets.',
    read: cpu,
  }),
  'memory-request': rule({
    values: '`64Mi`',
    usual: '`64Mi`',
    what: 'Memory that the sidecar asks for.',
    read: memory(1, 'write 64Mi'),
  }),
  'memory-limit': rule({
    values: '`512Mi`, from 96Mi up',
    usual: '`512Mi`',
    what: 'The most memory of the sidecar. Half of it is for bodies (`buffers` in its file).',
    read: memory(LEAST_MEMORY, 'a sidecar needs 96Mi to have room for bodies of requests'),
  }),
  injected: rule({
    values: 'JSON',
    usual: 'written by injection',
    what: 'What was added to the pod, and by which version: `outrigger inject --undo` and the second call of the webhook read it.',
    read: anyText,
  }),
} as const

/** The annotations that `outrigger intercept up` has as options, by the same names. */
export const redirecting = {
  inbound: ['skip-inbound-ports', 'skip-inbound-cidrs', 'only-inbound-ports'],
  outbound: ['skip-outbound-ports', 'skip-outbound-cidrs', 'only-outbound-ports', 'only-outbound-cidrs', 'skip-users'],
} as const satisfies Record<string, readonly (keyof typeof annotations)[]>

export type AnnotationName = keyof typeof annotations
type ValueOf<Each> = Each extends Rule<infer Value> ? Value : never
/** What the annotations of a pod say; null: nothing. */
export type Asked = { readonly [Name in AnnotationName]: ValueOf<(typeof annotations)[Name]> | null }

/** For the page: a row for each annotation. */
export function annotationTable(): string {
  const rows = Object.entries(annotations).map(
    ([name, { values, usual, what }]) => `| \`${PREFIX}${name}\` | ${values} | ${usual} | ${what} |`,
  )
  return ['| annotation | values | without it | what |', '|---|---|---|---|', ...rows].join('\n')
}
