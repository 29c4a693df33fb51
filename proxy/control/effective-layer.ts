import { parseJson } from '../../mesh-config/bounded-json.ts'
import type { Effective, Source } from '../../mesh-config/effective.ts'
import { own } from '../../mesh-config/own.ts'
import { formatPath } from '../../mesh-config/value-path.ts'
import type { Policies } from '../core/agent-policy.ts'

/** As Update.provenance of agent/sync/sync.proto has it. */
interface Said {
  readonly at: string
  /** As its author wrote it; absent: not said. */
  readonly value?: unknown
  /** Of the value, where it cannot be read off its name. */
  readonly path?: readonly (string | number)[]
}

type Container = Record<string | number, unknown>

/**
 * The effective configuration of the files, with the values that the agent says: `services` are those in use, and only
 * their policies count.
 */
export function withProvenance(effective: Effective, services: readonly string[], policies: Policies): Effective {
  const said = services.flatMap((service): [string, Readonly<Record<string, Said>>][] => {
    const policy = policies.get(service)
    return policy === undefined || policy.spec === null ? [] : [[service, provenanceOf(policy.provenance)]]
  })
  if (said.length === 0) return effective
  const config = structuredClone(effective.config) as Container
  const sources: Record<string, Source> = { ...effective.sources }
  for (const [service, values] of said)
    for (const [name, { at, value, path = stepsOf(name) }] of Object.entries(values)) {
      const whole = ['services', service, ...path]
      if (value !== undefined) put(config, whole, value)
      sources[formatPath(whole)] = { at }
    }
  return { ...effective, config, sources }
}

/** What makes no sense is left out. */
function provenanceOf(text: string): Readonly<Record<string, Said>> {
  if (text === '') return {}
  try {
    const parsed = parseJson(text)
    if (typeof parsed !== 'object' || parsed === null) return {}
    return Object.fromEntries(Object.entries(parsed).filter(([, said]) => typeof said?.at === 'string'))
  } catch {
    return {}
  }
}

/** `routes[0].match.path` -> routes, 0, match, path. */
function stepsOf(name: string): (string | number)[] {
  return name
    .split(/[.[]/)
    .filter(step => step !== '')
    .map(step => (/^\d+\]$/.test(step) ? Number.parseInt(step, 10) : step))
}

/** More items in a list would be made of nothing. */
const MOST_ITEMS = 100_000

function put(root: Container, path: readonly (string | number)[], value: unknown): void {
  let at = root
  for (const [index, step] of path.entries()) {
    if (step === '__proto__' || (typeof step === 'number' && step > MOST_ITEMS)) return
    if (index === path.length - 1) {
      at[step] = value
      return
    }
    const next = own(at as Record<string, unknown>, String(step))
    const isContainer = typeof next === 'object' && next !== null
    if (!isContainer) at[step] = typeof path[index + 1] === 'number' ? [] : {}
    at = at[step] as Container
  }
}
