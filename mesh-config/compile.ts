import { createHash } from 'node:crypto'
import { addressOf } from './address.ts'
import { compileApplicationCheck } from './application-check.ts'
import { compileAccessLog } from './compile-access-log.ts'
import { plainBalancer } from './compile-balancer.ts'
import { compileConcurrency } from './compile-concurrency.ts'
import { compileDiscovery, compileOnDemand, compileRegister, stateFolder } from './compile-discovery.ts'
import { compileNameServer } from './compile-dns.ts'
import {
  applicationNames,
  applicationsBehind,
  compileListeners,
  hostOf,
  listenOf,
  PASS_THROUGH,
} from './compile-listeners.ts'
import { compilePriority, compileQueue } from './compile-queue.ts'
import { compileLimits, compileService, compileTimeouts, everything } from './compile-service.ts'
import { compileTraceExport, compileTraces } from './compile-traces.ts'
import { endpointList } from './discovery.ts'
import { durationMs } from './duration.ts'
import { connectService } from './host-name.ts'
import { inbound } from './listeners.ts'
import { own } from './own.ts'
import { serviceSchema } from './service.ts'
import type { SidecarDocument } from './sidecar.ts'
import { sizeBytes } from './size.ts'
import type {
  AddressSpec,
  AgentSpec,
  ApplicationSpec,
  Bootstrap,
  DiscoverySpec,
  EndpointSpec,
  ServiceSpec,
  Snapshot,
} from './snapshot.ts'

export interface Compiled {
  readonly bootstrap: Bootstrap
  readonly discovery: DiscoverySpec
  readonly agent: AgentSpec
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
  for (const [index, { forward, application, transparent }] of document.inbound.entries()) {
    if (forward !== undefined) {
      const name = applications.get(forward)!
      services[name] ??= compileApplication(name, 'local', [localEndpoint(forward)], application)
    } else if (transparent === true) {
      const name = applicationsBehind(index)
      services[name] = compileApplication(name, 'original', [], application)
    }
  }
  if (document.outbound.some(({ transparent }) => transparent === true)) services[PASS_THROUGH] = compilePassThrough()
  for (const { connect } of document.outbound)
    for (const host of connect?.hosts ?? []) services[connectService(hostOf(host))] ??= compileHost(hostOf(host))
  const content = {
    service: document.service,
    zone: document.zone ?? '',
    ...compileOnDemand(document.discovery),
    listeners: compileListeners(document, applications),
    services,
    applications: compileApplications(document, applications),
    accessLog: compileAccessLog(document.accessLog),
    metrics: {
      aliases: [...new Set(document.metrics.aliases)].sort(),
      idleMs: durationMs(document.metrics.expire),
    },
    flights: document.flights,
    traces: compileTraces(document.traces),
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
    dns: compileNameServer(document.dns),
    traces: compileTraceExport(document.traces, document.service),
  }
  const discovery = compileDiscovery(document, compileService('', serviceSchema.parse({}), []))
  const agent = agentOf(document.agent)
  const named = agent.kind === 'default' ? {} : { agent }
  return deepFreeze({
    bootstrap,
    discovery,
    agent,
    snapshot: { version: versionOf({ ...content, discovery, ...named }), ...content, places: {} },
  })
}

function agentOf(address: string | undefined): AgentSpec {
  if (address === undefined) return { kind: 'default' }
  return address === 'off' ? { kind: 'off' } : { kind: 'unix', path: address.slice('unix:'.length) }
}

/** A host that CONNECT may lead to: one endpoint, and the defaults of a policy. */
function compileHost(host: string): ServiceSpec {
  const service = compileService(connectService(host), serviceSchema.parse({}), [endpointList.parse([host])[0]!])
  return { ...service, kind: 'connect' }
}

/**
 * Destinations that belong to no service, as their clients would reach them without a sidecar: one try, and as long as
 * it takes.
 */
function compilePassThrough(): ServiceSpec {
  const application = inbound.shape.application.parse({ timeouts: { connect: '10s' } })
  return compileApplication(PASS_THROUGH, 'original', [], application)
}

function localEndpoint(forward: string): EndpointSpec {
  return {
    ...addressOf(forward),
    weight: 1,
    priority: 0,
    zone: '',
    metadata: {},
    health: 'passing',
    healthReason: '',
  }
}

/** Listeners in front of one application have the same settings for it (cross-check.ts). */
function compileApplications(document: SidecarDocument, names: ReadonlyMap<string, string>): ApplicationSpec[] {
  const found = new Map<string, ApplicationSpec>()
  for (const { forward, application } of document.inbound) {
    // Redirected callers go to the port that is registered; another port is known with its connections only.
    const address = forward === undefined ? registeredPort(document) : addressOf(forward)
    const check = compileApplicationCheck(application.check)
    if (address === null || check === null) continue
    const name = forward === undefined ? `local_app:${address.port}` : names.get(forward)!
    found.set(name, { name, address, check })
  }
  return [...found.values()]
}

function registeredPort({ register }: SidecarDocument): AddressSpec | null {
  return register?.port === undefined ? null : { address: '127.0.0.1', port: register.port }
}

/** The application behind an inbound listener: one endpoint that is always used, with one try. */
function compileApplication(
  name: string,
  kind: ServiceSpec['kind'],
  endpoints: readonly EndpointSpec[],
  application: SidecarDocument['inbound'][number]['application'],
): ServiceSpec {
  return {
    name,
    kind,
    protocol: application.protocol,
    multiplex: false,
    hosts: [],
    endpoints,
    balancer: plainBalancer(),
    timeouts: compileTimeouts({ ...application.timeouts, perTry: 0 }),
    retries: { on: [], attempts: 1, replayBytes: 0, budget: { percent: 0, minPerSecond: 0 } },
    limits: compileLimits(application.limits),
    ...compileConcurrency(application.concurrency),
    ...compileQueue(application.queue),
    ...compilePriority(application.priority),
    connections: { ageMs: 0, keepAliveMs: 0 },
    outliers: { consecutiveGatewayFailures: 0, baseEjectionMs: 0, maxEjectionMs: 0, maxEjectedPercent: 0 },
    upgrades: application.upgrades,
    subsets: {},
    subsetFallback: 'none',
    routes: [everything(name)],
  }
}

/** Short hash of plain data, whatever the order of its keys. */
export function versionOf(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content, sortedKeys)).digest('hex').slice(0, 12)
}

/** Sorts keys, so that their order in a file does not change the version. */
function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

export function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return value
}
