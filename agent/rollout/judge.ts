import type { RolloutPlan } from './record.ts'

/** How the proxies of one group did since the step began. */
export interface GroupResult {
  readonly proxies: number
  readonly requests: number
  /** By the service, or on the way to it. */
  readonly failed: number
  /** Null: no requests. */
  readonly p99Ms: number | null
  /** Proxies that have refused the version, each with its reason. */
  readonly refusals: readonly string[]
}

export type Verdict =
  /** Nothing can be said yet. */
  | { readonly verdict: 'wait'; readonly why: string }
  | { readonly verdict: 'good'; readonly why: string }
  | { readonly verdict: 'bad'; readonly why: string }

/** Below this no difference of a p99 is one: the buckets of the histogram, and the noise of a machine. */
const LEAST_MS = 10

/** The group with the candidate against the others. A pure function: the same numbers give the same verdict. */
export function judge(candidate: GroupResult, others: GroupResult, plan: RolloutPlan): Verdict {
  const [refusal] = candidate.refusals
  if (refusal !== undefined) return { verdict: 'bad', why: `a proxy refuses it: ${refusal}` }
  if (candidate.proxies === 0) return { verdict: 'good', why: 'no proxy is in this share' }
  if (candidate.requests < plan.minRequests)
    return { verdict: 'wait', why: `${candidate.requests} of ${plan.minRequests} requests seen` }
  if (others.requests < plan.minRequests)
    return { verdict: 'wait', why: `the others have had ${others.requests} of ${plan.minRequests} requests` }
  const ratio = candidate.failed / candidate.requests
  const usual = others.failed / others.requests
  const allowed = (usual + plan.maxErrorIncrease) * candidate.requests
  // Three standard deviations of a count: a handful of failures more than allowed may be chance.
  if (candidate.failed > allowed + 3 * Math.sqrt(allowed))
    return {
      verdict: 'bad',
      why: `${percent(ratio)} of ${candidate.requests} requests fail with it, and ${percent(usual)} without it`,
    }
  const { p99Ms } = candidate
  if (p99Ms !== null && others.p99Ms !== null) {
    const most = Math.max(others.p99Ms * (1 + plan.maxP99Increase), others.p99Ms + LEAST_MS)
    if (p99Ms > most)
      return { verdict: 'bad', why: `the p99 is ${ms(p99Ms)} with it, and ${ms(others.p99Ms)} without it` }
  }
  const p99s = p99Ms === null || others.p99Ms === null ? '' : `, p99 ${ms(p99Ms)} and ${ms(others.p99Ms)}`
  return { verdict: 'good', why: `${percent(ratio)} fail with it, ${percent(usual)} without it${p99s}` }
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(2)} %`
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`
}
