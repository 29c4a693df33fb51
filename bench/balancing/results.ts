import type { Contender } from './contenders.ts'
import type { Run } from './engine/simulate.ts'
import { badShare, type Figures, figuresOf, percentile, succeeded } from './figures.ts'
import type { Scenario } from './scenario.ts'
import { bestP99, type Verdict, verdict } from './verdict.ts'

/** One balancer in one scenario. */
export interface Result {
  readonly contender: Contender
  readonly figures: Figures
  /** By the second, where the scenario has a timeline: p99 in milliseconds, or share in percent; null: no request. */
  readonly timeline: readonly (number | null)[]
}

export interface ScenarioResults {
  readonly scenario: Scenario
  readonly results: readonly Result[]
}

const STEP_MS = 1000

export function resultOf(scenario: Scenario, contender: Contender, run: Run): Result {
  const timeline: (number | null)[] = []
  if (scenario.timeline !== null) {
    for (let from = 0; from < scenario.measuredMs; from += STEP_MS) {
      const value =
        scenario.timeline === 'p99'
          ? percentile(succeeded(run.log, from, from + STEP_MS), 0.99)
          : 100 * badShare(run.log, from, from + STEP_MS)
      timeline.push(Number.isNaN(value) ? null : value)
    }
  }
  return { contender, figures: figuresOf(run), timeline }
}

export function verdictOf({ results }: ScenarioResults, result: Result): Verdict {
  return verdict(result.figures, bestP99(results.map(({ figures }) => figures)))
}
