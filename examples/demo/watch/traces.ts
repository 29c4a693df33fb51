import { type JaegerSpan, type JaegerTrace, tagOf, tracesWith } from '../../support/jaeger.ts'

/** A trace worth looking at, and where it is. */
export interface FoundTrace {
  readonly trace: JaegerTrace
  readonly services: readonly string[]
  /** Attempts that were made again elsewhere. */
  readonly retries: number
  readonly link: string
}

export interface Looked {
  readonly best: FoundTrace | null
  /** Traces with a second attempt, also those that are not worth looking at. */
  readonly retried: number
}

const ENOUGH_SERVICES = 4
/** Sidecars send their spans once a second, the agent soon after: what is not there by then does not come. */
const SETTLED_MS = 10_000

/**
 * The newest trace that begins at web, crosses four services and has a retry in it. Jaeger is asked for traces in which a sidecar made a second attempt. `now`: milliseconds of wall time.
 */
export async function findTrace(port: number, now = Date.now()): Promise<Looked> {
  const wanted = await Promise.all(
    ['2', '3'].map(attempts => tracesWith(port, 'web', { 'outrigger.attempts': attempts }, 40)),
  )
  const traces = wanted.flat()
  return { best: newestOf(traces, port, now), retried: traces.length }
}

/**
 * One without a gap where there is one. A request that reached the killed instance leaves a gap for good: the spans that
 * this instance had not sent are lost with it, and those of its own calls have no parent.
 */
export function newestOf(traces: readonly JaegerTrace[], port: number, now: number): FoundTrace | null {
  const good = traces.filter(
    trace => isWorthIt(trace) && (rootsOf(trace).length === 1 || endOf(trace) < now - SETTLED_MS),
  )
  const byGaps = (a: JaegerTrace, b: JaegerTrace) =>
    Math.sign(rootsOf(a).length - 1) - Math.sign(rootsOf(b).length - 1) || beginOf(b) - beginOf(a)
  const best = good.sort(byGaps)[0]
  return best === undefined ? null : about(best, port)
}

export function about(trace: JaegerTrace, port: number): FoundTrace {
  const services = [...new Set(trace.spans.map(span => serviceOf(trace, span)))].sort()
  const retries = trace.spans.filter(isRetried).length
  return { trace, services, retries, link: `http://127.0.0.1:${port}/trace/${trace.traceID}` }
}

export function serviceOf(trace: JaegerTrace, { processID }: JaegerSpan): string {
  return trace.processes[processID]?.serviceName ?? '?'
}

/** An attempt after which there was another one. */
export function isRetried({ tags }: JaegerSpan): boolean {
  return tagOf(tags, 'span.kind') === 'client' && String(tagOf(tags, 'outrigger.retry') ?? '').startsWith('yes')
}

/** A retried attempt, and four services, in the part of the trace that hangs together. */
function isWorthIt(trace: JaegerTrace): boolean {
  return rootsOf(trace).some(root => {
    const part = below(trace, root)
    return part.some(isRetried) && new Set(part.map(span => serviceOf(trace, span))).size >= ENOUGH_SERVICES
  })
}

/** Spans whose parent is not there: that of the first request, and those whose parent is still to come, or lost. */
function rootsOf({ spans }: JaegerTrace): readonly JaegerSpan[] {
  const ids = new Set(spans.map(({ spanID }) => spanID))
  return spans.filter(({ references }) => references.every(({ spanID }) => !ids.has(spanID)))
}

function below({ spans }: JaegerTrace, root: JaegerSpan): readonly JaegerSpan[] {
  const found = new Set([root.spanID])
  for (let before = 0; before < found.size; ) {
    before = found.size
    for (const { spanID, references } of spans) if (references.some(each => found.has(each.spanID))) found.add(spanID)
  }
  return spans.filter(({ spanID }) => found.has(spanID))
}

function beginOf({ spans }: JaegerTrace): number {
  return Math.min(...spans.map(({ startTime }) => startTime))
}

/** Milliseconds of wall time. */
function endOf({ spans }: JaegerTrace): number {
  return Math.max(...spans.map(({ startTime, duration }) => startTime + duration)) / 1000
}
