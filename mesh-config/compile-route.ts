import { durationMs } from './duration.ts'
import type { RoutePolicy, ValuePolicy } from './service.ts'
import { sizeBytes } from './size.ts'
import type {
  MatchSpec,
  RetrySpec,
  RouteRetries,
  RouteSpec,
  RouteTimeouts,
  ServiceTimeouts,
  ValueMatchSpec,
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
    to: route.to.map(({ service: other, subset, weight }) => ({
      service: other ?? service,
      subset: subset ?? null,
      weight,
    })),
    timeouts: route.timeouts === undefined ? null : overlayTimeouts(timeouts, route.timeouts),
    retries: route.retries === undefined ? null : overlayRetries(retries, route.retries),
  }
}

function overlayTimeouts(base: ServiceTimeouts, over: NonNullable<RoutePolicy['timeouts']>): RouteTimeouts {
  const ms = (own: string | 0 | undefined, inherited: number): number =>
    own === undefined ? inherited : durationMs(own)
  return {
    requestMs: ms(over.request, base.requestMs),
    perTryMs: ms(over.perTry, base.perTryMs),
    idleMs: ms(over.idle, base.idleMs),
    grpcTimeout: over.grpcTimeout ?? base.grpcTimeout,
    grpcTimeoutMaxMs: ms(over.grpcTimeoutMax, base.grpcTimeoutMaxMs),
    grpcTimeoutOffsetMs: ms(over.grpcTimeoutOffset, base.grpcTimeoutOffsetMs),
    tunnelMs: ms(over.tunnel, base.tunnelMs),
  }
}

function overlayRetries(base: RetrySpec, over: NonNullable<RoutePolicy['retries']>): RouteRetries {
  return {
    on: over.on ?? base.on,
    attempts: over.attempts ?? base.attempts,
    replayBytes: over.replayBytes === undefined ? base.replayBytes : sizeBytes(over.replayBytes),
  }
}

function compileMatch({ path, methods, headers, query }: RoutePolicy['match']): MatchSpec {
  const [kind, value] = Object.entries(path ?? { prefix: '/' })[0] as [MatchSpec['path']['kind'], string]
  return {
    path: { kind, value },
    methods: methods ?? [],
    headers: Object.entries(headers ?? {}).map(([name, match]) => compileValue(name.toLowerCase(), match)),
    query: Object.entries(query ?? {}).map(([name, match]) => compileValue(name, match)),
  }
}

function compileValue(name: string, match: ValuePolicy): ValueMatchSpec {
  const [kind, value] = Object.entries(match)[0] as [Exclude<ValueMatchSpec['kind'], 'absent'>, string | boolean]
  return typeof value === 'boolean' ? { name, kind: value ? 'present' : 'absent', value: '' } : { name, kind, value }
}

/** The path as a user would write it, which is its name in metrics. */
function patternOf({ kind, value }: MatchSpec['path']): string {
  return kind === 'prefix' ? `${value}*` : value
}
