import { type Located, nodeAt, type Path, plain } from './located.ts'
import { formatPath } from './value-path.ts'

/** What the sidecar's own files write for a service: the last layer of its policy, over all that the agent knows. */
export interface OwnPolicySection {
  /** As written, without defaults. */
  readonly policy: unknown
  /** By the path of a value in it: where it stands, as `sidecar.yaml:12`. */
  readonly at: Readonly<Record<string, string>>
}

/** By service; those of which nothing is written are left out. */
export type OwnPolicies = Readonly<Record<string, OwnPolicySection>>

export function ownPolicies(root: Located): OwnPolicies {
  const services = nodeAt(root, ['services'])
  if (services?.kind !== 'map') return {}
  return Object.fromEntries(
    [...services.entries].flatMap(([name, { node }]): [string, OwnPolicySection][] => {
      if (node.kind !== 'map' || node.entries.size === 0) return []
      const at: Record<string, string> = {}
      note(node, [], at)
      return [[name, { policy: plain(node), at }]]
    }),
  )
}

function note(node: Located, path: Path, at: Record<string, string>): void {
  if (node.kind === 'map') for (const [key, entry] of node.entries) note(entry.node, [...path, key], at)
  else if (node.kind === 'list' && node.items.some(({ kind }) => kind !== 'scalar'))
    for (const [index, item] of node.items.entries()) note(item, [...path, index], at)
  else at[formatPath(path)] = `${node.at.file}:${node.at.line}`
}
