import { compileValues } from './compile-values.ts'
import { durationMs } from './duration.ts'
import { percentileOf, type RetriesOverrides, type RetriesPolicy } from './retries.ts'
import { sizeBytes } from './size.ts'
import type { HedgeSpec, RetryCondition, RetrySpec, RouteRetries, ValueMatchSpec } from './snapshot.ts'

const DEFAULT_BACKOFF = { baseMs: 25, maxMs: 250 }

export function compileRetries(policy: RetriesPolicy): RetrySpec {
  const { on, statuses, headers, methods, idempotencyKey, attempts, replayBytes, backoff, hedge, budget } = policy
  return {
    on: conditionsOf(on),
    ...optional({
      statuses,
      headers: headersOf(headers),
      methods,
      idempotencyKey,
      backoff: { baseMs: durationMs(backoff.base), maxMs: durationMs(backoff.max) },
      hedge: hedgeOf(hedge),
    }),
    attempts,
    replayBytes: sizeBytes(replayBytes),
    budget,
  }
}

/** The retries of a route: what it says over what its service does. */
export function overlayRetries(base: RetrySpec, over: RetriesOverrides): RouteRetries {
  const { baseMs, maxMs } = base.backoff ?? DEFAULT_BACKOFF
  const { backoff } = over
  return {
    on: over.on === undefined ? base.on : conditionsOf(over.on),
    ...optional({
      statuses: over.statuses ?? base.statuses ?? [],
      headers: over.headers === undefined ? (base.headers ?? []) : headersOf(over.headers),
      methods: over.methods ?? base.methods ?? [],
      idempotencyKey: over.idempotencyKey ?? base.idempotencyKey ?? false,
      backoff: {
        baseMs: backoff?.base === undefined ? baseMs : durationMs(backoff.base),
        maxMs: backoff?.max === undefined ? maxMs : durationMs(backoff.max),
      },
      hedge: over.hedge === undefined ? (base.hedge ?? null) : hedgeOf(over.hedge),
    }),
    attempts: over.attempts ?? base.attempts,
    replayBytes: over.replayBytes === undefined ? base.replayBytes : sizeBytes(over.replayBytes),
  }
}

/** Words of Envoy that are several of ours. */
const several: Readonly<Record<string, readonly RetryCondition[]>> = {
  reset: ['reset-before-response', 'connect-failure', 'refused-stream', 'per-try-timeout'],
  'reset-before-request': ['connect-failure'],
}

function conditionsOf(on: RetriesPolicy['on']): RetryCondition[] {
  return [...new Set(on.flatMap(word => several[word] ?? [word as RetryCondition]))]
}

/** An answer needs one of them only, so they need no order. */
function headersOf(headers: RetriesPolicy['headers']): ValueMatchSpec[] {
  return Object.entries(headers).flatMap(([name, match]) => compileValues(name.toLowerCase(), match))
}

function hedgeOf(hedge: RetriesPolicy['hedge']): HedgeSpec | null {
  if (hedge === 'off') return null
  const percentile = percentileOf(hedge.after)
  return percentile === null
    ? { afterMs: durationMs(hedge.after), percentile: 0, minSamples: 0 }
    : { afterMs: 0, percentile, minSamples: hedge.minSamples }
}

interface Given {
  readonly statuses: readonly number[]
  readonly headers: readonly ValueMatchSpec[]
  readonly methods: readonly string[]
  readonly idempotencyKey: boolean
  readonly backoff: { readonly baseMs: number; readonly maxMs: number }
  readonly hedge: HedgeSpec | null
}

/** A spec says only what is in use. */
function optional({ statuses, headers, methods, idempotencyKey, backoff, hedge }: Given): Partial<RetrySpec> {
  const isUsual = backoff.baseMs === DEFAULT_BACKOFF.baseMs && backoff.maxMs === DEFAULT_BACKOFF.maxMs
  return {
    ...(statuses.length === 0 ? {} : { statuses }),
    ...(headers.length === 0 ? {} : { headers }),
    ...(methods.length === 0 ? {} : { methods }),
    ...(idempotencyKey ? { idempotencyKey } : {}),
    ...(isUsual ? {} : { backoff }),
    ...(hedge === null ? {} : { hedge }),
  }
}
