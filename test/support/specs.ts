import { compileBalancer } from '../../mesh-config/compile-balancer.ts'
import { serviceSchema } from '../../mesh-config/service.ts'
import type {
  AccessLogSpec,
  BalancerSpec,
  BalancerType,
  DiscoverySpec,
  EndpointSpec,
  ListenerLimits,
  ListenerSpec,
  ListenerTimeouts,
  MatchSpec,
  OutlierSpec,
  RetrySpec,
  RouteSpec,
  ServiceKind,
  ServiceLimits,
  ServiceSpec,
  ServiceTimeouts,
  Snapshot,
  TraceExportSpec,
  TracesSpec,
} from '../../mesh-config/snapshot.ts'

/** Snapshots for tests: the defaults of mesh-config as numbers, with the overrides of a test. */

export function endpointSpec(address: string, overrides: Partial<EndpointSpec> = {}): EndpointSpec {
  const colon = address.lastIndexOf(':')
  return {
    address: address.slice(0, colon),
    port: Number(address.slice(colon + 1)),
    weight: 1,
    priority: 0,
    zone: '',
    metadata: {},
    health: 'passing',
    healthReason: '',
    ...overrides,
  }
}

export interface ServiceOverrides {
  readonly kind?: ServiceKind
  readonly hosts?: readonly string[]
  readonly balancer?: BalancerType | Partial<BalancerSpec>
  readonly timeouts?: Partial<ServiceTimeouts>
  readonly retries?: Partial<Omit<RetrySpec, 'budget'>> & { readonly budget?: Partial<RetrySpec['budget']> }
  readonly limits?: Partial<ServiceLimits>
  readonly connections?: Partial<ServiceSpec['connections']>
  readonly outliers?: Partial<OutlierSpec>
  readonly protocol?: ServiceSpec['protocol']
  readonly multiplex?: boolean
  readonly upgrades?: readonly string[]
  readonly subsets?: ServiceSpec['subsets']
  readonly subsetFallback?: ServiceSpec['subsetFallback']
  readonly routes?: readonly RouteSpec[]
}

/** Round robin, so that tests know the next endpoint. */
export function balancerSpec(overrides: Partial<BalancerSpec> = {}): BalancerSpec {
  return { ...compileBalancer(serviceSchema.parse({}).balancer), type: 'round_robin', ...overrides }
}

export function serviceSpec(
  name: string,
  endpoints: readonly (string | EndpointSpec)[],
  overrides: ServiceOverrides = {},
): ServiceSpec {
  return {
    name,
    kind: overrides.kind ?? 'named',
    protocol: overrides.protocol ?? null,
    multiplex: overrides.multiplex ?? true,
    hosts: overrides.hosts ?? [],
    endpoints: endpoints.map(endpoint => (typeof endpoint === 'string' ? endpointSpec(endpoint) : endpoint)),
    balancer: balancerSpec(typeof overrides.balancer === 'string' ? { type: overrides.balancer } : overrides.balancer),
    timeouts: {
      connectMs: 1000,
      requestMs: 15_000,
      perTryMs: 0,
      idleMs: 300_000,
      grpcTimeout: 'enforce',
      grpcTimeoutMaxMs: 0,
      grpcTimeoutOffsetMs: 0,
      tunnelMs: 3_600_000,
      ...overrides.timeouts,
    },
    retries: {
      ...overrides.retries,
      on: overrides.retries?.on ?? ['connect-failure', 'refused-stream', 'reset-before-response'],
      attempts: overrides.retries?.attempts ?? 2,
      replayBytes: overrides.retries?.replayBytes ?? 65_536,
      budget: { percent: 20, minPerSecond: 10, ...overrides.retries?.budget },
    },
    limits: {
      connections: 10_000,
      pending: 10_000,
      requests: 10_000,
      responseHeaders: 200,
      responseHeadBytes: 80 * 1024,
      bufferBytes: 1024 * 1024,
      ...overrides.limits,
    },
    connections: { ageMs: 0, keepAliveMs: 0, ...overrides.connections },
    outliers: {
      consecutiveGatewayFailures: 5,
      baseEjectionMs: 10_000,
      maxEjectionMs: 300_000,
      maxEjectedPercent: 50,
      ...overrides.outliers,
    },
    upgrades: overrides.upgrades ?? ['websocket'],
    subsets: overrides.subsets ?? {},
    subsetFallback: overrides.subsetFallback ?? 'none',
    routes: overrides.routes ?? [routeSpec({ service: name })],
  }
}

export function matchSpec(overrides: Partial<MatchSpec> = {}): MatchSpec {
  return { path: { kind: 'prefix', value: '/' }, methods: [], headers: [], query: [], ...overrides }
}

export function routeSpec(overrides: Partial<RouteSpec> & { readonly service?: string }): RouteSpec {
  const { service = 'orders', ...rest } = overrides
  return {
    name: '/*',
    match: matchSpec(),
    to: [{ service, subset: null, weight: 1 }],
    timeouts: null,
    retries: null,
    ...rest,
  }
}

export type ListenerOverrides = Omit<Partial<ListenerSpec>, 'timeouts' | 'limits'> & {
  readonly timeouts?: Partial<ListenerTimeouts>
  readonly limits?: Partial<ListenerLimits>
}

export function listenerSpec(overrides: ListenerOverrides = {}): ListenerSpec {
  const listen = overrides.listen ?? { address: '127.0.0.1', port: 8000 }
  const direction = overrides.direction ?? 'outbound'
  return {
    name: overrides.name ?? `${direction} ${listen.address}:${listen.port}`,
    direction,
    listen,
    service: overrides.service ?? null,
    connect: overrides.connect ?? null,
    multiplex: overrides.multiplex ?? 0,
    protocol: overrides.protocol ?? 'http',
    timeouts: {
      headMs: 10_000,
      bodyMs: 30_000,
      idleMs: 300_000,
      connectionAgeMs: 0,
      detectMs: 5_000,
      ...overrides.timeouts,
    },
    limits: {
      headers: 100,
      headBytes: 61_440,
      targetBytes: 16_384,
      connections: 10_000,
      streams: 256,
      bufferBytes: 1_048_576,
      ...overrides.limits,
    },
    h2cUpgrade: overrides.h2cUpgrade ?? true,
  }
}

export const noDiscovery: DiscoverySpec = {
  files: [],
  dns: [],
  consul: null,
  kubernetes: null,
  massRemovalPercent: 50,
  startTimeoutMs: 3_000,
}

/** Nothing takes spans. */
export function tracesSpec(overrides: Partial<TracesSpec> = {}): TracesSpec {
  return {
    isOn: true,
    isExported: false,
    batchSpans: 512,
    samplePercent: 1,
    failed: true,
    slow: true,
    propagate: ['w3c', 'b3'],
    ...overrides,
  }
}

export const traceExport: TraceExportSpec = {
  url: null,
  secretHeaders: [],
  gzip: false,
  timeoutMs: 10_000,
  batchSpans: 512,
  batchMs: 1_000,
  queueSpans: 4096,
  attributes: ['service.name', 'web'],
}

export function accessLogSpec(overrides: Partial<AccessLogSpec> = {}): AccessLogSpec {
  return { mode: 'off', only: [], format: 'text', template: null, fields: null, path: null, ...overrides }
}

let version = 0

export function snapshotOf(
  services: readonly ServiceSpec[],
  listeners: readonly ListenerSpec[] = [listenerSpec()],
  overrides: Partial<Snapshot> = {},
): Snapshot {
  const snapshot: Snapshot = {
    version: `v${++version}`,
    service: 'web',
    zone: '',
    onDemandMs: 0,
    clusterDomain: null,
    listeners,
    services: Object.fromEntries(services.map(service => [service.name, service])),
    applications: [],
    accessLog: accessLogSpec(),
    metrics: { aliases: [], idleMs: 0 },
    flights: { recent: 64, failed: 64 },
    traces: tracesSpec(),
    drain: { timeoutMs: 20_000, delayMs: 0 },
    places: {},
    buffersBytes: 256 * 1024 * 1024,
    ...overrides,
  }
  // Worker threads get a structured clone: nothing but plain data may work.
  return structuredClone(snapshot)
}
