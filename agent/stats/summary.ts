import { BUCKETS } from './histogram.ts'

/** A `Summary` of stats.proto as @grpc/proto-loader decodes it, bounded and with sane numbers. */
export interface Summary {
  readonly lengthMs: number
  readonly edges: readonly EdgeCounts[]
  readonly endpoints: readonly EndpointCounts[]
  readonly rssBytes: number
  readonly cpuMs: number
}

/** Requests of one route between two services, in one span of time. */
export interface EdgeCounts {
  readonly inbound: boolean
  readonly source: string
  readonly destination: string
  readonly route: string
  readonly protocol: string
  readonly counts: readonly StatusCount[]
  readonly requests: number
  /** By the service or on the way to it: see `isFailure`. */
  readonly failed: number
  readonly retries: number
  readonly totalMs: number
  readonly buckets: readonly number[]
  readonly bucketCounts: readonly number[]
}

export interface StatusCount {
  readonly status: number
  readonly flag: string
  readonly count: number
  /** gRPC's status plus one; 0: no gRPC. */
  readonly grpc: number
}

export interface EndpointCounts {
  readonly service: string
  readonly endpoint: string
  /** `admitting`, `ejected`, or what discovery says where that is not `passing`. */
  readonly state: string
  /** Of what discovery says. */
  readonly reason: string
  readonly active: number
  readonly requests: number
  readonly failures: number
}

/** What a proxy may say in one summary: more than a proxy of ours says is not kept. */
const MAX_EDGES = 500
const MAX_ENDPOINTS = 2_000
const MAX_COUNTS = 64
const MAX_NAME = 256
const MAX_REASON = 120

/** UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS: what a service must answer for. */
const GRPC_FAILURES: ReadonlySet<number> = new Set([2, 4, 13, 14, 15])

/** 5xx, or the gRPC statuses that mean the same. A caller that hung up is no failure of the service. */
export function isFailure({ status, grpc }: Pick<StatusCount, 'status' | 'grpc'>): boolean {
  return status >= 500 || (grpc > 0 && GRPC_FAILURES.has(grpc - 1))
}

type Fields = Readonly<Record<string, unknown>>

export function readSummary(message: unknown): Summary {
  const { lengthMs, edges, endpoints, rssBytes, cpuMs } = message as Fields
  return {
    lengthMs: number(lengthMs),
    edges: list(edges, MAX_EDGES).map(readEdge),
    endpoints: list(endpoints, MAX_ENDPOINTS).map(readEndpoint),
    rssBytes: number(rssBytes),
    cpuMs: number(cpuMs),
  }
}

function readEdge(edge: Fields): EdgeCounts {
  const counts = list(edge.counts, MAX_COUNTS).map(({ status, flag, count, grpc }) => ({
    status: number(status),
    flag: text(flag),
    count: number(count),
    grpc: number(grpc),
  }))
  const buckets = (edge.buckets ?? []) as readonly unknown[]
  const values = (edge.bucketCounts ?? []) as readonly unknown[]
  const indexes = [...Array(Math.min(buckets.length, values.length, BUCKETS)).keys()].filter(
    i => number(buckets[i]) < BUCKETS,
  )
  let requests = 0
  let failed = 0
  for (const each of counts) {
    requests += each.count
    if (isFailure(each)) failed += each.count
  }
  return {
    inbound: edge.inbound === true,
    source: text(edge.source),
    destination: text(edge.destination),
    route: text(edge.route),
    protocol: text(edge.protocol),
    counts,
    requests,
    failed,
    retries: number(edge.retries),
    totalMs: number(edge.totalMs),
    buckets: indexes.map(i => number(buckets[i])),
    bucketCounts: indexes.map(i => number(values[i])),
  }
}

function readEndpoint({ service, endpoint, state, reason, active, requests, failures }: Fields): EndpointCounts {
  return {
    service: text(service),
    endpoint: text(endpoint),
    state: text(state),
    reason: text(reason, MAX_REASON),
    active: number(active),
    requests: number(requests),
    failures: number(failures),
  }
}

function list(value: unknown, most: number): readonly Fields[] {
  return ((value ?? []) as readonly Fields[]).slice(0, most)
}

function text(value: unknown, most = MAX_NAME): string {
  return typeof value === 'string' ? value.slice(0, most) : ''
}

function number(value: unknown): number {
  const given = Number(value)
  return Number.isFinite(given) && given > 0 ? Math.min(given, Number.MAX_SAFE_INTEGER) : 0
}
