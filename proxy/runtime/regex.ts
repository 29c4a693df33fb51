import type { ResolveSpec, RouteRetries, RouteSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'
import type { ProxyEvent } from '../core/telemetry.ts'
import type { CompileRegex } from '../router/predicate.ts'

/** What loading and compiling may take before it is said in the log. Requests of this data thread wait meanwhile. */
const SLOW_MS = 100

export interface PatternsDeps {
  readonly clock: Clock
  readonly event: (event: ProxyEvent) => void
  /** The engine: loaded for the first snapshot that has a pattern, since most have none. */
  readonly load: () => Promise<(pattern: string) => (text: string) => boolean>
}

/** The patterns of one snapshot. */
export interface Patterns {
  readonly compile: CompileRegex
  /** All of the snapshot are compiled: says in the log what that cost, where it was much. */
  done(): void
}

/** RE2 matches in time linear in the text, so no pattern can be made to hang a data thread. */
export async function loadRe2(): ReturnType<PatternsDeps['load']> {
  const { RE2JS } = await import('re2js')
  return pattern => {
    const compiled = RE2JS.compile(pattern)
    return text => compiled.matches(text)
  }
}

/** Compiles the patterns of snapshots as these are prepared, and measures what that costs. */
export function patternsOf({ clock, event, load }: PatternsDeps): (snapshot: Snapshot) => Promise<Patterns> {
  let engine: Awaited<ReturnType<typeof load>> | null = null

  return async snapshot => {
    if (engine === null && !hasPattern(snapshot)) return { compile: unused, done() {} }
    const startedAt = clock.now()
    engine ??= await load()
    const own = engine
    const loadMs = clock.now() - startedAt
    let [count, compileMs, slowest, slowestMs] = [0, 0, '', 0]
    return {
      compile(pattern) {
        const before = clock.now()
        const matches = own(pattern)
        const took = clock.now() - before
        count++
        compileMs += took
        if (took > slowestMs) [slowest, slowestMs] = [pattern, took]
        return matches
      },
      done() {
        if (loadMs + compileMs >= SLOW_MS)
          event({ kind: 'slow-patterns', loadMs, compileMs, count, slowest, slowestMs })
      },
    }
  }
}

function hasPattern({ services }: Snapshot): boolean {
  return Object.values(services).some(
    ({ routes, retries, resolve }) =>
      routes.some(isPattern) || hasHeaderPattern(retries) || (resolve !== undefined && hasFilterPattern(resolve)),
  )
}

function hasFilterPattern({ filters, failover }: ResolveSpec): boolean {
  return [...Object.values(filters), ...failover].some(({ filter }) => filter.includes('matches'))
}

function isPattern({ match: { path, headers, query }, retries }: RouteSpec): boolean {
  return (
    path.kind === 'regex' || [...headers, ...query].some(({ kind }) => kind === 'regex') || hasHeaderPattern(retries)
  )
}

function hasHeaderPattern(retries: RouteRetries | null): boolean {
  return retries?.headers?.some(({ kind }) => kind === 'regex') ?? false
}

const unused: CompileRegex = pattern => {
  throw new Error(`the snapshot was said to have no pattern, and has ${pattern}`)
}
