import type { Environment } from '../../mesh-config/environment.ts'
import type { AgentLog } from '../log.ts'
import { type Candidates, noRollouts, type Rollouts } from '../rollouts.ts'
import type { PolicyBook } from '../wanted-policy.ts'
import { type DocumentBook, documentBook, MAX_DOCUMENTS } from './documents.ts'
import { type SavedDocuments, savedDocuments } from './saved.ts'
import { servePolicies } from './serve.ts'
import type { PolicySource } from './source.ts'

/** All sources, merged: what `agent/policy/` is for the rest of the agent. */
export interface Policies extends PolicyBook {
  readonly documents: DocumentBook
  readonly candidates: Candidates
  sources(): readonly SourceState[]
  /** Why policies are held back; empty: they are not. */
  notReady(): readonly string[]
  /** For `/status`. */
  status(): object
  /** Begins to watch. Resolves when what the last run left is in force again. */
  start(): Promise<void>
  stop(): Promise<void>
}

export interface SourceState {
  readonly source: PolicySource
  /** Empty: it answers. */
  readonly trouble: string
  /** Wall time in milliseconds when it answered last; null: it never has. */
  readonly answeredAt: number | null
}

export interface PoliciesDeps {
  /** The least important first. */
  readonly sources: readonly PolicySource[]
  /** Where the documents in force are kept for the next start; null: they are not. */
  readonly file: string | null
  readonly env: Environment
  readonly log: AgentLog
  readonly rollouts?: Rollouts
}

/** So long a proxy that has no policy waits for sources that have not answered: as a sidecar waits for discovery. */
const GRACE_MS = 3_000
/** More new documents at once are told in one line. */
const TOLD_EACH = 10

export function policiesOf({ sources, file, env, log, rollouts = noRollouts }: PoliciesDeps): Policies {
  const order = sources.map(({ name }) => name)
  const states = new Map(
    sources.map(source => [source.name, { source, trouble: '', answeredAt: null as number | null }]),
  )
  /** Sources that say something, or did in the last run. */
  const known = new Set<string>()
  const saved: SavedDocuments | null = file === null ? null : savedDocuments(file, log)
  const listeners: ((services: ReadonlySet<string> | 'all') => void)[] = []
  const end = new AbortController()
  let restored = false
  let isGraceOver = false

  const documents = documentBook({
    order,
    local: new Set(sources.filter(({ isLocal }) => isLocal === true).map(({ name }) => name)),
    env,
    rollouts,
    onChange(services) {
      served.forget(services)
      if (restored) saved?.save(documents.inForce())
      for (const listener of listeners) listener(services)
    },
    onRefused({ at, service, errors, document }) {
      const kept = [...documents.inForce().values()].some(held => held.document.at === at)
      const state =
        document === null ? 'it stays in force' : kept ? 'the version before stays in force' : 'it is left out'
      log.warn(`a policy document is refused: ${state}`, { at, service, error: errors[0] ?? '', errors: errors.length })
    },
    onAccepted(changes) {
      if (changes.length > TOLD_EACH) log.info('policy documents are in force', { count: changes.length })
      else
        for (const { at, service, held } of changes)
          log.info(held === null ? 'a policy document is gone' : 'a policy document is in force', {
            at,
            service,
            ...(held === null ? {} : { version: held.document.version }),
          })
    },
  })

  function holdsBack(has = true): string | null {
    if (!has && isGraceOver) return null
    const silent = order.filter(name => !known.has(name))
    return silent.length === 0 ? null : `the agent waits for ${silent.join(', ')}`
  }

  const served = servePolicies({ book: documents, order, rollouts, holdsBack })

  function watch(source: PolicySource): void {
    const state = states.get(source.name)!
    const onTrouble = (reason: string) => {
      if (state.trouble !== reason) log.warn('a source of policies is in trouble', { source: source.name, reason })
      state.trouble = reason
    }
    source.watch(
      {
        hadDocuments: [...documents.inForce().values()].some(held => held.source === source.name),
        onSet(all) {
          // None is left out: that would take it away from the proxies that have it.
          if (all.length > MAX_DOCUMENTS)
            return onTrouble(
              `it has ${all.length} documents, and at most ${MAX_DOCUMENTS} are read: all stay as they were`,
            )
          if (state.trouble !== '') log.info('a source of policies answers again', { source: source.name })
          state.trouble = ''
          state.answeredAt = Date.now()
          void documents.take(source.name, all).then(() => {
            const isNew = !known.has(source.name)
            known.add(source.name)
            if (isNew && holdsBack() === null) for (const listener of listeners) listener('all')
          })
        },
        onTrouble,
      },
      end.signal,
    )
  }

  return {
    documents,
    candidates: documents,
    sources: () => [...states.values()].map(state => ({ ...state })),
    notReady() {
      const reason = holdsBack()
      return reason === null ? [] : [reason]
    },
    status: () => ({
      sources: [...states.values()].map(({ source, trouble, answeredAt }) => ({
        name: source.name,
        trouble,
        answeredAt,
      })),
      documents: [...documents.inForce().values()].map(({ source, document: { service, at, version } }) => {
        return { source, service, at, version }
      }),
      refused: documents.refused().map(({ source, service, at, errors }) => ({ source, service, at, errors })),
    }),
    wanted: asked => served.wanted(asked),
    onChange: listener => void listeners.push(listener),
    async start() {
      for (const [name, all] of saved?.read() ?? []) {
        if (!states.has(name)) continue
        await documents.take(name, all)
        known.add(name)
      }
      restored = true
      const tell = () => {
        isGraceOver = true
        if (holdsBack() !== null) for (const listener of listeners) listener('all')
      }
      const grace = setTimeout(tell, GRACE_MS)
      end.signal.addEventListener('abort', () => clearTimeout(grace))
      for (const source of sources) watch(source)
    },
    async stop() {
      end.abort()
      await saved?.settled()
    },
  }
}
