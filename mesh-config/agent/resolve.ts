import type { DiscoverySpec } from '../snapshot.ts'

/** The `resolve` of a policy document: keys for the agent only, spread into the schema (policy-document.ts). */
export const resolveKeys = {}

/** Where a policy says that the endpoints of the service are; null: nothing, the proxy's own files say it. */
export function compileResolve(_service: string, _policy: object): Partial<DiscoverySpec> | null {
  return null
}
