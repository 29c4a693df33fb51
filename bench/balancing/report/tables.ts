import type { Cell, Table } from '../../load/report/tables.ts'
import { type Result, type ScenarioResults, verdictOf } from '../results.ts'
import { percent, time } from './format.ts'

const TONES = { best: 'good', good: 'strong', poor: 'strong', bad: 'bad' } as const

/**
 * One scenario: balancers down, figures across. Green: as good as the best; red: 3 x its p99, or one request in a
 * hundred fails.
 */
export function tableOf(all: ScenarioResults): Table {
  const { title, bad } = all.scenario
  return {
    title,
    head: [
      '',
      'p50',
      'p99',
      'errors',
      'skew',
      ...(bad === null ? [] : [`${bad.label} (fair: ${percent(bad.fairShare)})`]),
    ],
    rows: all.results.map(result => rowOf(all, result)),
  }
}

function rowOf(all: ScenarioResults, result: Result): Cell[] {
  const { contender, figures } = result
  const tone = TONES[verdictOf(all, result)]
  return [
    { text: contender.name },
    { text: time(figures.p50Ms) },
    { text: time(figures.p99Ms), tone },
    { text: percent(figures.errors), ...(figures.errors >= 0.01 ? { tone: 'bad' } : {}) },
    { text: figures.skew.toFixed(2) },
    ...(all.scenario.bad === null ? [] : [{ text: percent(figures.badShare) }]),
  ]
}
