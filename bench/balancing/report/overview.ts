import { type ScenarioResults, verdictOf } from '../results.ts'
import { bestP99 } from '../verdict.ts'
import { drawing, FOOT, HEAD, MARGIN, rect, text } from './svg.ts'

const LABEL = 140
const CELL = 62
const ROW = 34
const HEADS = 40

/** Balancers down, scenarios across: p99 as a multiple of the best one's. */
export function renderOverview(all: readonly ScenarioResults[], how: string): string {
  const names = [
    ...new Set(
      all.flatMap(({ results }) =>
        results.filter(({ contender }) => contender.groups === null).map(({ contender }) => contender.name),
      ),
    ),
  ]
  const left = MARGIN + LABEL
  const top = HEAD + HEADS
  const width = left + all.length * CELL + MARGIN
  const parts = names.map((name, row) => text(MARGIN, top + row * ROW + ROW / 2 + 4, name))
  all.forEach((results, column) => {
    const x = left + column * CELL
    results.scenario.heads.forEach(
      (head, i) => void parts.push(text(x + CELL / 2, HEAD + 12 + i * 14, head, 'unit', 'middle')),
    )
    parts.push(...names.flatMap((name, row) => drawCell(results, name, x, top + row * ROW)))
  })
  return drawing({
    width,
    height: top + names.length * ROW + FOOT + 10,
    label: 'p99 of every balancer in every scenario, as a multiple of the best one',
    title: 'Which balancer for which trouble',
    note: 'p99 as a multiple of that of the best balancer in the same scenario, of the requests that succeeded; below it, how many failed.',
    body: parts.join('\n'),
    foot: how,
  })
}

function drawCell(all: ScenarioResults, name: string, x: number, y: number): string[] {
  const result = all.results.find(({ contender }) => contender.name === name)
  if (result === undefined) return []
  const { p99Ms, errors } = result.figures
  const ratio = p99Ms / bestP99(all.results.map(({ figures }) => figures))
  const level = verdictOf(all, result)
  const failed = errors >= 0.001
  const middle = x + CELL / 2
  return [
    rect(x + 1, y + 1, CELL - 2, ROW - 2, `cell ${level}`, 3),
    text(
      middle,
      y + (failed ? 15 : 21),
      ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(1),
      level === 'best' ? 'strong' : '',
      'middle',
    ),
    ...(failed
      ? [text(middle, y + 28, `${(100 * errors).toFixed(errors < 0.01 ? 1 : 0)} % fail`, 'unit', 'middle')]
      : []),
  ]
}
