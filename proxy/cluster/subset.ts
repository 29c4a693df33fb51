import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { LoadBalancer } from '../core/balancer.ts'
import type { Balance } from './balance.ts'
import type { HostSetChange } from './host-set.ts'

/** The labels that the metadata of an endpoint must have. */
export type Labels = Readonly<Record<string, string>>

/** Null: any metadata. */
export function isIn(labels: Labels | null, { metadata }: EndpointSpec): boolean {
  for (const name in labels) if (metadata[name] !== labels[name]) return false
  return true
}

/** Whether endpoints with these labels came, went, or changed in a field that pickers use. */
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
