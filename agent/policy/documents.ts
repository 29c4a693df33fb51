import type { Environment } from '../../mesh-config/environment.ts'
import { formatProblem } from '../../mesh-config/located.ts'
import { compilePolicy, EVERY_SERVICE, readPolicy } from '../../mesh-config/policy-document.ts'
import { serviceName } from '../../mesh-config/values.ts'
import type { Candidates, Rollouts } from '../rollouts.ts'
import { type Change, type Held, keyOf, type Refused } from './held.ts'
import { breath, type Documents, hasCalls, problemsOf, sortChanges, withChanges } from './layers.ts'
import type { PolicyDocument } from './source.ts'

/** All documents of all sources: which are in force, which are refused and why. */
export interface DocumentBook extends Candidates {
  /** All documents of a source. Resolves when they are in force or refused. */
  take(source: string, documents: readonly PolicyDocument[]): Promise<void>
  inForce(): Documents
  /** Newer versions that a part of the proxies has, by the same keys. */
  candidates(): Documents
  refused(): readonly Refused[]
}

export interface BookDeps {
  /** Names of sources, the least important first. */
  readonly order: readonly string[]
  /** Sources whose documents may contain variables. */
  readonly local: ReadonlySet<string>
  readonly env: Environment
  readonly rollouts: Rollouts
  readonly onChange: (services: ReadonlySet<string> | 'all') => void
  readonly onRefused: (refused: Refused) => void
  readonly onAccepted: (changes: readonly Change[]) => void
}

/** Of one source; one that has more is in trouble. */
export const MAX_DOCUMENTS = 5_000

export function documentBook(deps: BookDeps): DocumentBook {
  const { order, rollouts } = deps
  let inForce: Documents = new Map()
  const candidates = new Map<string, Held>()
  const refused = new Map<string, Refused>()
  const seen = new Map<string, ReadonlyMap<string, PolicyDocument>>()
  let turn: Promise<unknown> = Promise.resolve()

  function inTurn(work: () => Promise<void>): Promise<void> {
    const done = turn.then(work)
    turn = done.catch(() => {})
    return done
  }

  function refuse(each: Refused): void {
    const key = keyOf(each.source, each.service)
    const before = refused.get(key)
    refused.set(key, each)
    if (before?.document?.version !== each.document?.version || before?.errors.join() !== each.errors.join())
      deps.onRefused(each)
  }

  /** Null: it is refused. */
  async function read(source: string, document: PolicyDocument): Promise<Held | null> {
    const { service, at, text } = document
    const named = service === EVERY_SERVICE || serviceName().safeParse(service).success
    const wrongName = `${at}: "${service}" is not a service name: use small letters, digits, - _ and .`
    const errors = [...document.errors, ...(named ? [] : [wrongName])]
    const env = deps.local.has(source) ? deps.env : null
    const { root, problems } =
      errors.length > 0 ? { root: null, problems: [] } : await readPolicy(service, at, text, env)
    if (root !== null) return { source, document, root }
    refuse({ source, service, at, document, root: null, errors: [...errors, ...problems.map(formatProblem)] })
    return null
  }

  async function take(source: string, all: readonly PolicyDocument[]): Promise<void> {
    const before = seen.get(source) ?? new Map<string, PolicyDocument>()
    const now = new Map(all.map(document => [document.service, document]))
    seen.set(source, now)
    const changes: Change[] = []
    for (const document of now.values()) {
      const known = before.get(document.service)
      if (known !== undefined && isSame(known, document)) continue
      await breath()
      const held = await read(source, document)
      if (held === null) continue
      refused.delete(keyOf(source, document.service))
      changes.push({ source, service: document.service, held, at: document.at })
    }
    for (const [service, { at }] of goneFrom(source, before, now)) {
      if (candidates.delete(keyOf(source, service))) deps.onChange(scopeOf([service]))
      const key = keyOf(source, service)
      refused.delete(key)
      if (inForce.has(key)) changes.push({ source, service, held: null, at })
    }
    await make(changes)
  }

  /** Also those in force that were restored and that the source does not have any more. */
  function goneFrom(source: string, before: ReadonlyMap<string, PolicyDocument>, now: ReadonlyMap<string, unknown>) {
    const own = [...inForce.values()].filter(held => held.source === source).map(({ document }) => document)
    const all = new Map([...before.values(), ...own].map(document => [document.service, document]))
    return [...all].filter(([service]) => !now.has(service))
  }

  async function make(changes: readonly Change[]): Promise<void> {
    const again = [...refused.values()].flatMap(asChange).filter(({ source, service }) => {
      return !changes.some(change => change.source === source && change.service === service)
    })
    if (changes.length === 0) return
    const sorted = await sortChanges(inForce, [...changes, ...again], order)
    for (const { problems, ...change } of sorted.refused) {
      const errors = problems.map(formatProblem)
      const why = change.held === null ? errors.map(error => `it was removed, and is needed: ${error}`) : errors
      const root = change.held?.root ?? null
      refuse({ ...change, document: change.held?.document ?? null, root, errors: why })
    }
    for (const { source, service } of sorted.accepted) refused.delete(keyOf(source, service))
    accept(sorted.accepted)
  }

  /** A refused one that may fit now. */
  function asChange({ source, service, at, document, root }: Refused): Change[] {
    if (document === null) return [{ source, service, at, held: null }]
    return root === null ? [] : [{ source, service, at, held: { source, document, root } }]
  }

  function accept(accepted: readonly Change[]): void {
    const direct = accepted.filter(change => {
      const key = keyOf(change.source, change.service)
      if (change.held === null || !isStaged(change.held)) {
        candidates.delete(key)
        return true
      }
      candidates.set(key, change.held)
      return false
    })
    // They are part of what is sent for each service that it calls.
    const isOfCalls = direct.some(
      ({ source, service, held }) => hasCalls(held) || hasCalls(inForce.get(keyOf(source, service))),
    )
    inForce = withChanges(inForce, direct)
    if (accepted.length === 0) return
    deps.onAccepted(accepted)
    deps.onChange(isOfCalls ? 'all' : scopeOf(accepted.map(({ service }) => service)))
  }

  function isStaged({ source, document, root }: Held): boolean {
    const { service, at, version } = document
    const alone = compilePolicy(service, [root])
    if (!alone.ok) return false
    const before = inForce.get(keyOf(source, service))?.document.version ?? null
    return rollouts.isStaged({ service, at, before, version, policy: alone.policy })
  }

  const candidatesOf = (service: string) => [...candidates].filter(([, { document }]) => document.service === service)

  return {
    take: (source, documents) => inTurn(() => take(source, documents)),
    inForce: () => inForce,
    candidates: () => candidates,
    refused: () => [...refused.values()],
    promote(service) {
      void inTurn(async () => {
        const changes = candidatesOf(service).map(
          ([, held]): Change => ({ source: held.source, service, held, at: held.document.at }),
        )
        const problems = await problemsOf(inForce, changes, order)
        for (const { source, held, at } of changes) {
          candidates.delete(keyOf(source, service))
          if (problems.length > 0) refuse({ ...held!, source, service, at, errors: problems.map(formatProblem) })
        }
        if (problems.length === 0) inForce = withChanges(inForce, changes)
        deps.onChange(scopeOf([service]))
      })
    },
    revert(service, reason) {
      void inTurn(async () => {
        for (const [key, held] of candidatesOf(service)) {
          candidates.delete(key)
          // By itself it is good, but it is not tried again: only another version is.
          const { document, source } = held
          refuse({ source, service, at: document.at, document, root: null, errors: [`${document.at}: ${reason}`] })
        }
        deps.onChange(scopeOf([service]))
      })
    },
    chosenAnew: service => deps.onChange(scopeOf([service])),
  }
}

function scopeOf(services: readonly string[]): ReadonlySet<string> | 'all' {
  return services.includes(EVERY_SERVICE) ? 'all' : new Set(services)
}

function isSame(one: PolicyDocument, other: PolicyDocument): boolean {
  return (
    one.version === other.version &&
    one.text === other.text &&
    one.at === other.at &&
    one.errors.join('\n') === other.errors.join('\n')
  )
}
