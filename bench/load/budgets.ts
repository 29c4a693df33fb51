import type { Results } from './results.ts'

/** What Outrigger may cost: a share of Envoy's figure in the same run, or an absolute limit. */
export interface Budget {
  readonly scenario: string
  readonly figure: string
  readonly limit: number
  readonly of: 'envoy' | 'absolute'
}

export interface Verdict {
  readonly budget: Budget
  readonly value: number
  readonly isMet: boolean
}

const share = (scenario: string, figure: string, limit: number): Budget => ({ scenario, figure, limit, of: 'envoy' })

// docs: the design's "Speed: what was measured, and how to get there" says where the shares come from.
const BUDGETS: readonly Budget[] = [
  share('small-16', 'cpuUs', 0.65),
  share('small-64', 'cpuUs', 0.65),
  share('16k', 'cpuUs', 0.6),
  share('1m', 'cpuUs', 1.0),
  share('h2-8x16', 'cpuUs', 0.5),
  share('h2-64x1', 'cpuUs', 0.5),
  share('h2-1m', 'cpuUs', 1.1),
  share('grpc-unary', 'cpuUs', 0.5),
  share('grpc-stream', 'cpuUs', 0.67),
  share('tcp-bulk', 'cpuUs', 1.43),
  share('tcp-ping', 'cpuUs', 1.43),
  share('rss-idle', 'rssMb', 0.8),
  share('rss-1000', 'rssMb', 0.8),
  share('rss-h2-10000', 'rssMb', 1.0),
  share('rss-64m', 'rssMb', 0.8),
  { scenario: 'start', figure: 'startMs', limit: 250, of: 'absolute' },
]

export function verdict(results: Results, scenario: string, figure: string): Verdict | null {
  const budget = BUDGETS.find(one => one.scenario === scenario && one.figure === figure)
  if (budget === undefined) return null
  const value =
    budget.of === 'envoy'
      ? results.ratio(scenario, 'outrigger', figure)
      : (results.get(scenario, 'outrigger', figure)?.median ?? null)
  return value === null ? null : { budget, value, isMet: value <= budget.limit }
}

export function verdicts(results: Results): Verdict[] {
  return BUDGETS.flatMap(({ scenario, figure }) => verdict(results, scenario, figure) ?? [])
}
