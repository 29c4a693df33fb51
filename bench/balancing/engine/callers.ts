import type { BalancerSpec } from '../../../mesh-config/snapshot.ts'
import { policies } from '../../../proxy/balancer/policies.ts'
import { affinity } from '../../../proxy/cluster/affinity.ts'
import { Exchange } from '../../../proxy/core/exchange.ts'
import { HeaderList } from '../../../proxy/core/header-list.ts'
import { pickContext } from '../../../test/support/endpoints.ts'

/**
 * The hash of each caller for the policy; callers differ in their address and in `x-user`. The same in every sidecar.
 * Empty: the policy does not hash.
 */
export function callerHashes(spec: BalancerSpec, count: number): readonly number[] {
  const { prepare } = affinity(spec, policies[spec.type].hashes, () => 0)
  if (prepare === null) return []
  const context = pickContext()
  return Array.from({ length: count }, (_, caller) => {
    const peer = {
      address: `10.${caller >> 16}.${(caller >> 8) & 255}.${caller & 255}`,
      port: 40_000,
      local: '10.0.0.1',
      localPort: 15_001,
    }
    const request = {
      method: 'GET',
      scheme: 'http',
      authority: 'orders',
      path: '/',
      upgrade: '',
      headers: new HeaderList(['x-user', `user-${caller}`]),
    } as const
    prepare(new Exchange(peer, 'outbound', 'http/1.1', request), context)
    return context.hash
  })
}
