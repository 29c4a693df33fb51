import { createHash } from 'node:crypto'
import { addressOf, formatAddress } from './address.ts'
import { compileBalancer, plainBalancer } from './compile-balancer.ts'
import { compileDiscovery, compileEndpoints, compileRegister, stateFolder } from './compile-discovery.ts'
import { durationMs } from './duration.ts'
import { connectName, connectService } from './host-name.ts'
import { own } from './own.ts'
import { type RoutePolicy, type ServicePolicy, serviceSchema, type ValuePolicy } from './service.ts'
import { endpointList, type ListenerDocument, type SidecarDocument } from './sidecar.ts'
import { sizeBytes } from './size.ts'
import type {
  AddressSpec,
  Bootstrap,
  Direction,
  DiscoverySpec,
  ListenerSpec,
  MatchSpec,
  RetrySpec,
  RouteSpec,
  ServiceSpec,
  ServiceTimeouts,
  Snapshot,
  ValueMatchSpec,
} from './snapshot.ts'

export interface Compiled {
  readonly bootstrap: Bootstrap
  readonly discovery: DiscoverySpec
  readonly snapshot: Snapshot
}

/**
 * A checked document, defaults filled in -> what the proxy runs on: deeply frozen, durations in milliseconds, sizes in
 * bytes.
 */
export function compile(document: SidecarDocument): Compiled {
  const applications = applicationNames(document)
  const services: Record<string, ServiceSpec> = {}
  for (const [name, policy] of Object.entries(document.services))
    services[name] = compileService(name, policy, own(document.discovery.endpoints, name) ?? [])
  for (const inbound of document.inbound) {
    const name = applications.get(inbound.forward)!
    services[name] ??= compileApplication(name, inbound)
  }
  for (const { connect } of document.outbound)
    for (const host of connect?.hosts ?? []) services[connectService(hostOf(host))] ??= compileHost(hostOf(host))
  const content = {
    service: document.service,
    zone: document.zone ?? '',
    onDemandMs: document.discovery.consul?.onDemand === true ? durationMs(document.discovery.consul.firstUse) : 0,
    listeners: compileListeners(document, applications),
    services,
    accessLog: {
      mode: document.accessLog.mode,
      format: document.accessLog.format,
      template: document.accessLog.template ?? null,
      path: document.accessLog.path === 'stdout' ? null : document.accessLog.path,
    },
    flights: document.flights,
    drain: { timeoutMs: durationMs(document.drain.timeout), delayMs: durationMs(document.drain.delay) },
    buffersBytes: sizeBytes(document.buffers),
  }
  const admin = document.admin === 'off' ? null : listenOf(document.admin)
  const bootstrap = {
    service: document.service,
    admin,
    metrics: document.metrics === 'off' ? null : listenOf(document.metrics),
    adminHosts: document.adminHosts.map(host => host.toLowerCase()),
    workers: document.workers,
    state: stateFolder(document),
    register: compileRegister(document),
  }
  const discovery = compileDiscovery(document, compileService('', serviceSchema.parse({}), []))
  return deepFreeze({
    bootstrap,
    discovery,
    snapshot: { version: versionOf({ ...content, discovery }), ...content, places: {} },
  })
}

/** `local_app:<port>`; with the host before the port when two hosts have the same one. */
function applicationNames(document: SidecarDocument): Map<string, string> {
  const names = new Map<string, string>()
  for (const { forward } of document.inbound) {
    const { port } = addressOf(forward)
    const name = `local_app:${port}`
    const taken = [...names].some(
      ([other, given]) => given === name && formatAddress(addressOf(other)) !== formatAddress(addressOf(forward)),
    )
    if (!names.has(forward)) names.set(forward, taken ? `local_app:${formatAddress(addressOf(forward))}` : name)
  }
  return names
}

function compileListeners(document: SidecarDocument, applications: ReadonlyMap<string, string>): ListenerSpec[] {
  const names = new Map<string, number>()
  const listener = (
    direction: Direction,
    {
      listen,
      protocol,
      timeouts,
      limits,
      h2cUpgrade,
    }: Pick<ListenerDocument, 'listen' | 'protocol' | 'timeouts' | 'limits' | 'h2cUpgrade'>,
    service: string | null,
    multiplex: number,
    speaksTcp: boolean,
    connect: ListenerSpec['connect'],
  ): ListenerSpec => {
    const address = listenOf(listen)
    const base = `${direction} ${formatAddress(address)}`
    const count = (names.get(base) ?? 0) + 1
    names.set(base, count)
    return {
      // Only port 0 can be there twice.
      name: count === 1 ? base : `${base} #${count}`,
      direction,
      listen: address,
      service,
      connect,
      multiplex,
      protocol: protocol ?? (speaksTcp ? 'tcp' : 'http'),
      timeouts: {
        headMs: durationMs(timeouts.head),
        bodyMs: durationMs(timeouts.body),
        idleMs: durationMs(timeouts.idle),
        connectionAgeMs: durationMs(timeouts.connectionAge),
        detectMs: durationMs(timeouts.detect),
      },
      limits: {
        headers: limits.headers,
        headBytes: sizeBytes(limits.headBytes),
        targetBytes: sizeBytes(limits.targetBytes),
        connections: limits.connections,
        streams: limits.streams,
        bufferBytes: sizeBytes(limits.buffer),
      },
      h2cUpgrade,
    }
  }
  return [
    ...document.inbound.map(each =>
      listener(
        'inbound',
        each,
        applications.get(each.forward)!,
        each.multiplex ? document.workers : 0,
        each.application.protocol === 'tcp',
        null,
      ),
    ),
    ...document.outbound.map(each =>
      listener(
        'outbound',
        each,
        each.service ?? null,
        0,
        own(document.services, each.service ?? '')?.protocol === 'tcp',
        compileConnect(each.connect),
      ),
    ),
  ]
}

function compileConnect(connect: SidecarDocument['outbound'][number]['connect']): ListenerSpec['connect'] {
  return connect === undefined ? null : { services: connect.services, hosts: connect.hosts.map(hostOf) }
}

/** Listening on `localhost` would be IPv4 on one machine and IPv6 on the next. */
function listenOf(text: string): AddressSpec {
  const parsed = addressOf(text)
  return parsed.address === 'localhost' ? { ...parsed, address: '127.0.0.1' } : parsed
}

function compileService(
  name: string,
  policy: ServicePolicy,
  endpoints: SidecarDocument['discovery']['endpoints'][string],
): ServiceSpec {
  const timeouts = compileTimeouts(policy.timeouts)
  const retries = compileRetries(policy.retries)
  const routes = policy.routes.map(route => compileRoute(name, route, timeouts, retries))
  return {
    name,
    kind: 'named',
    protocol: policy.protocol === 'detect' ? null : policy.protocol,
    multiplex: policy.multiplex,
    hosts: policy.hosts,
    endpoints: compileEndpoints(endpoints),
    balancer: compileBalancer(policy.balancer),
    timeouts,
    retries,
    limits: compileLimits(policy.limits),
    connections: { ageMs: durationMs(policy.connections.age), keepAliveMs: durationMs(policy.connections.keepAlive) },
    outliers: {
      consecutiveGatewayFailures: policy.outliers.consecutiveGatewayFailures,
      baseEjectionMs: durationMs(policy.outliers.baseEjection),
      maxEjectionMs: durationMs(policy.outliers.maxEjection),
      maxEjectedPercent: policy.outliers.maxEjectedPercent,
    },
    upgrades: policy.upgrades,
    subsets: policy.subsets,
    subsetFallback: policy.subsetFallback,
    routes: routes.length > 0 ? routes : [everything(name)],
  }
}

/** As it is compared with the target of a CONNECT. */
function hostOf(text: string): string {
  return connectName(formatAddress(addressOf(text)))
}

/** A destination of CONNECT that is no service: one endpoint, and the defaults of a policy. */
function compileHost(host: string): ServiceSpec {
  const service = compileService(connectService(host), serviceSchema.parse({}), [endpointList.parse([host])[0]!])
  return { ...service, kind: 'connect' }
}

/** The application behind an inbound listener: one endpoint that is always there, tried once. */
function compileApplication(name: string, { forward, application }: SidecarDocument['inbound'][number]): ServiceSpec {
  return {
    name,
    kind: 'local',
    protocol: application.protocol,
    multiplex: false,
    hosts: [],
    endpoints: [
      { ...addressOf(forward), weight: 1, priority: 0, zone: '', metadata: {}, health: 'passing', healthReason: '' },
    ],
    balancer: plainBalancer(),
    timeouts: compileTimeouts({ ...application.timeouts, perTry: 0 }),
    retries: { on: [], attempts: 1, replayBytes: 0, budget: { percent: 0, minPerSecond: 0 } },
    limits: compileLimits(application.limits),
    connections: { ageMs: 0, keepAliveMs: 0 },
    outliers: { consecutiveGatewayFailures: 0, baseEjectionMs: 0, maxEjectionMs: 0, maxEjectedPercent: 0 },
    upgrades: application.upgrades,
    subsets: {},
    subsetFallback: 'none',
    routes: [everything(name)],
  }
}

function compileLimits({
  connections,
  pending,
  requests,
  responseHeaders,
  responseHeadBytes,
  buffer,
}: ServicePolicy['limits']): ServiceSpec['limits'] {
  return {
    connections,
    pending,
    requests,
    responseHeaders,
    responseHeadBytes: sizeBytes(responseHeadBytes),
    bufferBytes: sizeBytes(buffer),
  }
}

function everything(service: string): RouteSpec {
  const match: MatchSpec = { path: { kind: 'prefix', value: '/' }, methods: [], headers: [], query: [] }
  return { name: '/*', match, to: [{ service, subset: null, weight: 1 }], timeouts: null, retries: null }
}

function compileTimeouts(timeouts: ServicePolicy['timeouts']): ServiceTimeouts {
  return {
    connectMs: durationMs(timeouts.connect),
    requestMs: durationMs(timeouts.request),
    perTryMs: durationMs(timeouts.perTry),
    idleMs: durationMs(timeouts.idle),
    grpcTimeout: timeouts.grpcTimeout,
    grpcTimeoutMaxMs: durationMs(timeouts.grpcTimeoutMax),
    grpcTimeoutOffsetMs: durationMs(timeouts.grpcTimeoutOffset),
    tunnelMs: durationMs(timeouts.tunnel),
  }
}

function compileRetries({ on, attempts, replayBytes, budget }: ServicePolicy['retries']): RetrySpec {
  return { on, attempts, replayBytes: sizeBytes(replayBytes), budget }
}

function compileRoute(service: string, route: RoutePolicy, timeouts: ServiceTimeouts, retries: RetrySpec): RouteSpec {
  const match = compileMatch(route.match)
  return {
    name: route.name ?? patternOf(match.path),
    match,
    to: route.to.map(({ service: other, subset, weight }) => ({
      service: other ?? service,
      subset: subset ?? null,
      weight,
    })),
    timeouts: route.timeouts === undefined ? null : overlayTimeouts(timeouts, route.timeouts),
    retries: route.retries === undefined ? null : overlayRetries(retries, route.retries),
  }
}

function overlayTimeouts(base: ServiceTimeouts, over: NonNullable<RoutePolicy['timeouts']>): ServiceTimeouts {
  const ms = (own: string | 0 | undefined, inherited: number): number =>
    own === undefined ? inherited : durationMs(own)
  return {
    connectMs: ms(over.connect, base.connectMs),
    requestMs: ms(over.request, base.requestMs),
    perTryMs: ms(over.perTry, base.perTryMs),
    idleMs: ms(over.idle, base.idleMs),
    grpcTimeout: over.grpcTimeout ?? base.grpcTimeout,
    grpcTimeoutMaxMs: ms(over.grpcTimeoutMax, base.grpcTimeoutMaxMs),
    grpcTimeoutOffsetMs: ms(over.grpcTimeoutOffset, base.grpcTimeoutOffsetMs),
    tunnelMs: ms(over.tunnel, base.tunnelMs),
  }
}

function overlayRetries(base: RetrySpec, over: NonNullable<RoutePolicy['retries']>): RetrySpec {
  return {
    on: over.on ?? base.on,
    attempts: over.attempts ?? base.attempts,
    replayBytes: over.replayBytes === undefined ? base.replayBytes : sizeBytes(over.replayBytes),
    budget: base.budget,
  }
}

function compileMatch({ path, methods, headers, query }: RoutePolicy['match']): MatchSpec {
  const [kind, value] = Object.entries(path ?? { prefix: '/' })[0] as [MatchSpec['path']['kind'], string]
  return {
    path: { kind, value },
    methods: methods ?? [],
    headers: Object.entries(headers ?? {}).map(([name, match]) => compileValue(name.toLowerCase(), match)),
    query: Object.entries(query ?? {}).map(([name, match]) => compileValue(name, match)),
  }
}

function compileValue(name: string, match: ValuePolicy): ValueMatchSpec {
  const [kind, value] = Object.entries(match)[0] as [Exclude<ValueMatchSpec['kind'], 'absent'>, string | boolean]
  return typeof value === 'boolean' ? { name, kind: value ? 'present' : 'absent', value: '' } : { name, kind, value }
}

/** How a user would write it, and so how metrics call it. */
function patternOf({ kind, value }: MatchSpec['path']): string {
  return kind === 'prefix' ? `${value}*` : value
}

function versionOf(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content, sortedKeys)).digest('hex').slice(0, 12)
}

/** So that the order in which a file gives its keys makes no new version. */
function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return value
}
