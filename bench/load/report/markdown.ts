import { verdict } from '../budgets.ts'
import type { Machine } from '../machine.ts'
import { START } from '../run.ts'
import { duration, figure } from './format.ts'
import { budgetText, type Reported } from './tables.ts'

/** One table for the README: scenarios down, proxies across, each cell with its ratio to Envoy. */
export function renderMarkdown(
  reported: Reported,
  versions: Readonly<Record<string, string>>,
  machine: Machine,
  how: string,
): string {
  const { proxies, scenarios } = reported
  const rows = [
    ...scenarios.flatMap(scenario =>
      scenario.kind === 'load'
        ? [row(reported, scenario.name, 'cpuUs', `CPU us/${scenario.unit.name}, ${scenario.title}`)]
        : [],
    ),
    ...scenarios.flatMap(({ kind, name, title }) =>
      kind === 'rate'
        ? [
            row(reported, name, 'p50Us', `p50, ${title}`, duration, false),
            row(reported, name, 'p99Us', `p99, ${title}`, duration, false),
          ]
        : [],
    ),
    ...scenarios.flatMap(({ kind, name, title }) =>
      kind === 'memory' ? [row(reported, name, 'rssMb', `RSS MB, ${title}`)] : [],
    ),
    row(reported, START, 'startMs', 'start to first answer, ms', figure, false),
  ]
  const head = ['', ...proxies.map(({ name, title }) => `${title} ${versions[name] ?? ''}`.trim()), 'budget']
  return `${[head, head.map((_, column) => (column === 0 ? '---' : '---:')), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')}

${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, ${machine.date}. ${how}
In brackets: the ratio to Envoy. CPU is user + system time of the proxy, all threads. Budget: what Outrigger may cost, as a share of Envoy's cost in the same run.
`
}

function row(
  { results, proxies }: Reported,
  scenario: string,
  key: string,
  title: string,
  format = figure,
  withRatio = true,
): string[] {
  const cells = proxies.map(({ name }) => {
    const value = results.get(scenario, name, key)
    if (value === null) return ''
    const ratio = withRatio && name !== 'envoy' ? results.ratio(scenario, name, key) : null
    const text = ratio === null ? format(value.median) : `${format(value.median)} (${ratio.toFixed(2)})`
    return name === 'outrigger' ? `**${text}**` : text
  })
  const result = verdict(results, scenario, key)
  return [title, ...cells, result === null ? '' : budgetText(result)]
}
