import { parseFilter, termsOf } from './filter-expression.ts'
import type { Located, Position } from './located.ts'
import { entriesAt, itemsAt, type Text, textAt } from './look.ts'

/** The names of subsets of the same service that `resolve` of a policy refers to. */
export function resolveSubsets(policy: Located): Text[] {
  const targets = entriesAt(policy, ['resolve', 'failover']).flatMap(([, list]) => itemsAt(list, []))
  const own = targets.filter(target => textAt(target, ['service']) === null)
  return [textAt(policy, ['resolve', 'default']), ...own.map(target => textAt(target, ['subset']))].filter(
    text => text !== null,
  )
}

/** What filters of a policy match by expression. */
export function patternsOfFilters(policy: Located): { readonly pattern: string; readonly at: Position }[] {
  const targets = entriesAt(policy, ['resolve', 'failover']).flatMap(([, list]) => itemsAt(list, []))
  const subsets = entriesAt(policy, ['resolve', 'subsets']).map(([, subset]) => subset)
  return [...subsets, ...targets].flatMap(node => {
    const filter = textAt(node, ['filter'])
    const parsed = filter === null ? null : parseFilter(filter.value)
    if (filter === null || parsed?.ok !== true) return []
    const patterns = termsOf(parsed.filter).filter(({ test }) => test === 'matches')
    return patterns.map(({ value }) => ({ pattern: value, at: filter.at }))
  })
}
