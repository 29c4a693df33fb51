import { type JaegerSpan, type JaegerTrace, tagOf } from '../../support/jaeger.ts'
import { type FoundTrace, serviceOf } from '../watch/traces.ts'
import type { Paint, Style } from './style.ts'
import { cell, cut, milliseconds } from './text.ts'

export interface TreeOptions {
  readonly width: number
  readonly style: Style
  /** What stands at an address, such as `orders-2`. */
  readonly nameOf: (address: string) => string
  /** Jaeger is there to show more of it. */
  readonly isThere: boolean
}

/** A span, as it is shown. */
export interface Row {
  readonly span: JaegerSpan
  readonly service: string
  /** The lines of the tree before it, and how deep it is. */
  readonly tree: string
  readonly depth: number
  readonly text: string
  readonly paint: Paint
  readonly note: string
}

const SERVICE_WIDTH = 10
const DURATION_WIDTH = 8
const WIDEST_BAR = 44

/** A trace as a tree: a line for each span, with where in the time of the trace it was. A pure function. */
export function traceLines({ trace, services, retries, link }: FoundTrace, options: TreeOptions): string[] {
  const { style, width } = options
  const { bold, dim, cyan } = style
  const rows = rowsOf(trace, options)
  const begin = Math.min(...trace.spans.map(({ startTime }) => startTime))
  const end = Math.max(...trace.spans.map(({ startTime, duration }) => startTime + duration))
  const whatWidth = Math.max(...rows.map(({ tree, text }) => tree.length + text.length)) + 2
  const noteWidth = Math.max(...rows.map(({ note }) => note.length)) + 2
  const fixed = SERVICE_WIDTH + whatWidth + DURATION_WIDTH + 4
  // The bar is what the tree is for; a note may be cut.
  const notes = Math.max(0, Math.min(noteWidth, width - fixed - 20))
  const bars = Math.max(0, Math.min(WIDEST_BAR, width - fixed - notes))
  const about = `${trace.spans.length} spans of ${services.length} services, ${retries} ${retries === 1 ? 'retry' : 'retries'}, ${milliseconds((end - begin) / 1000)}`
  return [
    cut(` ${bold('a trace with a retry in it')}   ${dim(about)}`, width),
    ...(options.isThere ? [` ${cyan(link)}`] : []),
    '',
    ...rows.map(({ span, service, tree, text, paint, note }) =>
      cut(
        [
          ` ${cell(service, SERVICE_WIDTH, 'left', bold)}`,
          dim(tree),
          cell(text, whatWidth - tree.length, 'left', paint),
          notes === 0 ? '' : cell(note, notes, 'left', paint),
          cell(milliseconds(span.duration / 1000), DURATION_WIDTH, 'right'),
          '  ',
          barOf(span, begin, end - begin, bars, paint, style),
        ].join(''),
        width,
      ),
    ),
    '',
  ]
}

/** Depth first; the children of a span in the order in which they began. */
export function rowsOf(trace: JaegerTrace, options: Pick<TreeOptions, 'style' | 'nameOf'>): Row[] {
  const byId = new Map(trace.spans.map(span => [span.spanID, span]))
  const children = new Map<string, JaegerSpan[]>()
  const roots: JaegerSpan[] = []
  for (const span of [...trace.spans].sort((a, b) => a.startTime - b.startTime)) {
    const parent = span.references.find(({ spanID }) => byId.has(spanID))?.spanID
    if (parent === undefined) roots.push(span)
    else children.set(parent, [...(children.get(parent) ?? []), span])
  }
  const rows: Row[] = []
  const seen = new Set<string>()
  function add(span: JaegerSpan, before: string, branch: string, depth: number, attempt: number): void {
    // What programs send may be a circle.
    if (seen.has(span.spanID)) return
    seen.add(span.spanID)
    rows.push({ ...rowOf(trace, span, attempt, options), tree: before + branch, depth })
    const below = children.get(span.spanID) ?? []
    const [fork, last, through] = options.style.glyphs.arrow === '->' ? ['|-', '`-', '| '] : ['├ ', '└ ', '│ ']
    const own = branch === '' ? '' : branch === last ? '  ' : through!
    let attempts = 0
    for (const [index, child] of below.entries()) {
      if (tagOf(child.tags, 'span.kind') === 'client') attempts++
      add(child, before + own, index === below.length - 1 ? last! : fork!, depth + 1, attempts)
    }
  }
  for (const root of roots) add(root, '', '', 0, 0)
  return rows
}

function rowOf(
  trace: JaegerTrace,
  span: JaegerSpan,
  attempt: number,
  options: Pick<TreeOptions, 'style' | 'nameOf'>,
): Omit<Row, 'tree' | 'depth'> {
  const { style, nameOf } = options
  const { tags } = span
  const kind = tagOf(tags, 'span.kind')
  const grpc = tagOf(tags, 'rpc.grpc.status_code')
  const status = grpc === null ? tagOf(tags, 'http.response.status_code') : grpc === 0 ? 'OK' : `gRPC status ${grpc}`
  const service = serviceOf(trace, span)
  const isFailed = tagOf(tags, 'error') === true
  const base = { span, service }
  if (kind === 'client') {
    const retry = String(tagOf(tags, 'outrigger.retry') ?? '')
    const again = retry.startsWith('yes') ? `tried again${retry.slice('yes'.length)}` : ''
    const failure = tagOf(tags, 'error.type')
    const outcome = String(isFailed && failure !== null ? failure : (status ?? ''))
    return {
      ...base,
      text: `attempt ${attempt} at ${nameOf(String(tagOf(tags, 'outrigger.endpoint') ?? ''))}`,
      paint: isFailed ? style.red : style.green,
      note: [outcome, again].filter(text => text !== '').join(', '),
    }
  }
  if (kind === 'internal' && tagOf(tags, 'outrigger.service') !== null)
    return {
      ...base,
      text: `to ${tagOf(tags, 'outrigger.service')}: ${span.operationName}`,
      paint: isFailed ? style.red : style.cyan,
      note: `${status ?? ''}`,
    }
  return {
    ...base,
    text: span.operationName,
    paint: isFailed ? style.red : style.dim,
    note: `${status ?? ''}`,
  }
}

function barOf(
  { startTime, duration }: JaegerSpan,
  begin: number,
  total: number,
  width: number,
  paint: Paint,
  { dim, glyphs }: Style,
): string {
  if (width === 0 || total <= 0) return ''
  const from = Math.min(width - 1, Math.round(((startTime - begin) / total) * width))
  const length = Math.max(1, Math.min(width - from, Math.round((duration / total) * width)))
  return `${dim(glyphs.track.repeat(from))}${paint(glyphs.bar.repeat(length))}${dim(glyphs.track.repeat(width - from - length))}`
}
