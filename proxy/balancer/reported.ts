import type { Endpoint } from '../core/endpoint.ts'
import type { EndpointLoad } from '../core/endpoint-load.ts'
import type { Headers } from '../core/message.ts'
import { numbersOf } from './numbers.ts'
import { readReport } from './orca.ts'

/** The defaults of gRFC A58, client-side weighted round robin; Envoy's are the same. */
const BLACKOUT_MS = 10_000
const EXPIRY_MS = 180_000
const ERROR_UTILIZATION_PENALTY = 1

/** Bounds of a reported weight. They keep quotients of allowed but absurd numbers finite and above 0. */
const LEAST = 1e-6
const GREATEST = 1e12
/** A reported capacity is capped at this multiple of the median of the others. */
const MOST_OF_OTHERS = 4

/** Weights are computed once a second, so it is enough to read the reports of each endpoint ten times a second. */
const SEARCH_MS = 100

/** Reads the load report of a response head, if there is a usable one. */
export function learnReport(load: EndpointLoad, headers: Headers, now: number): void {
  if (now - load.searchedAt < SEARCH_MS) return
  load.searchedAt = now
  take(load, headers, now)
}

/** The same for trailers, where gRPC servers send it (gRFC A51). */
export function learnTrailers(load: EndpointLoad, trailers: Headers, now: number): void {
  if (now - load.trailersSearchedAt < SEARCH_MS) return
  load.trailersSearchedAt = now
  take(load, trailers, now)
}

function take(load: EndpointLoad, headers: Headers, now: number): void {
  const report = readReport(headers)
  if (report === null) return
  const { qps, eps, applicationUtilization, cpuUtilization } = report
  const utilization = applicationUtilization > 0 ? applicationUtilization : cpuUtilization
  if (weightOf(qps, eps, utilization) === 0) return
  if (load.reportedSince < 0 || now - load.reportedAt >= EXPIRY_MS) load.reportedSince = now
  load.reportedQps = qps
  load.reportedErrors = eps
  load.reportedUtilization = utilization
  load.reportedAt = now
}

/** The capacity of an endpoint in requests a second, by its own reports: 0 when they are too few, too old, or empty. */
export function reportedWeight(load: EndpointLoad, now: number): number {
  if (load.reportedSince < 0 || now - load.reportedAt >= EXPIRY_MS || now - load.reportedSince < BLACKOUT_MS) return 0
  return weightOf(load.reportedQps, load.reportedErrors, load.reportedUtilization)
}

function weightOf(qps: number, eps: number, utilization: number): number {
  if (qps <= 0) return 0
  const used = utilization + (eps / qps) * ERROR_UTILIZATION_PENALTY
  return used > 0 ? Math.min(GREATEST, Math.max(LEAST, qps / used)) : 0
}

/**
 * The capacity of each endpoint: its own reports, or its configured weight converted to the unit of the reports. With
 * fewer than two reports there is nothing to compare, and all go by their configured weights.
 *
 * A capacity for each unit of weight is capped at four times the median of the other reports, because a wrong report
 * would otherwise draw all requests. Of n equal endpoints one with a wrong report gets at most 4 / (n + 3) of the
 * requests. For machines that differ by more there is `weight`.
 */
export function capacities(endpoints: readonly Endpoint[], now: number): Float64Array {
  const reported = numbersOf(endpoints, ({ load }) => reportedWeight(load, now))
  boundByOthers(reported, endpoints)
  let count = 0
  let perWeight = 0
  for (let i = 0; i < reported.length; i++) {
    if (reported[i] === 0) continue
    count++
    perWeight += reported[i]! / endpoints[i]!.spec.weight
  }
  if (count < 2) return numbersOf(endpoints, ({ spec }) => spec.weight)
  return reported.map((weight, i) => (weight > 0 ? weight : (endpoints[i]!.spec.weight * perWeight) / count))
}

function boundByOthers(reported: Float64Array, endpoints: readonly Endpoint[]): void {
  const perWeight = reported.map((weight, i) => weight / endpoints[i]!.spec.weight)
  const sorted = perWeight.filter(weight => weight > 0).sort()
  if (sorted.length < 2) return
  for (let i = 0; i < reported.length; i++) {
    if (reported[i] === 0) continue
    const most = MOST_OF_OTHERS * medianWithout(sorted, perWeight[i]!)
    if (perWeight[i]! > most) reported[i] = most * endpoints[i]!.spec.weight
  }
}

/** The lower median of the sorted values without one that equals `own`. */
function medianWithout(sorted: Float64Array, own: number): number {
  const middle = (sorted.length - 2) >> 1
  return own <= sorted[middle]! ? sorted[middle + 1]! : sorted[middle]!
}
