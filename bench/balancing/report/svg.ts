export interface Drawing {
  readonly width: number
  readonly height: number
  /** For those who cannot see it. */
  readonly label: string
  readonly title: string
  /** Under the title. */
  readonly note: string
  readonly body: string
  /** Under everything. */
  readonly foot: string
}

export const MARGIN = 28
/** Where the body begins, and how much the foot needs. */
export const HEAD = 74
export const FOOT = 34

/** A card of its own, light or dark as the reader's system is: it reads on any page. */
export function drawing({ width, height, label, title, note, body, foot }: Drawing): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(label)}">
<style>${STYLE}</style>
<rect class="card" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="10"/>
${text(MARGIN, 38, title, 'title')}
${text(MARGIN, 58, note, 'note')}
${body}
${text(MARGIN, height - 16, foot, 'note')}
</svg>
`
}

export function text(
  x: number,
  y: number,
  content: string,
  kind = '',
  anchor: 'start' | 'middle' | 'end' = 'start',
): string {
  const css = kind === '' ? '' : ` class="${kind}"`
  const side = anchor === 'start' ? '' : ` text-anchor="${anchor}"`
  return `<text${css} x="${at(x)}" y="${at(y)}"${side}>${escapeXml(content)}</text>`
}

export function rect(x: number, y: number, width: number, height: number, kind: string, radius = 0): string {
  return `<rect class="${kind}" x="${at(x)}" y="${at(y)}" width="${at(width)}" height="${at(height)}"${radius === 0 ? '' : ` rx="${radius}"`}/>`
}

export function line(x1: number, y1: number, x2: number, y2: number, kind: string): string {
  return `<line class="${kind}" x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}"/>`
}

export function dot(x: number, y: number, radius: number, kind: string): string {
  return `<circle class="${kind}" cx="${at(x)}" cy="${at(y)}" r="${radius}"/>`
}

export function path(points: readonly (readonly [number, number])[], kind: string): string {
  return `<polyline class="${kind}" points="${points.map(([x, y]) => `${at(x)},${at(y)}`).join(' ')}"/>`
}

const at = (value: number): string => String(Math.round(value * 10) / 10)

function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}

/** A verdict is said by colour only where it is said by a number too. */
const STYLE = `
  text { font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; fill: #24292f; }
  .card { fill: #ffffff; stroke: #d0d7de; }
  .title { font-size: 20px; font-weight: 600; }
  .head { font-size: 14px; font-weight: 600; }
  .note, .unit { font-size: 11px; fill: #656d76; }
  .strong { font-weight: 600; }
  .failed { fill: #cf222e; font-weight: 600; }
  .grid { stroke: #d0d7de; }
  .even { stroke: #656d76; stroke-dasharray: 3 3; }
  .spell { fill: #cf222e; fill-opacity: 0.08; }
  .share { fill: #8c959f; }
  .median { fill: #24292f; }
  .best, .good, .poor, .bad { stroke-width: 6; stroke-linecap: round; }
  .best { fill: #1a7f37; stroke: #1a7f37; }
  .good { fill: #74b98a; stroke: #74b98a; }
  .poor { fill: #d4a72c; stroke: #d4a72c; }
  .bad { fill: #cf222e; stroke: #cf222e; }
  .cell { stroke: none; fill-opacity: 0.3; }
  .course { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
  .c0 { stroke: #8c959f; }
  .c1 { stroke: #0969da; }
  .c2 { stroke: #8250df; }
  .c3 { stroke: #bc4c00; }
  .c4 { stroke: #1a7f37; }
  .c5 { stroke: #bf3989; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .card { fill: #0d1117; stroke: #30363d; }
    .note, .unit { fill: #8d96a0; }
    .failed { fill: #ff7b72; }
    .grid { stroke: #30363d; }
    .even { stroke: #8d96a0; }
    .spell { fill: #f85149; fill-opacity: 0.14; }
    .share { fill: #6e7681; }
    .median { fill: #e6edf3; }
    .best { fill: #2ea043; stroke: #2ea043; }
    .good { fill: #1f6f33; stroke: #1f6f33; }
    .poor { fill: #9e6a03; stroke: #9e6a03; }
    .bad { fill: #da3633; stroke: #da3633; }
    .cell { stroke: none; fill-opacity: 0.5; }
    .c0 { stroke: #8b949e; }
    .c1 { stroke: #58a6ff; }
    .c2 { stroke: #bc8cff; }
    .c3 { stroke: #f0883e; }
    .c4 { stroke: #3fb950; }
    .c5 { stroke: #f778ba; }
  }
`
