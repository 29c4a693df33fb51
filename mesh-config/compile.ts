import { createHash } from 'node:crypto'
import { addressOf } from './address.ts'
import { compileBalancer, plainBalancer } from './compile-balancer.ts'
import { compileDiscovery, compileEndpoints, compileRegister, stateFolder } from './compile-discovery.ts'
import { applicationNames, compileListeners, hostOf, listenOf } from './compile-listeners.ts'
import { compileRoute } from './compile-route.ts'
import { endpointList } from './discovery.ts'
import { durationMs } from './duration.ts'
import { connectService } from './host-name.ts'
import { own } from './own.ts'
import { type ServicePolicy, serviceSchema } from './service.ts'
import type { SidecarDocument } from './sidecar.ts'
import { sizeBytes } from './size.ts'
import type {
  Bootstrap,
  DiscoverySpec,
  MatchSpec,
  RetrySpec,
  RouteSpec,
  ServiceSpec,
  ServiceTimeouts,
  Snapshot,
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
    metrics: {
      aliases: [...new Set(document.metrics.aliases)].sort(),
      idleMs: durationMs(document.metrics.expire),
    },
    flights: document.flights,
    drain: { timeoutMs: durationMs(document.drain.timeout), delayMs: durationMs(document.drain.delay) },
    buffersBytes: sizeBytes(document.buffers),
  }
  const admin = document.admin === 'off' ? null : listenOf(document.admin)
  const bootstrap = {
    service: document.service,
    admin,
    metrics: document.metrics.listen === 'off' ? null : listenOf(document.metrics.listen),
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

/** A host that CONNECT may lead to: one endpoint, and the defaults of a policy. */
function compileHost(host: string): ServiceSpec {
  const service = compileService(connectService(host), serviceSchema.parse({}), [endpointList.parse([host])[0]!])
  return { ...service, kind: 'connect' }
}

/** The application behind an inbound listener: one endpoint that is always used, with one try. */
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

function versionOf(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content, sortedKeys)).digest('hex').slice(0, 12)
}

/** Sorts keys, so that their order in a file does not change the version. */
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
