import { type JaegerSpan, type JaegerTrace, tagOf, tracesWith } from '../../support/jaeger.ts'

/** A trace worth looking at, and where it is. */
export interface FoundTrace {
  readonly trace: JaegerTrace
  readonly services: readonly string[]
  /** Attempts that were made again elsewhere. */
  readonly retries: number
  readonly link: string
}

const ENOUGH_SERVICES = 4

/**
 * The newest trace that begins at web, crosses four services and has a retry in it; null: there is none yet. Jaeger is
 * asked for traces in which a sidecar made a second attempt.
 */
export async function findTrace(port: number): Promise<FoundTrace | null> {
  const wanted = await Promise.all(
    ['2', '3'].map(attempts => tracesWith(port, 'web', { 'outrigger.attempts': attempts }, 40)),
  )
  const found = wanted.flat().map(trace => about(trace, port))
  const good = found.filter(
    ({ trace, services, retries }) => retries > 0 && services.length >= ENOUGH_SERVICES && isWhole(trace),
  )
  const startOf = ({ trace }: FoundTrace) => Math.min(...trace.spans.map(({ startTime }) => startTime))
  return good.sort((a, b) => startOf(b) - startOf(a))[0] ?? null
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

/** Sidecars send their spans each by itself: only when all parents are there is there nothing left to come. */
function isWhole({ spans }: JaegerTrace): boolean {
  const ids = new Set(spans.map(({ spanID }) => spanID))
  const roots = spans.filter(({ references }) => references.every(({ spanID }) => !ids.has(spanID)))
  return roots.length === 1
}
