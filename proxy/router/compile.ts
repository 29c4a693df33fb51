import type { MatchSpec } from '../../mesh-config/snapshot.ts'
import type { RequestHead } from '../core/message.ts'
import type { Route } from '../core/route.ts'
import { type CompileRegex, conditions, type Predicate } from './predicate.ts'

export interface Candidate {
  readonly route: Route
  readonly match: MatchSpec
}

interface Compiled {
  readonly route: Route
  readonly path: ((path: string) => boolean) | null
  readonly conditions: Predicate | null
}

/** From request to route: the first match in the order written. */
export type RouteTable = (request: RequestHead) => Route | null

/**
 * Compiles the routes of one service. An exact path looks up, in a map, the routes that can match it (in order); any
 * other path looks up the routes without an exact path that share its first segment. The remaining conditions are
 * tested for each, in order.
 */
export function compileRoutes(candidates: readonly Candidate[], regex: CompileRegex): RouteTable {
  const first = candidates[0]
  if (candidates.length === 1 && first !== undefined && isCatchAll(first.match)) return () => first.route
  const all = candidates.map(candidate => ({ candidate, compiled: compile(candidate, regex) }))
  const exact = new Map<string, Compiled[]>()
  for (const { candidate } of all) {
    const { path } = candidate.match
    if (isExact(candidate.match)) exact.set(path.value, listFor(all, path.value))
  }
  const open = all.filter(({ candidate }) => !isExact(candidate.match))
  const bySegment = new Map<string, Compiled[]>()
  for (const { candidate } of open) {
    const segment = wholeSegment(candidate.match)
    if (segment !== null && !bySegment.has(segment)) bySegment.set(segment, segmentList(open, segment))
  }
  const others = segmentList(open, null)
  return request => {
    const target = request.path
    const mark = target.indexOf('?')
    const path = mark < 0 ? target : target.slice(0, mark)
    const query = mark < 0 ? '' : target.slice(mark + 1)
    const list = exact.get(path) ?? (bySegment.size === 0 ? others : (bySegment.get(segmentOf(path)) ?? others))
    for (let i = 0; i < list.length; i++) {
      const entry = list[i]!
      if (
        (entry.path === null || entry.path(path)) &&
        (entry.conditions === null || entry.conditions(request, path, query))
      )
        return entry.route
    }
    return null
  }
}

interface Entry {
  readonly candidate: Candidate
  readonly compiled: Compiled
}

function compile(candidate: Candidate, regex: CompileRegex): Compiled {
  const { match, route } = candidate
  return { route, path: pathTest(match, regex), conditions: conditions(match, regex) }
}

function pathTest(match: MatchSpec, regex: CompileRegex): Compiled['path'] {
  const { kind, value, ignoreCase } = match.path
  if (kind === 'regex') return regex(value)
  if (kind === 'prefix' && (value === '/' || value === '')) return null
  if (!ignoreCase) return kind === 'exact' ? path => path === value : path => path.startsWith(value)
  const lower = value.toLowerCase()
  return kind === 'exact'
    ? path => path.length === lower.length && path.toLowerCase() === lower
    : path => path.length >= lower.length && path.slice(0, lower.length).toLowerCase() === lower
}

/** A path that a look-up by its very text finds. */
function isExact({ path: { kind, ignoreCase } }: MatchSpec): boolean {
  return kind === 'exact' && !ignoreCase
}

export function isCatchAll(match: MatchSpec): boolean {
  const { kind, value } = match.path
  return (
    kind === 'prefix' &&
    (value === '/' || value === '') &&
    match.methods.length === 0 &&
    match.headers.length === 0 &&
    match.query.length === 0
  )
}

/** Routes that this exact path can match, in order. */
function listFor(all: readonly Entry[], path: string): Compiled[] {
  return all.filter(({ compiled }) => compiled.path === null || compiled.path(path)).map(({ compiled }) => compiled)
}

/** `/api/` for a prefix with a whole first segment; null for other prefixes, which any path may match. */
function wholeSegment(match: MatchSpec): string | null {
  if (match.path.kind !== 'prefix' || match.path.ignoreCase) return null
  const end = match.path.value.indexOf('/', 1)
  return end < 0 ? null : match.path.value.slice(0, end + 1)
}

function segmentList(open: readonly Entry[], segment: string | null): Compiled[] {
  return open
    .filter(({ candidate }) => {
      const own = wholeSegment(candidate.match)
      return own === null || own === segment
    })
    .map(({ compiled }) => compiled)
}

function segmentOf(path: string): string {
  const end = path.indexOf('/', 1)
  return end < 0 ? path : path.slice(0, end + 1)
}

/** Whether a request matches, by itself; null: every request does. */
export function matcherOf(match: MatchSpec, regex: CompileRegex): ((request: RequestHead) => boolean) | null {
  if (isCatchAll(match)) return null
  const path = pathTest(match, regex)
  const others = conditions(match, regex)
  return request => {
    const target = request.path
    const mark = target.indexOf('?')
    const own = mark < 0 ? target : target.slice(0, mark)
    if (path !== null && !path(own)) return false
    return others === null || others(request, own, mark < 0 ? '' : target.slice(mark + 1))
  }
}
