import type { RouteRetries } from '../../mesh-config/snapshot.ts'
import { USUAL_BACKOFF } from '../core/backoff.ts'
import type { RetryPolicy } from '../core/cluster.ts'
import { SecondWindow } from '../core/second-window.ts'
import { isGrpcCondition } from '../forward/grpc-retry.ts'
import { IDEMPOTENT } from '../forward/repeatable.ts'
import { type CompileRegex, valueTest } from '../router/predicate.ts'

/** The retries of a route, so that a request looks nothing up. */
export function retryPolicy(spec: RouteRetries, isOnlyRoute: boolean, regex: CompileRegex): RetryPolicy {
  const { attempts, replayBytes, on, statuses, methods = [], idempotencyKey = false, backoff, hedge } = spec
  return {
    statuses: statuses === undefined ? null : new Set(statuses),
    byHeaders: byHeaders(spec, regex),
    methods: new Set([...IDEMPOTENT, ...methods]),
    trustsKey: idempotencyKey,
    backoff: backoff ?? USUAL_BACKOFF,
    hedge: hedge === undefined || attempts === 1 ? null : hedge,
    used: isOnlyRoute ? null : new SecondWindow(),
    attempts,
    replayBytes,
    on: new Set(on),
    anyMethod:
      attempts > 1 &&
      on.some(
        condition => condition === 'refused-stream' || condition === 'connect-failure' || isGrpcCondition(condition),
      ),
  }
}

function byHeaders({ headers = [], on }: RouteRetries, regex: CompileRegex): RetryPolicy['byHeaders'] {
  const tests = headers.map(spec => ({ name: spec.name, test: valueTest(spec, regex) }))
  const isLimited = on.includes('envoy-ratelimited')
  if (tests.length === 0 && !isLimited) return null
  return answer => {
    for (const { name, test } of tests) if (test(answer.get(name))) return 'retriable-headers'
    return isLimited && answer.get('x-envoy-ratelimited') !== undefined ? 'envoy-ratelimited' : null
  }
}
