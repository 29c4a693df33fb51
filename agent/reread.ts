import { isDeepStrictEqual } from 'node:util'
import type { AgentDocument } from '../mesh-config/agent/agent-file.ts'

/** What a changed agent file means for an agent that runs. */
export interface Reread {
  /** What comes into force now: the rest is as before. */
  readonly document: AgentDocument
  /** Such as `policies.order`: they come into force now. */
  readonly changed: readonly string[]
  /** They wait for a restart. */
  readonly waiting: readonly string[]
}

/** Sections of which a part comes into force at once: they are compared key by key. */
const IN_PARTS: ReadonlySet<string> = new Set(['policies', 'traces'])

export function reread(inForce: AgentDocument, file: AgentDocument): Reread {
  const { folder, order, zookeeper } = file.policies
  const { sample, spansPerSecond } = file.traces
  const document = {
    ...inForce,
    policies: { ...inForce.policies, folder, order, zookeeper },
    traces: { ...inForce.traces, sample, spansPerSecond },
  }
  return { document, changed: differences(inForce, document), waiting: differences(document, file) }
}

/** Names of what is different: keys of these two sections, and whole sections else. */
function differences(a: AgentDocument, b: AgentDocument): string[] {
  const sections = new Set([...Object.keys(a), ...Object.keys(b)] as (keyof AgentDocument)[])
  return [...sections].flatMap(section => {
    if (!IN_PARTS.has(section)) return isDeepStrictEqual(a[section], b[section]) ? [] : [section]
    const [before, after] = [a[section], b[section]] as Readonly<Record<string, unknown>>[]
    const keys = new Set([...Object.keys(before!), ...Object.keys(after!)])
    return [...keys].filter(key => !isDeepStrictEqual(before![key], after![key])).map(key => `${section}.${key}`)
  })
}
