import type { OutlierSpec } from '../../mesh-config/snapshot.ts'
import type { Cells } from '../core/cells.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Classification } from '../core/cluster.ts'
import type { AttemptRecord } from '../core/decision.ts'
import { ADMITTING, EJECTED, EJECTIONS, FIVES, GATEWAY, LOCAL, MARK, PROBING, SHADOW_UNTIL } from '../core/ejection.ts'
import type { Endpoint } from '../core/endpoint.ts'
import type { Failure } from '../core/failure.ts'
import { isGrpcServerError } from '../core/grpc.ts'
import { add, type Detector, type ProxyEvent } from '../core/telemetry.ts'
import { byHand } from './by-hand.ts'
import { type EndpointSet, guarded, hasRoom, type IsOut, isNotUsed, leastBad, roomIn } from './room.ts'
import { comparesEndpoints, rounds } from './rounds.ts'
import { COMPARED_AT, ServiceCell } from './service-cell.ts'
import { clearCounts, eject, evidenceOf, readmit, resume } from './states.ts'
import { Steps } from './steps.ts'

export interface OutlierDeps {
  readonly clock: Clock
  readonly random: Random
  readonly cells: Cells
  readonly event: (event: ProxyEvent) => void
  /** Pickers must be built anew: an endpoint was ejected or readmitted. */
  readonly changed: () => void
  /** The other data threads are to look: this one has ejected or readmitted an endpoint. */
  readonly tell: () => void
  readonly detected: (by: Detector, outcome: 'ejected' | 'shadow' | 'no_room') => void
  /**
   * The sets of endpoints that requests are shared among: first the whole service, then the subsets that have no
   * fallback. They overlap.
   */
  readonly sets: () => readonly EndpointSet[]
}

const OFF: OutlierSpec = { consecutiveGatewayFailures: 0, baseEjectionMs: 0, maxEjectionMs: 0, maxEjectedPercent: 0 }

/**
 * Passive ejection, as Envoy has it: failures in a row, and comparisons of the endpoints (`rounds`). An ejected endpoint
 * gets no requests, for `base` x the number of its ejections. Then it is probing: one request (cluster/probe.ts) admits
 * it, with slow start, or ejects it again.
 *
 * Each set limits how many of its endpoints are ejected (`roomIn`). The limit is checked before an ejection, in every
 * set that has the endpoint, and again whenever a set changes (`review`). A priority and a zone are not sets: when all
 * of their endpoints are ejected, the next priority or the other zones take over.
 *
 * Counts and states are words that all data threads see (core/ejection.ts), so failures in a row are counted over all
 * of them, and each learns of an ejection when it is told, or with the next thing it has to say of that endpoint.
 */
export function outlierDetector(service: string, deps: OutlierDeps) {
  const { clock, random, cells } = deps
  const cell = new ServiceCell(service, cells)
  let spec = OFF
  const steps = new Steps(service, {
    clock,
    cells,
    cell,
    endpoints: whole,
    changed: deps.changed,
    tell: deps.tell,
    tend,
  })
  const compared = rounds(service, {
    clock,
    cells,
    endpoints: whole,
    comparedAt: { words: cell.words, index: COMPARED_AT },
    found: findings => {
      for (const { endpoint, by, reason } of findings) found(endpoint, by, reason, true)
    },
  })

  function whole(): readonly Endpoint[] {
    return deps.sets()[0]?.members ?? []
  }

  function enforces(): boolean {
    return isOn(spec) && spec.shadow !== true
  }

  // ── into ejection ──

  /** How long; the endpoint has been ejected once more. */
  function nextEjectionMs(endpoint: Endpoint, now: number): number {
    let { ejections } = endpoint
    // Each ejection time without a further ejection takes one off, so that an instance deployed anew each day begins
    // anew each day.
    if (ejections > 0)
      ejections = Math.max(0, ejections - Math.floor((now - endpoint.ejectedUntil) / spec.baseEjectionMs))
    ejections++
    endpoint.ejections = ejections
    endpoint.shared[EJECTIONS] = ejections
    const jitterMs = spec.jitterMs === undefined ? 0 : Math.round(random() * spec.jitterMs)
    return Math.min(spec.baseEjectionMs * ejections, spec.maxEjectionMs) + jitterMs
  }

  /** `isNew`: it was not found for the same reason before. */
  function found(endpoint: Endpoint, by: Detector, reason: string, isNew: boolean): void {
    if (spec.shadow === true) shadow(endpoint, by, reason)
    else ejectFor(endpoint, by, reason, isNew)
  }

  function mayEject(endpoint: Endpoint): boolean {
    return hasRoom(endpoint, deps.sets(), spec.maxEjectedPercent, isNotUsed)
  }

  function ejectFor(endpoint: Endpoint, by: Detector, reason: string, isNew: boolean): void {
    const noRoom = () => {
      if (isNew) deps.detected(by, 'no_room')
    }
    if (!mayEject(endpoint)) return noRoom()
    steps.alone(() => {
      if (endpoint.state === 'ejected' || endpoint.isRetired) return
      // Another thread may have used it up.
      if (!mayEject(endpoint)) return noRoom()
      const now = clock.now()
      const evidence = evidenceOf(endpoint, service, cells)
      const forMs = nextEjectionMs(endpoint, now)
      evidence.reason = reason
      eject(endpoint, EJECTED, forMs, now)
      steps.changed()
      add(endpoint.stats.ejections, 1)
      deps.detected(by, 'ejected')
      const failures = evidence.failures(now)
      deps.event(ejectedEvent(endpoint, { reason, forMs, by, shadow: false, evidence: failures }))
    })
    steps.refresh()
  }

  /** It stays in use; for the time that it would not have been, nothing else is found. */
  function shadow(endpoint: Endpoint, by: Detector, reason: string): void {
    const now = clock.now()
    const isOut: IsOut = each => isNotUsed(each) || isShadowed(each, now)
    if (isOut(endpoint)) return
    clearCounts(endpoint.shared)
    if (!hasRoom(endpoint, deps.sets(), spec.maxEjectedPercent, isOut)) return deps.detected(by, 'no_room')
    const evidence = evidenceOf(endpoint, service, cells)
    const forMs = nextEjectionMs(endpoint, now)
    endpoint.ejectedUntil = now + forMs
    evidence.reason = reason
    // 0 says that there is none.
    Atomics.store(endpoint.shared, SHADOW_UNTIL, (now + forMs) | 0 || 1)
    deps.detected(by, 'shadow')
    deps.event(ejectedEvent(endpoint, { reason, forMs, by, shadow: true, evidence: evidence.failures(now) }))
  }

  function ejectedEvent(
    { name }: Endpoint,
    facts: Pick<Extract<ProxyEvent, { kind: 'endpoint-ejected' }>, 'reason' | 'forMs' | 'by' | 'shadow' | 'evidence'>,
  ): ProxyEvent {
    return { kind: 'endpoint-ejected', cluster: service, endpoint: name, ...facts }
  }

  // ── out of it ──

  /** Readmits those whose time is over, and the least bad of sets that have too many ejected. */
  function tend(): void {
    steps.look()
    if (!whole().some(({ state }) => state === 'ejected')) return
    steps.alone(() => {
      const now = clock.now()
      let readmitted = false
      for (const endpoint of whole()) {
        if (endpoint.state !== 'ejected' || endpoint.ejectedUntil > now) continue
        // Where nothing judges, nothing needs to be proved.
        readmit(endpoint, enforces() ? PROBING : ADMITTING, now)
        readmitted = true
      }
      for (const { members } of deps.sets().filter(guarded)) if (relieve(members, now)) readmitted = true
      if (readmitted) steps.changed()
      else steps.schedule()
    }, true)
  }

  function relieve(members: readonly Endpoint[], now: number): boolean {
    let relieved = false
    for (const withFailing of [false, true]) {
      while (roomIn(members, withFailing, spec.maxEjectedPercent) < 0) {
        readmit(leastBad(members)!, PROBING, now)
        relieved = true
      }
    }
    return relieved
  }

  function admitAll(): void {
    steps.look()
    const isLeft = ({ state, byHand }: Endpoint) => state !== 'admitting' && byHand === 'no'
    if (whole().some(isLeft))
      steps.alone(() => {
        const left = whole().filter(isLeft)
        for (const endpoint of left) readmit(endpoint, ADMITTING, clock.now())
        if (left.length !== 0) steps.changed()
      })
    steps.refresh()
  }

  function succeeded(endpoint: Endpoint): void {
    const { shared } = endpoint
    // In this order: a failure that another thread counts meanwhile sets it again.
    if (endpoint.state === 'admitting') Atomics.store(shared, MARK, 0)
    clearCounts(shared)
    if (endpoint.state !== 'probing') return
    steps.alone(() => {
      if (endpoint.state !== 'probing' || endpoint.isRetired) return
      readmit(endpoint, ADMITTING, clock.now())
      steps.changed()
      deps.event({ kind: 'endpoint-admitted', cluster: service, endpoint: endpoint.name, by: 'probe' })
    })
    steps.refresh()
  }

  // ── failures in a row ──

  function failed(endpoint: Endpoint, what: string, isLocal: boolean, isGateway: boolean, requestId: string): void {
    const { consecutive5xx = 0, consecutiveGatewayFailures: gateway, consecutiveLocalFailures: local } = spec
    const { shared } = endpoint
    evidenceOf(endpoint, service, cells).note(what, requestId, clock.now())
    compared.failed(endpoint)
    const isApart = isLocal && local !== undefined
    let fives = 0
    let gateways = 0
    let locals = 0
    if (isApart) locals = Atomics.add(shared, LOCAL, 1) + 1
    else {
      fives = Atomics.add(shared, FIVES, 1) + 1
      if (isGateway) gateways = Atomics.add(shared, GATEWAY, 1) + 1
      else Atomics.store(shared, GATEWAY, 0)
      Atomics.store(shared, LOCAL, 0)
    }
    Atomics.store(shared, MARK, 1)
    const isProbe = endpoint.state === 'probing'
    if (isProbe && !isApart && !isGateway && consecutive5xx === 0) return succeeded(endpoint)
    const while_ = isProbe ? ' while probing' : ''
    if (isApart) row(endpoint, 'consecutive_local_origin_failure', locals, local, `local failures${while_}`, what)
    else {
      if (isGateway) row(endpoint, 'consecutive_gateway_failure', gateways, gateway, `failures${while_}`, what)
      row(endpoint, 'consecutive_5xx', fives, consecutive5xx, `5xx${while_}`, what)
    }
  }

  /** What an attempt says of its endpoint, where that may change something. */
  function judge(record: AttemptRecord, outcome: Classification, failure: Failure | null, requestId: string): void {
    const endpoint = record.endpoint!
    const isFive = failure === null && (record.status >= 500 || isGrpcServerError(record.grpcStatus))
    const isBad = outcome === 'failure' || (isFive && ((spec.consecutive5xx ?? 0) !== 0 || comparesEndpoints(spec)))
    if (!isBad && (outcome === 'ignorable' || endpoint.shared[MARK] === 0)) return
    if (endpoint.isRetired || !isOn(spec)) return
    if (cell.isNews) {
      steps.look()
      steps.refresh()
    }
    if (endpoint.state === 'ejected' || record.startedAt < endpoint.judgedSince) return
    if (spec.shadow === true && isShadowed(endpoint, clock.now())) return
    if (isBad) failed(endpoint, whatOf(record, failure), failure !== null, outcome === 'failure', requestId)
    else succeeded(endpoint)
  }

  function row(endpoint: Endpoint, by: Detector, count: number, most: number, of: string, what: string): void {
    const isProbe = endpoint.state === 'probing'
    if (endpoint.state === 'ejected' || (!isProbe && (most === 0 || count < most))) return
    found(endpoint, by, `${count} consecutive ${of}, last: ${what}`, count === most)
  }

  return {
    configure(next: OutlierSpec): void {
      spec = next
      compared.configure(next)
      if (!enforces()) admitAll()
    },
    /**
     * Called when the sets or the settings changed, or another data thread has told. True: endpoints changed, so all
     * pickers must be rebuilt.
     */
    review(): boolean {
      tend()
      return steps.takeStale()
    },
    /**
     * An attempt ended: by an answer, or without one (`failure`). Attempts that began before the endpoint was readmitted
     * are ignored.
     */
    report(record: AttemptRecord, outcome: Classification, failure: Failure | null, requestId: string): void {
      const isGood = outcome === 'success' && record.status < 500 && record.grpcStatus <= 0
      if (!isGood || record.endpoint!.shared[MARK] !== 0) judge(record, outcome, failure, requestId)
    },
    /** The states of endpoints are those that an earlier process had given them. */
    resume(): void {
      for (const endpoint of whole()) resume(endpoint, service, cells)
      if (!enforces()) admitAll()
      // Other limits may be in force than those under which they were ejected.
      tend()
    },
    ...byHand(service, { ...deps, steps, whole }),
    stop(): void {
      steps.stop()
      compared.stop()
      cell.close()
    },
  }
}

function isOn(spec: OutlierSpec): boolean {
  const { consecutiveGatewayFailures, consecutive5xx = 0, consecutiveLocalFailures = 0 } = spec
  return consecutiveGatewayFailures + consecutive5xx + consecutiveLocalFailures !== 0 || comparesEndpoints(spec)
}

/** `mode: shadow` would have ejected it. */
export function isShadowed({ shared }: Endpoint, now: number): boolean {
  return shared[SHADOW_UNTIL] !== 0 && ((shared[SHADOW_UNTIL]! - now) | 0) > 0
}

function whatOf({ status, grpcStatus }: AttemptRecord, failure: Failure | null): string {
  if (failure !== null) return failure.failure
  return grpcStatus > 0 ? `grpc-status ${grpcStatus}` : `status ${status}`
}
