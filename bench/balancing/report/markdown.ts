import type { ScenarioResults } from '../results.ts'
import { tableOf } from './tables.ts'

export function renderMarkdown(all: readonly ScenarioResults[], how: string): string {
  return `${how}

p50 and p99 are of the requests that succeeded. Skew: requests of the instance that had the most for its capacity, by what it would have had in proportion; 1 is best.

${all.map(section).join('\n')}`
}

function section(results: ScenarioResults): string {
  const { title, head, rows } = tableOf(results)
  const lines = [
    head,
    head.map((_, column) => (column === 0 ? '---' : '---:')),
    ...rows.map(row => row.map(({ text }) => text)),
  ]
  return `## ${title}

${results.scenario.what}

${lines.map(cells => `| ${cells.join(' | ')} |`).join('\n')}
`
}
