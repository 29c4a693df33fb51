import { compileFallback } from './compile-breaker.ts'
import { overlayRetries } from './compile-retries.ts'
import { compileValues, formOf } from './compile-values.ts'
import { durationMs } from './duration.ts'
import type { HeaderEditsPolicy } from './header-edits.ts'
import type { RoutePolicy } from './service.ts'
import type {
  HeadEditsSpec,
  HeaderEditsSpec,
  MatchSpec,
  RetrySpec,
  RouteSpec,
  RouteTimeouts,
  ServiceTimeouts,
} from './snapshot.ts'

export function compileRoute(
  service: string,
  route: RoutePolicy,
  timeouts: ServiceTimeouts,
  retries: RetrySpec,
): RouteSpec {
  const match = compileMatch(route.match)
  return {
    name: route.name ?? patternOf(match.path),
    match,
    to: route.to.map(({ service: other, subset, weight, headers }) => ({
      service: other ?? service,
      subset: subset ?? null,
      weight,
      ...compileHeaders(headers),
    })),
    ...(route.rewrite === undefined ? {} : { rewrite: route.rewrite }),
    ...compileHeaders(route.headers),
    ...compileFallback(service, route.fallback),
    ...(route.priority === undefined ? {} : { priority: route.priority }),
    timeouts: route.timeouts === undefined ? null : overlayTimeouts(timeouts, route.timeouts),
    retries: route.retries === undefined ? null : overlayRetries(retries, route.retries),
  }
}

function overlayTimeouts(base: ServiceTimeouts, over: NonNullable<RoutePolicy['timeouts']>): RouteTimeouts {
  const ms = (own: string | 0 | undefined, inherited: number): number =>
    own === undefined ? inherited : durationMs(own)
  const maxStreamMs = ms(over.maxStream, base.maxStreamMs ?? 0)
  const deadline = over.deadline ?? base.deadline ?? 'enforce'
  return {
    ...(deadline === 'enforce' ? {} : { deadline }),
    ...(maxStreamMs === 0 ? {} : { maxStreamMs }),
    requestMs: ms(over.request, base.requestMs),
    perTryMs: ms(over.perTry, base.perTryMs),
    idleMs: ms(over.idle, base.idleMs),
    grpcTimeout: over.grpcTimeout ?? base.grpcTimeout,
    grpcTimeoutMaxMs: ms(over.grpcTimeoutMax, base.grpcTimeoutMaxMs),
    grpcTimeoutOffsetMs: ms(over.grpcTimeoutOffset, base.grpcTimeoutOffsetMs),
    tunnelMs: ms(over.tunnel, base.tunnelMs),
  }
}

function compileMatch({ path, methods, headers, query }: RoutePolicy['match']): MatchSpec {
  const { ignoreCase = false, ...forms } = { ignoreCase: false, ...(path ?? { prefix: '/' }) }
  const [kind, value] = formOf<MatchSpec['path']['kind'], string>(forms)
  return {
    path: { kind, value, ...(ignoreCase ? { ignoreCase } : {}) },
    methods: methods ?? [],
    headers: Object.entries(headers ?? {}).flatMap(([name, match]) => compileValues(name.toLowerCase(), match)),
    query: Object.entries(query ?? {}).flatMap(([name, match]) => compileValues(name, match)),
  }
}

function compileHeaders(headers: HeaderEditsPolicy | undefined): { headers?: HeaderEditsSpec } {
  return headers === undefined
    ? {}
    : { headers: { request: compileEdits(headers.request), response: compileEdits(headers.response) } }
}

function compileEdits(edits: HeaderEditsPolicy['request']): HeadEditsSpec {
  const pairs = (values: Readonly<Record<string, string>> = {}): [string, string][] =>
    Object.entries(values).map(([name, value]) => [name.toLowerCase(), value])
  return {
    remove: (edits?.remove ?? []).map(name => name.toLowerCase()),
    add: pairs(edits?.add),
    set: pairs(edits?.set),
  }
}

/** The path as a user would write it, which is its name in metrics. */
function patternOf({ kind, value }: MatchSpec['path']): string {
  return kind === 'prefix' ? `${value}*` : value
}
