import type { Machine } from '../machine.ts'
import type { Spread } from '../results.ts'
import type { Scenario } from '../scenarios.ts'
import { duration, figure } from './format.ts'
import type { Reported } from './tables.ts'

interface Bar {
  readonly name: string
  readonly title: string
  readonly value: Spread
  readonly text: string
  readonly ratio: string
}

interface Panel {
  readonly title: string
  readonly unit: string
  readonly bars: readonly Bar[]
}

const WIDTH = 920
const MARGIN = 28
const GUTTER = 36
const PANEL_WIDTH = (WIDTH - 2 * MARGIN - GUTTER) / 2
const LABEL_WIDTH = 122
const VALUE_WIDTH = 138 // figures stand in columns at the right, where no line crosses them
const RATIO_WIDTH = 58
const BAR_SPACE = PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH
const ROW = 22
const HEAD = 78
const PANEL_HEAD = 30
const PANEL_GAP = 26
const FOOT = 62

/** Bars on a card of its own, light or dark as the reader's system is: it reads on any page. */
export function renderPicture(
  reported: Reported,
  versions: Readonly<Record<string, string>>,
  machine: Machine,
  how: string,
): string {
  const panels = panelsOf(reported)
  const rows = Math.max(0, ...panels.map(({ bars }) => bars.length))
  const panelHeight = PANEL_HEAD + rows * ROW + PANEL_GAP
  const height = HEAD + Math.ceil(panels.length / 2) * panelHeight + FOOT
  const named = reported.proxies.map(({ name, title }) => `${title} ${versions[name] ?? ''}`.trim()).join(', ')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="What Outrigger costs beside other proxies">
<style>${STYLE}</style>
<rect class="card" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="10"/>
<text class="title" x="${MARGIN}" y="38">What a sidecar costs</text>
<text class="note" x="${MARGIN}" y="58">Shorter is better. Dashed line: Envoy in the same run; at the right, the ratio to it. Thin line: from the lowest round to the highest.</text>
${panels.map((panel, index) => drawPanel(panel, MARGIN + (index % 2) * (PANEL_WIDTH + GUTTER), HEAD + Math.floor(index / 2) * panelHeight)).join('\n')}
${[named, `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, ${machine.date}`, how].map((line, index) => `<text class="note" x="${MARGIN}" y="${height - 48 + index * 16}">${escapeXml(line)}</text>`).join('\n')}
</svg>
`
}

const STYLE = `
  text { font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; fill: #24292f; }
  .card { fill: #ffffff; stroke: #d0d7de; }
  .title { font-size: 20px; font-weight: 600; }
  .head { font-size: 13px; font-weight: 600; }
  .note, .unit { font-size: 11px; fill: #656d76; }
  .ours { font-weight: 600; }
  .bar { fill: #afb8c1; }
  .bar.envoy { fill: #8250df; }
  .bar.outrigger { fill: #0969da; }
  .spread { stroke: #24292f; stroke-opacity: 0.65; }
  .reference { stroke: #8250df; stroke-dasharray: 3 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .card { fill: #0d1117; stroke: #30363d; }
    .note, .unit { fill: #8d96a0; }
    .bar { fill: #484f58; }
    .bar.envoy { fill: #8957e5; }
    .bar.outrigger { fill: #2f81f7; }
    .spread { stroke: #e6edf3; }
    .reference { stroke: #a371f7; }
  }
`

function panelsOf(reported: Reported): Panel[] {
  return reported.scenarios.flatMap(scenario => {
    const what = whatToShow(scenario)
    if (what === null) return []
    const bars = reported.proxies.flatMap(({ name, title }) => {
      const value = reported.results.get(scenario.name, name, what.figure)
      if (value === null) return []
      const ratio = name === 'envoy' ? null : reported.results.ratio(scenario.name, name, what.figure)
      return [
        { name, title, value, text: what.format(value.median), ratio: ratio === null ? '' : `${ratio.toFixed(2)} ×` },
      ]
    })
    return bars.length === 0 ? [] : [{ title: what.title, unit: what.unit, bars }]
  })
}

function whatToShow(
  scenario: Scenario,
): { title: string; unit: string; figure: string; format: (value: number) => string } | null {
  const { kind, title } = scenario
  if (kind === 'load')
    return {
      title: capital(title),
      unit: `CPU µs per ${scenario.unit.name}`,
      figure: 'cpuUs',
      format: value => `${figure(value)} µs`,
    }
  if (kind === 'rate')
    return {
      title: capital(title),
      unit: 'p99 latency',
      figure: 'p99Us',
      format: value => duration(value).replace('us', 'µs'),
    }
  if (kind === 'memory')
    return { title: `Memory, ${title}`, unit: 'RSS', figure: 'rssMb', format: value => `${figure(value)} MB` }
  return null
}

function drawPanel({ title, unit, bars }: Panel, x: number, y: number): string {
  const largest = Math.max(...bars.map(({ value }) => value.max))
  const scale = (value: number) => Math.max(1, (value / largest) * BAR_SPACE)
  const left = x + LABEL_WIDTH
  const top = y + PANEL_HEAD
  const envoy = bars.find(({ name }) => name === 'envoy')
  const rows = bars.map((bar, index) => {
    const rowTop = top + index * ROW
    const middle = rowTop + ROW / 2
    const weight = bar.name === 'outrigger' ? ' class="ours"' : ''
    const { min, max, median, samples } = bar.value
    const spread =
      samples > 1
        ? `<line class="spread" x1="${at(left + scale(min))}" x2="${at(left + scale(max))}" y1="${middle}" y2="${middle}"/>`
        : ''
    const y = middle + 4
    const right = x + PANEL_WIDTH
    return `<text${weight} x="${x}" y="${y}">${escapeXml(bar.title)}</text><rect class="bar ${bar.name}" x="${left}" y="${rowTop + 4}" width="${at(scale(median))}" height="${ROW - 8}" rx="2"/>${spread}<text${weight} x="${right - RATIO_WIDTH}" y="${y}" text-anchor="end">${escapeXml(bar.text)}</text><text${weight} x="${right}" y="${y}" text-anchor="end">${bar.ratio}</text>`
  })
  const envoyX = envoy === undefined ? 0 : at(left + scale(envoy.value.median))
  const reference =
    envoy === undefined
      ? ''
      : `<line class="reference" x1="${envoyX}" x2="${envoyX}" y1="${top - 2}" y2="${top + bars.length * ROW + 2}"/>`
  return `<g><text class="head" x="${x}" y="${y + 12}">${escapeXml(title)}</text><text class="unit" x="${x + PANEL_WIDTH}" y="${y + 12}" text-anchor="end">${unit}</text>
${reference}
${rows.join('\n')}
</g>`
}

const at = (value: number): string => value.toFixed(1)

/** Not where the first word has capitals of its own (gRPC). */
const capital = (text: string): string => text.replace(/^[a-z](?=[a-z ])/, first => first.toUpperCase())

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
