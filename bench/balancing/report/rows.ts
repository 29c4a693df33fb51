import { type ScenarioResults, verdictOf } from '../results.ts'
import { percent, time } from './format.ts'
import { type Axis, linearScale, logScale, tickLabel } from './scale.ts'
import { dot, line, MARGIN, rect, text } from './svg.ts'

/** Columns, by where they end: figures are aligned to the right. */
const LABEL_END = 190
const TIMES_END = 484
const P50_END = 552
const P99_END = 624
const ERRORS_END = 694
const SKEW_END = 744
const SHARE_FROM = 762
const SHARE_BAR = 74
export const WIDTH = 920
const RIGHT = WIDTH - MARGIN

const ROW = 21
const TOP = 62
const TITLE = 18

/** A scenario: a row of figures for each balancer. `title` empty: that of the picture says it all. */
export function drawRows(
  all: ScenarioResults,
  title: string,
  y: number,
  axis: Axis,
): { readonly drawn: string; readonly height: number } {
  const { scenario, results } = all
  const above = title === '' ? y - TITLE : y
  const first = above + TOP
  const bottom = first + results.length * ROW
  const x = logScale(axis.low, axis.high, LABEL_END, TIMES_END)
  const parts = [
    text(MARGIN, above + 12, title, 'head'),
    text(MARGIN, above + 29, scenario.what, 'note'),
    ...heads(all, above + 52),
  ]
  for (const tick of axis.ticks) {
    parts.push(line(x(tick), first - 4, x(tick), bottom, 'grid'))
    if (/^1/.test(String(tick))) parts.push(text(x(tick), above + 52, tickLabel(tick), 'unit', 'middle'))
  }
  const { bad } = scenario
  const most = Math.max(bad?.fairShare ?? 0, ...results.map(({ figures }) => figures.badShare)) * 1.02
  const share = linearScale(0, most, 0, SHARE_BAR)
  results.forEach((result, i) => {
    const { contender, figures } = result
    const middle = first + i * ROW + ROW / 2
    const base = middle + 4
    const level = verdictOf(all, result)
    parts.push(
      text(MARGIN, base, contender.name, level === 'best' ? 'strong' : ''),
      line(x(figures.p50Ms), middle, x(figures.p99Ms), middle, level),
      dot(x(figures.p50Ms), middle, 3, 'median'),
      text(P50_END, base, time(figures.p50Ms), '', 'end'),
      text(P99_END, base, time(figures.p99Ms), 'strong', 'end'),
      text(ERRORS_END, base, percent(figures.errors), figures.errors >= 0.001 ? 'failed' : 'note', 'end'),
      text(SKEW_END, base, figures.skew.toFixed(2), '', 'end'),
    )
    if (bad !== null)
      parts.push(
        rect(SHARE_FROM, middle - 5, Math.max(0.5, share(figures.badShare)), 10, 'share', 1),
        text(RIGHT, base, percent(figures.badShare), '', 'end'),
      )
  })
  if (bad !== null)
    parts.push(line(SHARE_FROM + share(bad.fairShare), first - 2, SHARE_FROM + share(bad.fairShare), bottom, 'even'))
  return { drawn: parts.join('\n'), height: bottom - y }
}

function heads({ scenario: { bad } }: ScenarioResults, y: number): string[] {
  const drawn = [
    text(P50_END, y, 'p50', 'unit', 'end'),
    text(P99_END, y, 'p99', 'unit', 'end'),
    text(ERRORS_END, y, 'errors', 'unit', 'end'),
    text(SKEW_END, y, 'skew', 'unit', 'end'),
  ]
  return bad === null ? drawn : [...drawn, text(RIGHT, y, `sent ${bad.label}`, 'unit', 'end')]
}
