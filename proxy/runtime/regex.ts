import type { Snapshot } from '../../mesh-config/snapshot.ts'
import type { CompileRegex } from '../router/predicate.ts'

/**
 * RE2 matches in time linear in the text, so no pattern can be made to hang a data thread. Loaded only for a snapshot
 * that has a pattern: most have none.
 */
export async function regexFor(snapshot: Snapshot): Promise<CompileRegex> {
  const matches = Object.values(snapshot.services).flatMap(({ routes }) => routes.map(({ match }) => match))
  if (
    !matches.some(
      ({ path, headers, query }) =>
        path.kind === 'regex' || [...headers, ...query].some(({ kind }) => kind === 'regex'),
    )
  )
    return unused
  const { RE2JS } = await import('re2js')
  return pattern => {
    const compiled = RE2JS.compile(pattern)
    return text => compiled.matches(text)
  }
}

const unused: CompileRegex = pattern => {
  throw new Error(`the snapshot was said to have no pattern, and has ${pattern}`)
}
