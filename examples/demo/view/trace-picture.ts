import type { FoundTrace } from '../watch/traces.ts'
import type { Style } from './style.ts'
import { milliseconds } from './text.ts'
import { rowsOf } from './trace-tree.ts'

const ROW = 24
const TOP = 66
const WIDTH = 1_060
const SERVICE_X = 20
const TREE_X = 104
const INDENT = 15
const NOTE_X = 372
const DURATION_X = 716
const BAR_X = 734
const BAR_WIDTH = WIDTH - BAR_X - 20

/** Paints that give their own name: the class of what they would paint. */
const classes: Style = {
  bold: () => 'bold',
  dim: () => 'server',
  red: () => 'bad',
  green: () => 'good',
  yellow: () => 'yellow',
  cyan: () => 'decision',
  glyphs: {
    arrow: '',
    admitting: '',
    probing: '',
    ejected: '',
    down: '',
    bar: '',
    halfBar: '',
    track: '',
    spark: '',
    yes: '',
    no: '',
  },
}

/** The tree of a trace as SVG, for light and dark pages: the same rows as in the terminal. */
export function traceSvg({ trace, services, retries }: FoundTrace, nameOf: (address: string) => string): string {
  const rows = rowsOf(trace, { style: classes, nameOf })
  const begin = Math.min(...trace.spans.map(({ startTime }) => startTime))
  const total = Math.max(...trace.spans.map(({ startTime, duration }) => startTime + duration)) - begin
  const height = TOP + rows.length * ROW + 16
  const drawn = rows.map(({ span, service, text, depth, paint, note }, index) => {
    const top = TOP + index * ROW
    const y = top + 16
    const name = paint('')
    const x = TREE_X + depth * INDENT
    const from = BAR_X + ((span.startTime - begin) / total) * BAR_WIDTH
    const width = Math.max(2, (span.duration / total) * BAR_WIDTH)
    const lane =
      index % 2 === 0 ? `<rect class="lane" x="8" y="${top}" width="${WIDTH - 16}" height="${ROW}" rx="4"/>` : ''
    return `${lane}<text class="service" x="${SERVICE_X}" y="${y}">${escapeXml(service)}</text><text x="${x}" y="${y}" class="${name}">${escapeXml(text)}</text><text x="${NOTE_X}" y="${y}" class="note ${name}">${escapeXml(note)}</text><text class="note end" x="${DURATION_X}" y="${y}">${milliseconds(span.duration / 1000)}</text><rect class="bar ${name}" x="${from.toFixed(1)}" y="${top + 7}" width="${width.toFixed(1)}" height="10" rx="2"/>`
  })
  const about = `${trace.spans.length} spans of ${services.length} services, ${retries} ${retries === 1 ? 'retry' : 'retries'}, ${milliseconds(total / 1000)}`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title text" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif" font-size="13.5">
<title id="title">A trace with a retry in it</title>
<desc id="text">${about}. Each row is a span: its service, what it is, its outcome, how long it took, and a bar that shows when.</desc>
<style>
:root { --ink: #1f2328; --soft: #59636e; --lane: #f6f8fa; --edge: #d1d9e0; --paper: #ffffff; --server: #818b98; --decision: #0b6e6e; --good: #1a7f37; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9da7b3; --lane: #161b22; --edge: #3d444d; --paper: #0d1117; --server: #8b949e; --decision: #2aa198; --good: #3fb950; --bad: #ff8f85 } }
text { fill: var(--ink) } .note { fill: var(--soft); font-size: 12.5px } .end { text-anchor: end } .service { font-weight: 600 } .title { font-size: 16px; font-weight: 600 }
.lane { fill: var(--lane) } text.decision { fill: var(--decision) } text.bad { fill: var(--bad) } text.good { fill: var(--good) } text.server { fill: var(--ink) } text.note.server { fill: var(--soft) }
.bar { stroke: none } .bar.server { fill: var(--server) } .bar.decision { fill: var(--decision) } .bar.good { fill: var(--good) } .bar.bad { fill: var(--bad) }
</style>
<rect x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="10" style="fill: var(--paper); stroke: var(--edge)"/>
<text class="title" x="${SERVICE_X}" y="32">A trace with a retry in it</text><text class="note" x="${SERVICE_X}" y="52">${about}</text>
${drawn.join('\n')}
</svg>
`
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
