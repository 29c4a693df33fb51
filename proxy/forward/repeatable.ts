import type { RetryPolicy } from '../core/cluster.ts'
import type { RequestHead } from '../core/message.ts'
import { IDEMPOTENCY_KEY } from '../core/retry-fields.ts'

/** Methods whose repetition means no more than one of them (RFC 9110 section 9.2.2). */
export const IDEMPOTENT: readonly string[] = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']

/** May this request run twice? By its method, by those that the policy adds, or by a key that the policy trusts. */
export function mayRunTwice({ method, headers }: RequestHead, { methods, trustsKey }: RetryPolicy): boolean {
  return methods.has(method) || (trustsKey && headers.get(IDEMPOTENCY_KEY) !== undefined)
}
