import { checkRefused, checkRegexes } from './cross-check.ts'
import { crossCheckBalancer } from './cross-check-discovery.ts'
import { crossCheckTls } from './cross-check-tls.ts'
import { type Located, nodeAt, type Problem, problem, type Say } from './located.ts'
import { entriesAt, itemsAt, scalarAt, type Text, textAt } from './look.ts'
import { nearest } from './nearest.ts'
import { resolveSubsets } from './resolve-subsets.ts'

/** The policy of one service as a part of a sidecar file, which the checks of those files read. */
function asServices(service: string, policy: Located): Located {
  const { at } = policy
  const services: Located = { kind: 'map', at, entries: new Map([[service, { keyAt: at, node: policy }]]) }
  return { kind: 'map', at, entries: new Map([['services', { keyAt: at, node: services }]]) }
}

/** Checks of one document by itself. */
export async function crossCheckDocument(service: string, document: Located): Promise<Problem[]> {
  const problems: Problem[] = []
  const say: Say = (at, message) => void problems.push(problem(at, message))
  const root = asServices(service, document)
  checkRefused(root, [], say)
  await checkRegexes(root, say)
  return problems
}

/** Checks of a whole policy: that its values, of several documents, fit together. */
export function crossCheckPolicy(service: string, policy: Located): Problem[] {
  const problems: Problem[] = []
  const say: Say = (at, message) => void problems.push(problem(at, message))
  crossCheckBalancer(asServices(service, policy), say)
  crossCheckTls(asServices(service, policy), say)
  const isTcp = textAt(policy, ['protocol'])?.value === 'tcp'
  checkSubset(policy, textAt(policy, ['subsetFallback', 'subset']), say)
  for (const subset of resolveSubsets(policy)) checkSubset(policy, subset, say)
  for (const each of [policy, ...itemsAt(policy, ['routes'])]) {
    const other = textAt(each, ['fallback', 'to', 'service'])
    if (other === null || other.value === service) checkSubset(policy, textAt(each, ['fallback', 'to', 'subset']), say)
  }
  for (const route of itemsAt(policy, ['routes'])) {
    const destinations = itemsAt(route, ['to'])
    for (const destination of destinations) {
      const other = textAt(destination, ['service'])
      if (other === null || other.value === service) checkSubset(policy, textAt(destination, ['subset']), say)
    }
    const weights = destinations.map(destination => scalarAt(destination, ['weight']))
    if (weights.length > 0 && weights.every(weight => weight?.value === 0))
      say(weights[0]!.at, 'all weights are 0, so requests of this route have no destination: give one of them a weight')
    const match = nodeAt(route, ['match'])
    if (isTcp && match?.kind === 'map' && match.entries.size > 0)
      say(match.at, `${service} speaks TCP, which has no paths, methods or headers: remove match`)
  }
  return problems
}

const subsetPaths = [['subsets'], ['resolve', 'subsets']] as const

function checkSubset(policy: Located, subset: Text | null, say: Say): void {
  if (subset === null) return
  const names = subsetPaths.flatMap(path => entriesAt(policy, path).map(([name]) => name))
  if (names.includes(subset.value)) return
  const meant = nearest(subset.value, names)
  const known = names.length === 0 ? 'there are no subsets: define it under subsets:' : `there are ${names.join(', ')}`
  say(subset.at, `there is no subset "${subset.value}": ${meant === null ? known : `did you mean "${meant}"?`}`)
}
