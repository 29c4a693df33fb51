import { FIELD_NAME, FIELD_VALUE, isEditable, REWRITE } from '../../mesh-config/edited-heads.ts'
import type {
  BalancerSpec,
  BalancerType,
  BreakerSpec,
  ConcurrencySpec,
  ConsulServiceSpec,
  ConsulStandInSpec,
  DestinationSpec,
  DnsSourceSpec,
  EndpointLimitsSpec,
  EnoughToCompare,
  FailoverSpec,
  FailurePercentageSpec,
  FallbackSpec,
  FilterSpec,
  HeadEditsSpec,
  HeaderEditsSpec,
  HedgeSpec,
  LatencyOutlierSpec,
  MatchSpec,
  OutlierSpec,
  PrioritySpec,
  QueueSpec,
  ResolveSpec,
  RetryCondition,
  RetrySpec,
  RouteSpec,
  ServiceLimits,
  ServiceSpec,
  ServiceTimeouts,
  StickySpec,
  SuccessRateSpec,
  TlsSpec,
  ValueMatchSpec,
} from '../../mesh-config/snapshot.ts'
import { healthShape } from './health-shape.ts'
import {
  either,
  fields,
  flag,
  integer,
  listOf,
  mapOf,
  matching,
  number,
  oneOf,
  optional,
  orNull,
  type Shape,
  text,
} from './shape.ts'

/** The shape of mesh-config/service-spec.ts: a field that is added there does not compile until it is here. */
type ShapeOf<Spec> = Readonly<Record<keyof Spec, Shape>>

/** A record's keys as a list, each exactly once. */
const names = <Name extends string>(all: Readonly<Record<Name, true>>) => Object.keys(all) as Name[]

const BIG = Number.MAX_SAFE_INTEGER
const count = integer(0, BIG)
const ms = number(0, BIG)
const percent = number(0, 1_000_000)

const value: ShapeOf<ValueMatchSpec> = {
  name: text,
  kind: oneOf('exact', 'prefix', 'suffix', 'contains', 'regex', 'present', 'absent'),
  value: text,
  invert: optional(flag),
}

const match: ShapeOf<MatchSpec> = {
  path: fields({ kind: oneOf('exact', 'prefix', 'regex'), value: text, ignoreCase: optional(flag) }),
  methods: listOf(text, 0, 100),
  headers: listOf(fields(value), 0, 1_000),
  query: listOf(fields(value), 0, 1_000),
}

const fieldName: Shape = (name, at, wrong) => {
  if (typeof name !== 'string' || !FIELD_NAME.test(name) || !isEditable(name)) wrong(at, 'no header that may be edited')
}
const fieldValue = matching(FIELD_VALUE, 'a header value')

const line: Shape = (pair, at, wrong) => {
  if (!Array.isArray(pair) || pair.length !== 2) return wrong(at, 'no name and value')
  fieldName(pair[0], `${at}[0]`, wrong)
  fieldValue(pair[1], `${at}[1]`, wrong)
}
const lines = listOf(line, 0, 1_000)
const edits: ShapeOf<HeadEditsSpec> = { remove: listOf(fieldName, 0, 1_000), add: lines, set: lines }
const headers: ShapeOf<HeaderEditsSpec> = { request: fields(edits), response: fields(edits) }

const destination: ShapeOf<DestinationSpec> = {
  service: text,
  subset: orNull(text),
  weight: number(0, 1e9),
  headers: optional(fields(headers)),
}

const routeTimeouts: ShapeOf<Omit<ServiceTimeouts, 'connectMs'>> = {
  requestMs: ms,
  perTryMs: ms,
  idleMs: ms,
  grpcTimeout: oneOf('enforce', 'pass'),
  grpcTimeoutMaxMs: ms,
  grpcTimeoutOffsetMs: ms,
  tunnelMs: ms,
  maxStreamMs: optional(ms),
  deadline: optional(oneOf('pass', 'begin')),
}

const conditions = names<RetryCondition>({
  'connect-failure': true,
  'refused-stream': true,
  'reset-before-response': true,
  'per-try-timeout': true,
  'gateway-error': true,
  'retriable-4xx': true,
  'retriable-status-codes': true,
  'retriable-headers': true,
  'envoy-ratelimited': true,
  '5xx': true,
  cancelled: true,
  'deadline-exceeded': true,
  internal: true,
  'resource-exhausted': true,
  unavailable: true,
})

const hedge: ShapeOf<HedgeSpec> = { afterMs: ms, percentile: integer(0, 99), minSamples: count }

const routeRetries: ShapeOf<Omit<RetrySpec, 'budget'>> = {
  on: listOf(oneOf(...conditions), 0, 100),
  attempts: integer(1, 1_000),
  replayBytes: count,
  statuses: optional(listOf(integer(100, 599), 0, 500)),
  headers: optional(listOf(fields(value), 0, 1_000)),
  methods: optional(listOf(text, 0, 100)),
  idempotencyKey: optional(flag),
  backoff: optional(fields({ baseMs: number(1, BIG), maxMs: number(1, BIG) })),
  hedge: optional(fields(hedge)),
}

const level = oneOf('high', 'normal', 'low')
const priority: ShapeOf<PrioritySpec> = { header: text, usual: level }
const queue: ShapeOf<QueueSpec> = {
  requests: integer(1, 1_000_000),
  intervalMs: number(1, BIG),
  targetMs: number(0, BIG),
}

const fallback: ShapeOf<FallbackSpec> = {
  on: listOf(oneOf('breaker', 'overflow', 'no-healthy-upstream'), 1, 3),
  reply: orNull(fields({ status: integer(200, 599), headers: lines, body: text })),
  to: orNull(fields({ service: text, subset: orNull(text) })),
}

const route: ShapeOf<RouteSpec> = {
  name: text,
  match: fields(match),
  to: listOf(fields(destination), 1, 1_000),
  timeouts: orNull(fields(routeTimeouts)),
  retries: orNull(fields(routeRetries)),
  rewrite: optional(matching(REWRITE, 'a path')),
  headers: optional(fields(headers)),
  fallback: optional(fields(fallback)),
  priority: optional(level),
}

const sticky: ShapeOf<StickySpec> = { cookie: text, ttlMs: ms, path: text, secret: text }

const hashKey = either(
  fields({ kind: oneOf('header', 'query'), name: text, terminal: flag }),
  fields({ kind: oneOf('path', 'sourceIp'), terminal: flag }),
  fields({ kind: oneOf('cookie'), name: text, ttlMs: ms, path: text, session: optional(flag), terminal: flag }),
)

const balancers = names<BalancerType>({
  round_robin: true,
  random: true,
  least_request: true,
  ip_hash: true,
  ring_hash: true,
  maglev: true,
  peak_ewma: true,
  response_time: true,
  adaptive: true,
})

/** Tables that are filled step by step: only a prime lets each step reach every place. */
const prime: Shape = (size, at, wrong) => {
  const isPrime = Number.isSafeInteger(size) && (size as number) >= 2 && (size as number) <= 5_000_011
  if (!isPrime || divisorOf(size as number) !== 0) wrong(at, 'no prime number up to 5000011')
}

function divisorOf(size: number): number {
  for (let divisor = 2; divisor * divisor <= size; divisor++) if (size % divisor === 0) return divisor
  return 0
}

const balancer: ShapeOf<BalancerSpec> = {
  type: oneOf(...balancers),
  choices: integer(2, 16),
  fullScan: integer(0, 64),
  activeRequestBias: number(0, 1e6),
  hashOn: listOf(hashKey, 0, 100),
  minimumRingSize: integer(1, 8_388_608),
  maximumRingSize: integer(1, 8_388_608),
  tableSize: prime,
  hashBalanceFactor: integer(0, 10_000),
  decayMs: ms,
  defaultRttMs: ms,
  failurePenaltyMs: ms,
  slowStart: fields({ windowMs: ms, aggression: number(0, 1e6), minWeightPercent: number(0, 100) }),
  zoneAware: fields({ on: flag, minEndpoints: count }),
  overprovisioning: number(0, 1e6),
  panic: fields({ health: percent, ejected: percent }),
  sticky: orNull(fields(sticky)),
  subsetSize: count,
}

const perEndpoint: ShapeOf<EndpointLimitsSpec> = {
  connections: optional(count),
  pending: optional(count),
  requests: optional(count),
}

const limits: ShapeOf<ServiceLimits> = {
  connections: count,
  pending: count,
  requests: count,
  retries: optional(count),
  perEndpoint: optional(fields(perEndpoint)),
  responseHeaders: integer(1, 1_000_000),
  responseHeadBytes: integer(1, 64 * 1024 * 1024),
  bufferBytes: integer(1, 1024 ** 3),
}

const enough: ShapeOf<EnoughToCompare> = { minEndpoints: count, minRequests: count }
const breaker: ShapeOf<BreakerSpec> = {
  errorPercent: percent,
  slowCallMs: ms,
  slowPercent: percent,
  windowMs: number(1, BIG),
  volume: count,
  openMs: number(1, BIG),
  maxOpenMs: number(1, BIG),
  jitterPercent: number(0, 100),
  probes: integer(1, 1_000),
}

const concurrency: ShapeOf<ConcurrencySpec> = {
  enforce: flag,
  minLimit: integer(1, BIG),
  maxLimit: integer(1, BIG),
  bufferPercent: percent,
  percentile: number(1, 99),
  updateMs: number(1, BIG),
  minRttIntervalMs: number(1, BIG),
  minRttRequests: integer(1, BIG),
  minRttJitterPercent: number(0, 100),
}

const outliers: ShapeOf<OutlierSpec> = {
  consecutiveGatewayFailures: count,
  baseEjectionMs: ms,
  maxEjectionMs: ms,
  maxEjectedPercent: number(0, 100),
  shadow: optional(flag),
  consecutive5xx: optional(count),
  consecutiveLocalFailures: optional(count),
  jitterMs: optional(ms),
  intervalMs: optional(number(1, 1e9)),
  successRate: optional(
    fields({ ...enough, factor: number(0, 100), minFailurePercent: percent } satisfies ShapeOf<SuccessRateSpec>),
  ),
  failurePercentage: optional(fields({ ...enough, percent } satisfies ShapeOf<FailurePercentageSpec>)),
  latency: optional(
    fields({ ...enough, factor: number(1, 1000), minExcessMs: ms } satisfies ShapeOf<LatencyOutlierSpec>),
  ),
}

const filter: ShapeOf<FilterSpec> = { filter: text, onlyPassing: flag }

const failover: ShapeOf<FailoverSpec> = {
  ...filter,
  from: text,
  service: text,
  datacenter: orNull(text),
  priority: integer(0, 127),
  isSameService: flag,
  subset: text,
  standsInFor: listOf(text, 0, 1_000),
}

const resolve: ShapeOf<ResolveSpec> = {
  service: orNull(text),
  datacenter: orNull(text),
  defaultSubset: orNull(text),
  filters: mapOf(fields(filter), 1_000),
  fallbacks: mapOf(text, 1_000),
  failover: listOf(fields(failover), 0, 127),
}

/** What is in the files never comes from an agent. */
const tls: ShapeOf<Omit<TlsSpec, 'pem'>> = {
  ca: orNull(text),
  cert: orNull(text),
  key: orNull(text),
  serverName: orNull(text),
  minVersion: oneOf('1.2', '1.3'),
}

/** The endpoints and what the registry calls it are the proxy's to know; the kind is always `named`. */
const service: ShapeOf<Omit<ServiceSpec, 'registered'>> = {
  name: text,
  kind: oneOf('named'),
  protocol: oneOf('http', 'http2', 'grpc', 'tcp', null),
  tls: optional(fields(tls)),
  multiplex: flag,
  hosts: listOf(text, 0, 10_000),
  endpoints: listOf(text, 0, 0),
  balancer: fields(balancer),
  timeouts: fields({ connectMs: ms, ...routeTimeouts }),
  retries: fields({ ...routeRetries, budget: fields({ percent, minPerSecond: number(0, 1e9) }) }),
  limits: fields(limits),
  breaker: optional(fields(breaker)),
  queue: optional(fields(queue)),
  priority: optional(fields(priority)),
  concurrency: optional(fields(concurrency)),
  fallback: optional(fields(fallback)),
  connections: fields({ ageMs: ms, keepAliveMs: ms }),
  outliers: fields(outliers),
  health: optional(healthShape),
  upgrades: listOf(text, 0, 100),
  subsets: mapOf(mapOf(text, 100), 1_000),
  subsetFallback: either(oneOf('none', 'any'), fields({ subset: text })),
  routes: listOf(fields(route), 1, 10_000),
  resolve: optional(fields(resolve)),
}

export const serviceShape: Shape = fields(service)

const standIn: ShapeOf<ConsulStandInSpec> = {
  from: text,
  name: text,
  datacenter: orNull(text),
  priority: integer(0, 127),
}

const consul: ShapeOf<ConsulServiceSpec> = {
  service: text,
  name: text,
  datacenter: orNull(text),
  tags: listOf(text, 0, 100),
  addressKind: oneOf('service', 'lan', 'wan', 'virtual'),
  failover: listOf(text, 0, 100),
  standIns: optional(listOf(fields(standIn), 0, 127)),
  facts: optional(flag),
}

const dns: ShapeOf<DnsSourceSpec> = {
  service: text,
  name: text,
  port: orNull(integer(1, 65_535)),
  refreshMs: number(1, BIG),
  servers: listOf(text, 0, 100),
  family: oneOf('auto', 'ipv4', 'ipv6', 'all'),
}

export const consulShape: Shape = fields(consul)
export const dnsShape: Shape = fields(dns)
