import type {
  BreakerSpec,
  ConcurrencySpec,
  EndpointLimitsSpec,
  EnoughToCompare,
  FailurePercentageSpec,
  FallbackSpec,
  HedgeSpec,
  LatencyOutlierSpec,
  OutlierSpec,
  PrioritySpec,
  QueueSpec,
  SuccessRateSpec,
} from '../../mesh-config/snapshot.ts'
import { lines } from './header-shape.ts'
import {
  BIG,
  count,
  fields,
  flag,
  integer,
  listOf,
  ms,
  number,
  oneOf,
  optional,
  orNull,
  percent,
  type ShapeOf,
  text,
} from './shape.ts'

/** The shapes of mesh-config/resilience-spec.ts. */

export const level = oneOf('high', 'normal', 'low')

export const priority: ShapeOf<PrioritySpec> = { header: text, usual: level }

export const queue: ShapeOf<QueueSpec> = {
  requests: integer(1, 1_000_000),
  intervalMs: number(1, BIG),
  targetMs: number(0, BIG),
}

export const fallback: ShapeOf<FallbackSpec> = {
  on: listOf(oneOf('breaker', 'overflow', 'no-healthy-upstream'), 1, 3),
  reply: orNull(fields({ status: integer(200, 599), headers: lines, body: text })),
  to: orNull(fields({ service: text, subset: orNull(text) })),
}

export const perEndpoint: ShapeOf<EndpointLimitsSpec> = {
  connections: optional(count),
  pending: optional(count),
  requests: optional(count),
}

const enough: ShapeOf<EnoughToCompare> = { minEndpoints: count, minRequests: count }

export const breaker: ShapeOf<BreakerSpec> = {
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

export const concurrency: ShapeOf<ConcurrencySpec> = {
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

export const outliers: ShapeOf<OutlierSpec> = {
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

export const hedge: ShapeOf<HedgeSpec> = { afterMs: ms, percentile: integer(0, 99), minSamples: count }
