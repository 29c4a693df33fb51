import type { RolloutPolicy } from '../../mesh-config/agent/rollout.ts'
import { durationMs } from '../../mesh-config/duration.ts'

/** Where the roll-out of one version stands: written by the leader, read by every agent. */
export interface RolloutRecord {
  /** `*`: a document for all services. */
  readonly service: string
  /** As its source counts it. */
  readonly version: string
  readonly plan: RolloutPlan
  readonly state: 'running' | 'done' | 'reverted' | 'superseded'
  /** Into `plan.steps`. */
  readonly step: number
  /** Wall time in milliseconds when this step began. */
  readonly since: number
  /** What was seen last, or why it ended; for people. */
  readonly why: string
}

export interface RolloutPlan {
  /** In 1/10,000 of the proxies, growing; the last one is 10,000. */
  readonly steps: readonly number[]
  readonly intervalMs: number
  readonly minRequests: number
  /** A ratio: 0.01 is one percentage point. */
  readonly maxErrorIncrease: number
  /** 0.5: half as much again. */
  readonly maxP99Increase: number
}

const ALL = 10_000

export function planOf(policy: RolloutPolicy): RolloutPlan {
  const steps = [...new Set(policy.steps.map(percent => Math.round(percent * 100)))].sort((a, b) => a - b)
  return {
    steps: steps.at(-1) === ALL ? steps : [...steps, ALL],
    intervalMs: durationMs(policy.interval),
    minRequests: policy.minRequests,
    maxErrorIncrease: policy.maxErrorIncrease / 100,
    maxP99Increase: policy.maxP99Increase / 100,
  }
}

export function begun(service: string, version: string, plan: RolloutPlan, now: number): RolloutRecord {
  const first = { service, version, plan, step: 0, since: now } as const
  return plan.steps[0] === ALL
    ? { ...first, state: 'done', why: 'it goes to all at once' }
    : { ...first, state: 'running', why: 'it begins' }
}

/** The share that has the candidate, in 1/10,000. */
export function shareOf({ state, plan, step }: RolloutRecord): number {
  return state === 'running' ? plan.steps[step]! : state === 'done' ? ALL : 0
}

export function wordsOf(record: RolloutRecord): string {
  const { state, plan, step, why } = record
  const percent = `${shareOf(record) / 100} %`
  if (state === 'running') return `step ${step + 1} of ${plan.steps.length}: ${percent}, ${why}`
  return `${state}: ${why}`
}

export function formatRecord(record: RolloutRecord): string {
  return JSON.stringify(record)
}

/** Null: it is none of ours. */
export function parseRecord(text: string): RolloutRecord | null {
  try {
    const record = JSON.parse(text) as RolloutRecord
    const { service, version, plan, state, step, since, why } = record
    const isNumber = (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value >= 0
    const good =
      typeof service === 'string' &&
      typeof version === 'string' &&
      typeof why === 'string' &&
      ['running', 'done', 'reverted', 'superseded'].includes(state) &&
      Array.isArray(plan.steps) &&
      plan.steps.length > 0 &&
      plan.steps.every(isNumber) &&
      [plan.intervalMs, plan.minRequests, plan.maxErrorIncrease, plan.maxP99Increase, since].every(isNumber) &&
      Number.isInteger(step) &&
      step >= 0 &&
      step < plan.steps.length
    return good ? record : null
  } catch {
    return null
  }
}
