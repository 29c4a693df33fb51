import type { Cells } from '../core/cells.ts'
import {
  ADMITTING,
  EJECTED,
  EJECTIONS,
  FIVES,
  forgetProbe,
  forgetProbeOf,
  GATEWAY,
  HELD,
  HELD_BY_FORCE,
  LOCAL,
  LONGEST_MS,
  MARK,
  nextState,
  PROBING,
  phaseOf,
  SHADOW_UNTIL,
  SINCE,
  STATE,
  timeOf,
  UNTIL,
} from '../core/ejection.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { EVIDENCE_WORDS, Evidence } from '../core/evidence.ts'
import { set } from '../core/telemetry.ts'

/**
 * Steps of an endpoint from one state to the next: written to the words that all data threads see, and taken over into
 * the endpoint as this thread sees it. Only the holder of the service's cell steps.
 */

/** For the named time; `EJECTED`, `HELD` or `HELD_BY_FORCE`. */
export function eject(endpoint: Endpoint, phase: number, forMs: number, now: number): void {
  endpoint.shared[UNTIL] = (now + Math.min(forMs, LONGEST_MS)) | 0
  step(endpoint, phase, now)
}

/** Back for one request that decides, or altogether. */
export function readmit(endpoint: Endpoint, phase: typeof PROBING | typeof ADMITTING, now: number): void {
  // When it is readmitted early, the time without an ejection begins now.
  endpoint.shared[UNTIL] = Math.min(endpoint.ejectedUntil, now) | 0
  step(endpoint, phase, now)
}

function step(endpoint: Endpoint, phase: number, now: number): void {
  const { shared } = endpoint
  shared[SINCE] = now | 0
  shared[SHADOW_UNTIL] = 0
  clearCounts(shared)
  forgetProbe(shared)
  Atomics.store(shared, STATE, nextState(shared[STATE]!, phase))
  Atomics.store(shared, MARK, phase === ADMITTING ? 0 : 1)
  adopt(endpoint, now)
}

export function clearCounts(shared: Int32Array): void {
  Atomics.store(shared, FIVES, 0)
  Atomics.store(shared, GATEWAY, 0)
  Atomics.store(shared, LOCAL, 0)
}

/** Takes over what another data thread has decided. False: nothing new. */
export function look(endpoint: Endpoint, service: string, cells: Cells, now: number): boolean {
  const { shared } = endpoint
  const word = Atomics.load(shared, STATE)
  if (endpoint.seen < 0) {
    forgetProbeOf(shared, cells.thread)
    if (word === 0) endpoint.seen = 0
  }
  if (word === endpoint.seen) return false
  if (isOut(phaseOf(word))) evidenceOf(endpoint, service, cells)
  adopt(endpoint, now)
  return true
}

/** The state that is written becomes the one of this thread. */
function adopt(endpoint: Endpoint, now: number): void {
  const { shared } = endpoint
  const word = Atomics.load(shared, STATE)
  const phase = phaseOf(word)
  const since = Math.min(now, timeOf(shared[SINCE]!, now))
  endpoint.seen = word
  endpoint.ejections = shared[EJECTIONS]!
  endpoint.ejectedUntil = timeOf(shared[UNTIL]!, now)
  endpoint.byHand = phase === HELD ? 'yes' : phase === HELD_BY_FORCE ? 'forced' : 'no'
  set(endpoint.stats.ejected, isOut(phase) ? 1 : 0)
  if (isOut(phase)) {
    endpoint.state = 'ejected'
    endpoint.ejectedAt = since
    endpoint.ejectionReason = endpoint.evidence?.reason ?? endpoint.ejectionReason
    return
  }
  const comesBack = endpoint.state === 'ejected' || phase === PROBING
  if (comesBack) {
    // Otherwise a policy that remembers latency would hardly ever choose it.
    endpoint.load.forget()
    // Attempts that began earlier do not show its present state.
    endpoint.judgedSince = since
  }
  if (comesBack || endpoint.state === 'probing') endpoint.warmingSince = now
  endpoint.state = phase === PROBING ? 'probing' : 'admitting'
}

function isOut(phase: number): boolean {
  return phase !== ADMITTING && phase !== PROBING
}

/** What an earlier process had learnt of the endpoint, for all data threads; the first of them says it. */
export function resume(endpoint: Endpoint, service: string, cells: Cells): void {
  const { shared, state, ejections, ejectionReason } = endpoint
  if (shared[STATE] !== 0 || (state === 'admitting' && ejections === 0)) return
  const phase = phaseIn(endpoint)
  shared[EJECTIONS] = ejections
  shared[UNTIL] = endpoint.ejectedUntil | 0
  shared[SINCE] = (isOut(phase) ? endpoint.ejectedAt : endpoint.judgedSince) | 0
  if (ejectionReason !== '') evidenceOf(endpoint, service, cells).reason = ejectionReason
  endpoint.seen = nextState(0, phase)
  Atomics.store(shared, STATE, endpoint.seen)
  if (phase !== ADMITTING) Atomics.store(shared, MARK, 1)
  if (isOut(phase)) set(endpoint.stats.ejected, 1)
}

function phaseIn({ state, byHand }: Endpoint): number {
  if (state !== 'ejected') return state === 'probing' ? PROBING : ADMITTING
  return byHand === 'no' ? EJECTED : byHand === 'yes' ? HELD : HELD_BY_FORCE
}

/** Its last failures, on all threads; opened by the first that this thread sees of it. */
export function evidenceOf(endpoint: Endpoint, service: string, cells: Cells): Evidence {
  endpoint.evidence ??= new Evidence(cells.open(`evidence of ${service} ${endpoint.name}`, EVIDENCE_WORDS))
  return endpoint.evidence
}
