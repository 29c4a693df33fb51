import type { Environment } from '../../mesh-config/environment.ts'
import { formatProblem } from '../../mesh-config/located.ts'
import { compilePolicy, EVERY_SERVICE, readPolicy } from '../../mesh-config/policy-document.ts'
import { serviceName } from '../../mesh-config/values.ts'
import type { DocumentBook } from './documents.ts'
import { layersOf, problemsOf, withChanges } from './layers.ts'

export interface Checked {
  /** As `file:line:column: what is wrong: what to write`. */
  readonly errors: readonly string[]
  readonly warnings: readonly string[]
}

/**
 * What would come of a document: by itself, and together with the others where it took the place of the one that
 * `source` has. `at` stands before the errors.
 */
export async function checkDocument(
  { service, at, text }: { readonly service: string; readonly at: string; readonly text: string },
  source: string,
  book: DocumentBook,
  order: readonly string[],
  env: Environment | null,
): Promise<Checked> {
  const { root, problems } = await readPolicy(service, at, text, env)
  if (root === null) return { errors: problems.map(formatProblem), warnings: [] }
  const document = { service, at, text, version: '', errors: [], warnings: [] }
  const change = { source, service, at, held: { source, document, root } }
  const misfits = await problemsOf(book.inForce(), [change], order)
  if (misfits.length > 0) return { errors: misfits.map(formatProblem), warnings: [] }
  const compiled = compilePolicy(service, layersOf(service, withChanges(book.inForce(), [change]), order))
  const warnings = compiled.ok ? compiled.warnings.filter(({ file }) => file === at).map(formatProblem) : []
  return { errors: [], warnings }
}

/** Null: it is a service, or `*`. */
export function wrongService(service: string): string | null {
  // Stores have the document for all under this name.
  if (service === 'defaults') return '"defaults" is no service: write "*" for the defaults of all'
  if (service === EVERY_SERVICE || serviceName().safeParse(service).success) return null
  return `"${service}" is not a service name: use small letters, digits, - _ and . such as orders, or * for the defaults of all`
}
