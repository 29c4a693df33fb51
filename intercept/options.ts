import { type InterceptDocument, intercept } from '../mesh-config/intercept.ts'
import { type InterceptOption, interceptOptions } from '../mesh-config/intercept-options.ts'
import type { Wrong } from '../mesh-config/wrong.ts'

/** What the command line says: by the name of the option without `--`. */
export type Options = Readonly<Record<string, string | undefined>>

/** The settings of a file with those that options replace. Errors name the option. */
export function withOptions(
  settings: InterceptDocument,
  options: Options,
): { readonly settings: InterceptDocument; readonly errors: readonly string[] } {
  const document = structuredClone(settings) as Record<string, unknown>
  const errors: string[] = []
  for (const option of interceptOptions) {
    const text = options[option.name]
    if (text === undefined) continue
    const value = written(option, text)
    const candidate = intercept.safeParse(put({}, option.at, value))
    if (candidate.success) put(document, option.at, value)
    else
      for (const issue of candidate.error.issues)
        errors.push(`--${option.name}: ${explain(option, issue as Issue, text, value)}`)
  }
  return { settings: document as InterceptDocument, errors }
}

interface Issue {
  readonly code?: string
  readonly path: readonly PropertyKey[]
  readonly params?: { readonly wrong?: Wrong }
  readonly errors?: readonly (readonly Issue[])[]
}

function written({ kind }: InterceptOption, text: string): unknown {
  const items = text === 'none' ? [] : text.split(',').map(item => item.trim())
  const numbers = () => items.map(item => (/^\d{1,10}$/.test(item) ? Number(item) : item))
  if (kind === 'id') return numbers()[0]
  if (kind === 'ids') return numbers()
  return kind === 'servers' && (text === 'all' || text === 'resolv.conf') ? text : items
}

function put(into: Record<string, unknown>, path: readonly string[], value: unknown): Record<string, unknown> {
  const [first, ...rest] = path as [string, ...string[]]
  into[first] = rest.length === 0 ? value : put((into[first] ?? {}) as Record<string, unknown>, rest, value)
  return into
}

function explain({ at, kind }: InterceptOption, issue: Issue, text: string, value: unknown): string {
  const inner = issue.code === 'invalid_union' ? issue.errors?.flat().find(each => each.params?.wrong) : undefined
  const wrong = issue.params?.wrong ?? inner?.params?.wrong
  const step = [...issue.path.slice(at.length), ...(inner?.path ?? [])].find(each => typeof each === 'number')
  const item = typeof step === 'number' && Array.isArray(value) ? String(value[step]) : text
  if (wrong !== undefined) {
    const meant = wrong.meant ?? null
    return `${wrong.what.replace('{value}', JSON.stringify(item))}: ${meant === null ? wrong.fix : `write ${meant}`}`
  }
  if (issue.code === 'too_big' && Array.isArray(value) && step === undefined)
    return `the list has ${value.length} items: at most 500 are possible`
  if (kind === 'id' || kind === 'ids')
    return `${JSON.stringify(item)} is not an id: write a number from 0 to 4294967294 (\`id -u NAME\` prints one)`
  return `${JSON.stringify(text)} is empty: write at least one name server, resolv.conf or all`
}
