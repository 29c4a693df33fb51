import type { Environment } from '../environment.ts'
import { loadDocument } from '../load.ts'
import { formatProblem, type Located, type Problem, plain, sortProblems } from '../located.ts'
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
  if (parsed.success) return { ok: true, document: parsed.data, root }
  const [{ explainIssue }, { schemaOf }] = await Promise.all([import('../issue.ts'), import('../schema.ts')])
  const found = parsed.error.issues.flatMap(issue => explainIssue(issue, root, schemaOf('agent')))
  return failed(found, source.file)
}

function failed(problems: readonly Problem[], file: string): LoadedAgentFile {
  return { ok: false, errors: sortProblems(problems, [file]).map(formatProblem) }
}
