import { formatAddress } from './address.ts'
import { formatDuration } from './duration.ts'
import { own } from './own.ts'
import { isSecretName, withoutUserinfo } from './secret.ts'
import { formatSize } from './size.ts'
import type {
  AgentSpec,
  Bootstrap,
  ConsulSpec,
  DiscoverySpec,
  EndpointSpec,
  KubernetesSpec,
  RouteSpec,
  ServiceSpec,
  Snapshot,
} from './snapshot.ts'

/** Further lines about one thing are counted, not listed. */
const maxListed = 10

/**
 * The differences, a line each, for the log of a reload. Empty: none. The lines never contain values that requests are
 * matched against.
 */
export function diffSnapshots(before: Snapshot, after: Snapshot): string[] {
  return [
    ...diffFields('', ofTheWhole(before), ofTheWhole(after)),
    ...diffNamed('listener', byName(before.listeners), byName(after.listeners), (name, a, b) =>
      diffFields(`listener ${name}: `, { ...a }, { ...b }),
    ),
    ...diffNamed(
      'service',
      new Map(Object.entries(before.services)),
      new Map(Object.entries(after.services)),
      diffService,
    ),
    ...diffNamed('application', byName(before.applications), byName(after.applications), (name, a, b) =>
      diffFields(`application ${name}: `, { ...a }, { ...b }),
    ),
    ...diffFields('access log: ', { ...before.accessLog }, { ...after.accessLog }),
    ...diffFields('metrics: ', { ...before.metrics }, { ...after.metrics }),
    ...diffFields('flights: ', { ...before.flights }, { ...after.flights }),
    ...diffFields('traces: ', { ...before.traces }, { ...after.traces }),
    ...diffFields('drain: ', { ...before.drain }, { ...after.drain }),
  ]
}

/** The fields of the snapshot that belong to none of its parts. */
function ofTheWhole({ service, zone, onDemandMs, clusterDomain, buffersBytes }: Snapshot): Fields {
  return { service, zone: zone === '' ? null : zone, onDemandMs, clusterDomain, buffersBytes }
}

/** The differences in the sources of endpoints. */
export function diffDiscovery(before: DiscoverySpec, after: DiscoverySpec): string[] {
  const differ = (kind: string, a: readonly Source[], b: readonly Source[]) =>
    diffNamed(kind, byService(a), byService(b), (service, one, other) =>
      diffFields(`${kind} ${service}: `, { ...one }, { ...other }),
    )
  return [
    ...diffFields('', ofDiscovery(before), ofDiscovery(after)),
    ...differ('file of', before.files, after.files),
    ...differ('DNS name of', before.dns, after.dns),
    ...differ('service', before.consul?.services ?? [], after.consul?.services ?? []),
    ...differ('Service', before.kubernetes?.services ?? [], after.kubernetes?.services ?? []),
  ].map(line => `discovery: ${line}`)
}

interface Source {
  readonly service: string
}

function byService(all: readonly Source[]): Map<string, Source> {
  return new Map(all.map(source => [source.service, source]))
}

/** The settings that belong to no single service, as the document names them. */
function ofDiscovery({ massRemovalPercent, startTimeoutMs, consul, kubernetes }: DiscoverySpec): Fields {
  return {
    massRemoval: massRemovalPercent,
    startTimeoutMs,
    consul: consul === null ? null : ofConsul(consul),
    kubernetes: kubernetes === null ? null : ofKubernetes(kubernetes),
  }
}

function ofConsul({ services: _, onDemand, addressKind: addresses, ...rest }: ConsulSpec): Fields {
  return { ...rest, onDemand: onDemand !== null, addresses }
}

function ofKubernetes({ services: _, onDemand, ...rest }: KubernetesSpec): Fields {
  return { ...rest, onDemand: onDemand !== null }
}

/** The agent is another one; empty: it is the same. */
export function diffAgents(before: AgentSpec, after: AgentSpec): string[] {
  const words = (agent: AgentSpec) => ({ agent: agent.kind === 'unix' ? `unix:${agent.path}` : agent.kind })
  return diffFields('', words(before), words(after))
}

/** The differences that need a restart; empty: none. */
export function diffBootstraps(before: Bootstrap, after: Bootstrap): string[] {
  const port = (address: Bootstrap['admin']) => (address === null ? 'off' : formatAddress(address))
  const dns = (spec: Bootstrap['dns']) =>
    spec === null ? null : { ...spec, listen: port(spec.listen), servers: spec.servers.map(formatAddress) }
  const words = ({ admin, metrics, dns: nameServer, ...rest }: Bootstrap) => ({
    ...rest,
    admin: port(admin),
    metrics: port(metrics),
    dns: dns(nameServer),
  })
  return diffFields('', words(before), words(after)).map(line => `${line} (needs a restart)`)
}

function byName<Named extends { readonly name: string }>(all: readonly Named[]): Map<string, Named> {
  return new Map(all.map(each => [each.name, each]))
}

function diffNamed<Value>(
  what: string,
  before: ReadonlyMap<string, Value>,
  after: ReadonlyMap<string, Value>,
  differ: (name: string, before: Value, after: Value) => string[],
): string[] {
  const lines: string[] = []
  for (const name of before.keys()) if (!after.has(name)) lines.push(`${what} ${name} removed`)
  for (const [name, value] of after) {
    const earlier = before.get(name)
    if (earlier === undefined) lines.push(`${what} ${name} added`)
    else lines.push(...differ(name, earlier, value))
  }
  return lines
}

function diffService(name: string, before: ServiceSpec, after: ServiceSpec): string[] {
  const settings = ({ endpoints: _endpoints, routes: _routes, subsets: _subsets, ...rest }: ServiceSpec) => rest
  const lines = [
    ...diffFields('', settings(before), settings(after)),
    ...few(
      'endpoint',
      diffNamed('endpoint', byAddress(before.endpoints), byAddress(after.endpoints), (address, a, b) =>
        diffFields(`endpoint ${address}: `, { ...a }, { ...b }),
      ),
    ),
    ...diffNamed(
      'subset',
      new Map(Object.entries(before.subsets)),
      new Map(Object.entries(after.subsets)),
      (subset, a, b) => (same(a, b) ? [] : [`subset ${subset} changed`]),
    ),
    ...few('route', diffRoutes(before.routes, after.routes)),
  ]
  return lines.map(line => `service ${name}: ${line}`)
}

function byAddress(endpoints: readonly EndpointSpec[]): Map<string, EndpointSpec> {
  return new Map(endpoints.map(endpoint => [formatAddress(endpoint), endpoint]))
}

/** Several routes may have one name, so each is known by its name and its number among those. */
function diffRoutes(before: readonly RouteSpec[], after: readonly RouteSpec[]): string[] {
  const named = (routes: readonly RouteSpec[]): Map<string, RouteSpec> => {
    const counts = new Map<string, number>()
    return new Map(
      routes.map(route => {
        const count = (counts.get(route.name) ?? 0) + 1
        counts.set(route.name, count)
        return [count === 1 ? route.name : `${route.name} (number ${count})`, route]
      }),
    )
  }
  const [earlier, later] = [named(before), named(after)]
  const lines = diffNamed('route', earlier, later, (name, a, b) => [
    ...(same(a.match, b.match) ? [] : [`route ${name}: match changed`]),
    ...(same(a.to, b.to) ? [] : [`route ${name}: ${destinations(a)} -> ${destinations(b)}`]),
    ...(same(a.rewrite, b.rewrite) ? [] : [`route ${name}: rewrite changed`]),
    ...(same(a.headers, b.headers) ? [] : [`route ${name}: headers changed`]),
    ...(same(a.priority, b.priority) ? [] : [`route ${name}: priority changed`]),
    ...(same(a.fallback, b.fallback) ? [] : [`route ${name}: fallback changed`]),
    ...(same(a.timeouts, b.timeouts)
      ? []
      : diffFields(`route ${name}: `, { timeouts: { ...a.timeouts } }, { timeouts: { ...b.timeouts } })),
    ...(same(a.retries, b.retries)
      ? []
      : diffFields(`route ${name}: `, { retries: { ...a.retries } }, { retries: { ...b.retries } })),
  ])
  const kept = (names: Iterable<string>, others: ReadonlyMap<string, unknown>) =>
    [...names].filter(name => others.has(name))
  if (!same(kept(earlier.keys(), later), kept(later.keys(), earlier))) lines.push('order of the routes changed')
  return lines
}

function destinations({ to }: RouteSpec): string {
  return to
    .map(({ service, subset, weight }) => `${subset === null ? service : `${service}/${subset}`} ${weight}`)
    .join(' + ')
}

function few(what: string, lines: string[]): string[] {
  return lines.length <= maxListed
    ? lines
    : [...lines.slice(0, maxListed - 1), `${lines.length - maxListed + 1} more changes of its ${what}s`]
}

type Fields = Readonly<Record<string, unknown>>

function diffFields(prefix: string, before: Fields, after: Fields): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap(key => {
    const [a, b] = [own(before, key) ?? null, own(after, key) ?? null]
    if (same(a, b)) return []
    // Never as a whole: a map may hold a secret.
    if (isFields(a) || isFields(b)) return diffFields(`${prefix}${key}.`, isFields(a) ? a : {}, isFields(b) ? b : {})
    if (isSecretName(key)) return [`${prefix}${key} changed`]
    return [`${prefix}${key.replace(/(Ms|Bytes)$/, '')} ${words(key, a)} -> ${words(key, b)}`]
  })
}

function words(key: string, value: unknown): string {
  if (value === null) return 'none'
  if (typeof value === 'number' && key.endsWith('Ms')) return formatDuration(value)
  if (typeof value === 'number' && key.endsWith('Bytes')) return formatSize(value)
  if (Array.isArray(value))
    return `[${value.map(item => (isFields(item) ? JSON.stringify(item) : String(item))).join(', ')}]`
  return withoutUserinfo(String(value))
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function same(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b)
}
