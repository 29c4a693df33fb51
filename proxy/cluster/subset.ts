import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { LoadBalancer } from '../core/balancer.ts'
import type { Balance } from './balance.ts'
import type { HostSetChange } from './host-set.ts'
import type { Members } from './members.ts'

/** Whether endpoints with these members came, went, or changed in a field that pickers use. */
export function isTouched(members: Members, { added, changed, removed }: HostSetChange): boolean {
  return (
    added.some(({ spec }) => members(spec)) ||
    removed.some(({ spec }) => members(spec)) ||
    changed.some(
      ({ endpoint: { spec }, before }) =>
        members(before) !== members(spec) || (members(spec) && isBalancedOtherwise(before, spec)),
    )
  )
}

function isBalancedOtherwise(a: EndpointSpec, b: EndpointSpec): boolean {
  return a.weight !== b.weight || a.priority !== b.priority || a.zone !== b.zone || a.health !== b.health
}

/**
 * The picker of a subset: its own endpoints while one of them is healthy, then the fallback if that has a healthy one,
 * then its own endpoints in panic, if any is left. `other`: null where there is no fallback.
 */
export function withFallback(own: Balance, other: Balance | null): LoadBalancer {
  if (other === null || own.healthy !== 0 || (other.healthy === 0 && own.inRotation !== 0)) return own.balancer
  return fallbackPicker(other.balancer)
}

/** Notes in the record that a fallback was used. */
function fallbackPicker(next: LoadBalancer): LoadBalancer {
  return {
    pick(context) {
      context.record.fallback = true
      return next.pick(context)
    },
  }
}
