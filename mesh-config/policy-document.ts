import { deepFreeze, versionOf } from './compile.ts'
import { compileService } from './compile-service.ts'
import { crossCheckDocument, crossCheckPolicy } from './cross-check-policy.ts'
import { effectiveOf, type Source } from './effective.ts'
import type { Environment } from './environment.ts'
import { explainIssue } from './issue.ts'
import { lintRoutes } from './lint-routes.ts'
import { lintService } from './lint-service.ts'
import { lintTcp } from './lint-tcp.ts'
import { loadDocument } from './load.ts'
import {
  type Located,
  merge,
  type Path,
  type Problem,
  plain,
  positionAt,
  problem,
  sortProblems,
  type Warn,
} from './located.ts'
import { withoutEffect } from './not-yet.ts'
import { type PolicyOfAgent, policySchema } from './policy-schema.ts'
import { schemaOf } from './schema.ts'
import type { DiscoverySpec, ServiceSpec } from './snapshot.ts'

/** The largest document: a hundred times the longest written by hand. A value in Consul's KV holds half of it. */
export const MAX_DOCUMENT_BYTES = 1024 * 1024

/** The service of a document for all services. */
export const EVERY_SERVICE = '*'

export interface ReadPolicy {
  /** Null: it is refused, and `problems` says why. */
  readonly root: Located | null
  readonly problems: readonly Problem[]
}

/**
 * The text of one document, checked by itself. `at`: where its author finds it, before each error. `env`: null where it
 * comes over the network, whose authors may not read this machine's environment. Never throws.
 */
export async function readPolicy(
  service: string,
  at: string,
  text: string,
  env: Environment | null,
): Promise<ReadPolicy> {
  if (Buffer.byteLength(text) > MAX_DOCUMENT_BYTES) {
    const size = (Buffer.byteLength(text) / 1024 ** 2).toFixed(1)
    const limit = `${MAX_DOCUMENT_BYTES / 1024 ** 2} MiB`
    const message = `the document has ${size} MiB, and at most ${limit} is read: is it a policy? Write shorter routes`
    return { root: null, problems: [{ at: null, file: at, message }] }
  }
  const { root, problems } = loadDocument(at, text, env)
  if (root === null || problems.length > 0) return { root: null, problems }
  if (root.kind === 'scalar' && root.value === null) return { root: empty(at), problems: [] }
  if (root.kind !== 'map') {
    const what = root.kind === 'list' ? 'list' : 'single value'
    const message = `the document is a ${what}, and a policy is a map: write "key: value" lines, such as timeouts:`
    return { root: null, problems: [problem(root.at, message)] }
  }
  const found = [...schemaProblems(root), ...(await crossCheckDocument(service, root))]
  return found.length === 0 ? { root, problems: [] } : { root: null, problems: sortProblems(found, [at]) }
}

function schemaProblems(root: Located): Problem[] {
  const parsed = policySchema.safeParse(plain(root))
  return parsed.success ? [] : parsed.error.issues.flatMap(issue => explainIssue(issue, root, schemaOf('policy')))
}

export function empty(at: string): Located {
  return { kind: 'map', at: { file: at, line: 1, column: 1 }, entries: new Map() }
}

/** Where a value was written, and the value as it was written; never a secret. */
export interface Written {
  readonly at: string
  readonly value: unknown
  readonly path?: Path
}

export type CompiledPolicy =
  | { readonly ok: false; readonly problems: readonly Problem[] }
  | {
      readonly ok: true
      /** Short hash of all that a proxy gets. */
      readonly version: string
      /** Without endpoints. */
      readonly spec: ServiceSpec
      readonly discovery: Partial<DiscoverySpec> | null
      /** By the path of a written value: where it was written. */
      readonly provenance: Readonly<Record<string, Written>>
      readonly policy: PolicyOfAgent
      readonly warnings: readonly Problem[]
      /** For people: all values, defaults too, each with its source. */
      effective(): { readonly policy: unknown; readonly sources: Readonly<Record<string, Source>> }
    }

/** Documents merged, each over the one before: maps are merged, lists and values replaced. Checked and compiled. */
export function compilePolicy(service: string, layers: readonly Located[]): CompiledPolicy {
  const root = layers.reduce(merge, empty(service))
  const parsed = policySchema.safeParse(plain(root))
  if (!parsed.success)
    return { ok: false, problems: parsed.error.issues.flatMap(issue => explainIssue(issue, root, schemaOf('policy'))) }
  const problems = crossCheckPolicy(service, root)
  if (problems.length > 0) return { ok: false, problems }
  const policy = parsed.data
  const spec = compileService(service, policy, [])
  // Where its endpoints are is in the spec itself (`resolve`).
  const discovery = null
  const provenance = writtenIn(effectiveOf(policy, root, schemaOf('policy')))
  return deepFreeze({
    ok: true,
    version: versionOf({ spec, discovery, provenance }),
    spec,
    discovery,
    provenance,
    policy,
    warnings: lintPolicy(spec, root),
    effective() {
      const { config, sources: all } = effectiveOf(policy, root, schemaOf('policy'))
      return { policy: config, sources: all }
    },
  })
}

/** `path`: where it cannot be read off its name, because a key has a dot in it. */
function writtenIn({ sources, values }: ReturnType<typeof effectiveOf>): Record<string, Written> {
  return Object.fromEntries(
    Object.entries(sources).flatMap(([name, { at }]): [string, Written][] => {
      if (at === null) return []
      const { path, value } = values.get(name)!
      const isPlain = path.every(step => typeof step === 'number' || !/[.[]/.test(step))
      return [[name, isPlain ? { at, value } : { at, value, path }]]
    }),
  )
}

/** What is allowed and does not have the intended effect. Endpoints are not known here. */
export function lintPolicy(spec: ServiceSpec, root: Located): Problem[] {
  const warnings: Problem[] = []
  const said = new Set<string>()
  const home = ['services', spec.name]
  const warn: Warn = (path, message) => {
    if (said.has(message)) return
    said.add(message)
    warnings.push(problem(positionAt(root, path.slice(path[0] === 'services' ? 2 : 0)), message))
  }
  lintService(spec, { discovered: true, zone: '' }, home, warn)
  lintRoutes(spec, warn)
  lintTcp(spec, root, [], warn)
  for (const { at, what, instead } of withoutEffect) {
    const path: Path = at.split('.').slice(2)
    if (at.startsWith('services.*.') && positionAt(root, path) !== root.at)
      warn(path, `${what} has no effect in this version: ${instead}`)
  }
  return warnings
}
