import type { Endpoint } from '../core/endpoint.ts'
import type { EndpointLoad } from '../core/endpoint-load.ts'
import type { LearntEndpoint, LearntLoad } from '../core/learnt.ts'

/** What has been learnt of endpoints, for a process that takes over; those of which there is nothing are left out. */
export function learntOf(endpoints: readonly Endpoint[], now: number): LearntEndpoint[] {
  return endpoints.filter(isKnown).map(endpoint => ({
    name: endpoint.name,
    state: endpoint.state,
    ejectedForMs: endpoint.ejectedUntil - now,
    ejections: endpoint.ejections,
    ejectedAgoMs: endpoint.ejectedAt < 0 ? -1 : now - endpoint.ejectedAt,
    ejectionReason: endpoint.ejectionReason,
    ...(endpoint.byHand === 'no' ? {} : { byHand: endpoint.byHand }),
    consecutiveFailures: endpoint.consecutiveFailures,
    warmingForMs: endpoint.warmingSince < 0 ? -1 : now - endpoint.warmingSince,
    learntWeight: endpoint.learntWeight,
    load: learntLoad(endpoint.load, now),
  }))
}

function isKnown({ state, ejections, consecutiveFailures, warmingSince, learntWeight, load }: Endpoint): boolean {
  const isJudged =
    state !== 'admitting' || ejections !== 0 || consecutiveFailures !== 0 || warmingSince >= 0 || learntWeight !== 1
  return isJudged || load.attempts !== 0 || load.latencyMs !== 0 || load.failing !== 0 || load.reportedSince >= 0
}

function learntLoad(load: EndpointLoad, now: number): LearntLoad {
  return {
    failing: load.failing,
    failedAgoMs: now - load.failedAt,
    latencyMs: load.latencyMs,
    latencyAgoMs: now - load.latencyAt,
    failureRate: load.failureRate,
    attempts: load.attempts,
    attemptAgoMs: now - load.attemptAt,
    reportedQps: load.reportedQps,
    reportedErrors: load.reportedErrors,
    reportedUtilization: load.reportedUtilization,
    reportedAgoMs: now - load.reportedAt,
    reportedForMs: load.reportedSince < 0 ? -1 : now - load.reportedSince,
  }
}

/**
 * Goes on with what an earlier process had learnt. Times before this process began are negative on its clock; 0 stands
 * for slow start that began before, because negative means that there is none.
 */
export function restore(endpoint: Endpoint, learnt: LearntEndpoint, now: number): void {
  endpoint.state = learnt.state
  endpoint.byHand = learnt.byHand ?? 'no'
  endpoint.ejections = learnt.ejections
  endpoint.ejectedUntil = now + learnt.ejectedForMs
  endpoint.ejectedAt = learnt.ejectedAgoMs < 0 ? -1 : Math.max(0, now - learnt.ejectedAgoMs)
  endpoint.ejectionReason = learnt.ejectionReason
  endpoint.consecutiveFailures = learnt.consecutiveFailures
  endpoint.warmingSince = learnt.warmingForMs < 0 ? -1 : Math.max(0, now - learnt.warmingForMs)
  endpoint.learntWeight = learnt.learntWeight
  const { load } = endpoint
  const from = learnt.load
  load.failing = from.failing
  load.failedAt = now - from.failedAgoMs
  load.latencyMs = from.latencyMs
  load.latencyAt = now - from.latencyAgoMs
  load.failureRate = from.failureRate
  load.attempts = from.attempts
  load.attemptAt = now - from.attemptAgoMs
  load.reportedQps = from.reportedQps
  load.reportedErrors = from.reportedErrors
  load.reportedUtilization = from.reportedUtilization
  load.reportedAt = now - from.reportedAgoMs
  load.reportedSince = from.reportedForMs < 0 ? -1 : Math.max(0, now - from.reportedForMs)
}
