import { REWRITE } from '../../mesh-config/edited-heads.ts'
import type {
  BalancerSpec,
  BalancerType,
  ConsulServiceSpec,
  ConsulStandInSpec,
  DestinationSpec,
  DnsSourceSpec,
  FailoverSpec,
  FilterSpec,
  ResolveSpec,
  RetryCondition,
  RetrySpec,
  RouteSpec,
  ServiceLimits,
  ServiceSpec,
  ServiceTimeouts,
  StickySpec,
  TlsSpec,
} from '../../mesh-config/snapshot.ts'
import { headers } from './header-shape.ts'
import { healthShape } from './health-shape.ts'
import { match, value } from './match-shape.ts'
import {
  breaker,
  concurrency,
  fallback,
  hedge,
  level,
  outliers,
  perEndpoint,
  priority,
  queue,
} from './resilience-shape.ts'
import {
  BIG,
  count,
  either,
  fields,
  flag,
  integer,
  listOf,
  mapOf,
  matching,
  ms,
  number,
  oneOf,
  optional,
  orNull,
  percent,
  type Shape,
  type ShapeOf,
  text,
} from './shape.ts'
import { fault, mirror, rateLimit } from './traffic-rules-shape.ts'

/** A record's keys as a list, each exactly once. */
const names = <Name extends string>(all: Readonly<Record<Name, true>>) => Object.keys(all) as Name[]

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
  rateLimits: optional(listOf(fields(rateLimit), 1, 16)),
  faults: optional(listOf(fields(fault), 0, 16)),
  mirror: optional(orNull(fields(mirror))),
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
  rateLimits: optional(listOf(fields(rateLimit), 1, 16)),
  faults: optional(listOf(fields(fault), 0, 16)),
  mirror: optional(orNull(fields(mirror))),
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
