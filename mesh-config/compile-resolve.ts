import type { ResolvePolicy } from './resolve.ts'
import type { FailoverSpec, ResolveSpec, ServiceSpec } from './snapshot.ts'

/** The name of the whole service among its subsets. */
export const WHOLE = ''

/** `service`: what callers call it. `subsets`: all of its, those by labels too. */
export function compileResolve(
  service: string,
  { service: alias, datacenter, default: defaultSubset, subsets: filters, failover }: ResolvePolicy,
  subsets: ServiceSpec['subsets'],
): ResolveSpec {
  const own = alias ?? service
  const fallbacks: Record<string, string> = {}
  const elsewhere = new Map<string, FailoverSpec>()
  for (const view of [WHOLE, ...Object.keys(subsets)]) {
    const targets = (Object.hasOwn(failover, view) ? failover[view] : failover['*']) ?? []
    for (const [index, target] of targets.entries()) {
      const isSameService = (target.service ?? own) === own
      const isHere = isSameService && (target.datacenter ?? datacenter) === datacenter
      if (isHere) {
        if (target.subset !== undefined && target.subset !== view) fallbacks[view] ??= target.subset
        continue
      }
      const at = target.datacenter ?? datacenter ?? null
      const from = `${target.service ?? own}@${at ?? ''}`
      const named = { filter: target.filter ?? '', onlyPassing: target.onlyPassing }
      const subset = isSameService ? (target.subset ?? view) : WHOLE
      const key = JSON.stringify([from, subset, named])
      const known = elsewhere.get(key)
      elsewhere.set(key, {
        from,
        service: target.service ?? own,
        datacenter: at,
        priority: Math.min(known?.priority ?? Number.POSITIVE_INFINITY, index + 1),
        isSameService,
        subset,
        ...named,
        standsInFor: [...(known?.standsInFor ?? []), view],
      })
    }
  }
  return {
    service: alias ?? null,
    datacenter: datacenter ?? null,
    defaultSubset: defaultSubset ?? null,
    filters: Object.fromEntries(
      Object.entries(filters).map(([name, { filter, onlyPassing }]) => [name, { filter: filter ?? '', onlyPassing }]),
    ),
    fallbacks,
    failover: [...elsewhere.values()].sort((a, b) => a.priority - b.priority),
  }
}
