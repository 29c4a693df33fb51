import { checkConsulAccess } from '../consul-access.ts'
import type { Environment } from '../environment.ts'
import { loadDocument } from '../load.ts'
import {
  formatProblem,
  type Located,
  nodeAt,
  type Problem,
  plain,
  problem,
  type Say,
  sortProblems,
} from '../located.ts'
import { itemsAt, textAt, textOf } from '../look.ts'
import { type AgentDocument, agentSchema } from './agent-file.ts'

export type LoadedAgentFile =
  | { readonly ok: true; readonly document: AgentDocument; readonly root: Located | null }
  /** As `file:line:column: what is wrong: what to write`. */
  | { readonly ok: false; readonly errors: readonly string[] }

/** The text of an agent file, checked; null: there is no file, and everything is as by default. Never throws. */
export async function loadAgentFile(
  source: { readonly file: string; readonly text: string } | null,
  env: Environment,
): Promise<LoadedAgentFile> {
  if (source === null) return { ok: true, document: agentSchema.parse({}), root: null }
  const { root, problems } = loadDocument(source.file, source.text, env)
  if (root === null || problems.length > 0) return failed(problems, source.file)
  const parsed = agentSchema.safeParse(root.kind === 'scalar' && root.value === null ? {} : plain(root))
  const wrong: Problem[] = []
  crossCheckAgent(root, (at, message) => void wrong.push(problem(at, message)))
  if (parsed.success && wrong.length === 0) return { ok: true, document: parsed.data, root }
  if (parsed.success) return failed(wrong, source.file)
  const [{ explainIssue }, { schemaOf }] = await Promise.all([import('../issue.ts'), import('../schema.ts')])
  const found = parsed.error.issues.flatMap(issue => explainIssue(issue, root, schemaOf('agent')))
  return failed([...found, ...wrong], source.file)
}

function crossCheckAgent(root: Located, say: Say): void {
  const consul = nodeAt(root, ['consul'])
  if (consul?.kind === 'map') checkConsulAccess(consul, say)
  const listen = textAt(root, ['listen'])
  if (listen !== null && !/^unix:\/./.test(listen.value))
    say(
      listen.at,
      'the agent listens on a Unix socket: write unix: and an absolute path, such as unix:/run/outrigger/agent.sock',
    )
  const seen = new Set<unknown>()
  for (const item of itemsAt(root, ['policies', 'order'])) {
    const kind = textOf(item)
    if (kind !== null && seen.has(kind.value)) say(item.at, `"${kind.value}" is listed twice: remove one`)
    seen.add(kind?.value)
  }
}

function failed(problems: readonly Problem[], file: string): LoadedAgentFile {
  return { ok: false, errors: sortProblems(problems, [file]).map(formatProblem) }
}
