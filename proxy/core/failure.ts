import type { Failure } from './failure-kind.ts'
import { downstreamFailures } from './failures-downstream.ts'
import { localFailures } from './failures-local.ts'
import { upstreamFailures } from './failures-upstream.ts'

export { type Failure, isFailure, type ResponseFlag } from './failure-kind.ts'

/**
 * The failure table: local replies, retries, classification, the access log, metrics, docs/failures.md and the tests all
 * read these rows. One file for each side. gRPC numbers are those of `google.rpc.Code`; the HTTP ones follow Envoy
 * except where a comment says why.
 */
export const failures = {
  ...upstreamFailures,
  ...localFailures,
  ...downstreamFailures,
} as const satisfies Record<string, Failure>

const byName = new Map<string, Failure>(Object.values(failures).map(row => [row.failure, row]))

/** Null: no row of this version has the name. */
export function failureNamed(name: string): Failure | null {
  return byName.get(name) ?? null
}
