import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { LoadBalancer } from '../core/balancer.ts'
import type { Balance } from './balance.ts'
import type { HostSetChange } from './host-set.ts'

/** What the metadata of an endpoint must have. */
export type Labels = Readonly<Record<string, string>>

/** Null: whatever it has. */
export function isIn(labels: Labels | null, { metadata }: EndpointSpec): boolean {
  for (const name in labels) if (metadata[name] !== labels[name]) return false
  return true
}

/** Whether the endpoints that these labels choose came, went, or changed in what pickers look at. */
export function isTouched(labels: Labels | null, { added, changed, removed }: HostSetChange): boolean {
  return (
    added.some(({ spec }) => isIn(labels, spec)) ||
    removed.some(({ spec }) => isIn(labels, spec)) ||
    changed.some(
      ({ endpoint: { spec }, before }) =>
        isIn(labels, before) !== isIn(labels, spec) || (isIn(labels, spec) && isBalancedOtherwise(before, spec)),
    )
  )
}

function isBalancedOtherwise(a: EndpointSpec, b: EndpointSpec): boolean {
  return a.weight !== b.weight || a.priority !== b.priority || a.zone !== b.zone || a.health !== b.health
}

/**
 * Whom a subset asks: its own endpoints while one of them is healthy, then the fallback if it has a healthy one. Then
 * in panic its own, if any is left to it. `other`: null where there is no fallback.
 */
export function withFallback(own: Balance, other: Balance | null): LoadBalancer {
  if (other === null || own.healthy !== 0 || (other.healthy === 0 && own.inRotation !== 0)) return own.balancer
  return fallbackPicker(other.balancer)
}

/** Says in the record that it was not the subset itself. */
function fallbackPicker(next: LoadBalancer): LoadBalancer {
  return {
    pick(context) {
      context.record.fallback = true
      return next.pick(context)
    },
  }
}
