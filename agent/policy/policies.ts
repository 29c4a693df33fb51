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
  /** The least important first. */
  sources(): readonly SourceState[]
  /**
   * Other sources, or another order. Those that stay the same go on. What one says that is replaced by another of its
   * name counts until that one answers. Resolves when the documents of those that are gone are.
   */
  configure(sources: readonly PolicySource[]): Promise<void>
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

interface State {
  readonly source: PolicySource
  trouble: string
  answeredAt: number | null
  /** It is watched no more. */
  readonly end: AbortController
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
  /** These two are read by the parts, and change in place. */
  const order: string[] = []
  const local = new Set<string>()
  const states = new Map<string, State>()
  /** Sources that say something, or did in the last run. */
  const known = new Set<string>()
  const saved: SavedDocuments | null = file === null ? null : savedDocuments(file, log)
  const listeners: ((services: ReadonlySet<string> | 'all') => void)[] = []
  const end = new AbortController()
  let restored = false
  let isGraceOver = false

  const documents = documentBook({
    order,
    local,
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
    const silent = order.filter(name => states.has(name) && !known.has(name))
    return silent.length === 0 ? null : `the agent waits for ${silent.join(', ')}`
  }

  const served = servePolicies({ book: documents, order, rollouts, holdsBack })

  /** Returns those that are to be watched anew, and the names of those that are gone. */
  function arrange(next: readonly PolicySource[]): { added: State[]; gone: string[] } {
    const names = next.map(({ name }) => name)
    const gone = order.filter(name => !names.includes(name))
    const added: State[] = []
    // What is theirs counts least from now on, until it is gone: others may need it.
    order.splice(0, order.length, ...gone, ...names)
    for (const name of gone) {
      states.get(name)?.end.abort()
      states.delete(name)
      known.delete(name)
      local.delete(name)
    }
    for (const source of next) {
      const before = states.get(source.name)
      if (before?.source === source) continue
      before?.end.abort()
      const state = { source, trouble: '', answeredAt: null, end: new AbortController() }
      states.set(source.name, state)
      if (source.isLocal === true) local.add(source.name)
      added.push(state)
    }
    return { added, gone }
  }

  function watch(state: State): void {
    const { source } = state
    const onTrouble = (reason: string) => {
      if (state.end.signal.aborted) return
      if (state.trouble !== reason) log.warn('a source of policies is in trouble', { source: source.name, reason })
      state.trouble = reason
    }
    source.watch(
      {
        hadDocuments: [...documents.inForce().values()].some(held => held.source === source.name),
        onSet(all) {
          if (state.end.signal.aborted) return
          // None is left out: that would take it away from the proxies that have it.
          if (all.length > MAX_DOCUMENTS)
            return onTrouble(
              `it has ${all.length} documents, and at most ${MAX_DOCUMENTS} are read: all stay as they were`,
            )
          if (state.trouble !== '') log.info('a source of policies answers again', { source: source.name })
          state.trouble = ''
          state.answeredAt = Date.now()
          void documents.take(source.name, all).then(() => {
            if (state.end.signal.aborted) return
            const isNew = !known.has(source.name)
            known.add(source.name)
            if (isNew && holdsBack() === null) for (const listener of listeners) listener('all')
          })
        },
        onTrouble,
      },
      state.end.signal,
    )
  }

  arrange(sources)

  return {
    documents,
    candidates: documents,
    sources: () => order.flatMap(name => states.get(name) ?? []),
    async configure(next) {
      const { added, gone } = arrange(next)
      for (const state of added) watch(state)
      for (const name of gone) await documents.take(name, [])
      const needed = new Set([...documents.inForce().values()].map(({ source }) => source))
      order.splice(0, order.length, ...order.filter(name => states.has(name) || needed.has(name)))
      served.forget('all')
      for (const listener of listeners) listener('all')
    },
    notReady() {
      const reason = holdsBack()
      return reason === null ? [] : [reason]
    },
    status: () => ({
      sources: order.flatMap(name => {
        const state = states.get(name)
        return state === undefined ? [] : { name, trouble: state.trouble, answeredAt: state.answeredAt }
      }),
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
      for (const state of states.values()) watch(state)
    },
    async stop() {
      end.abort()
      for (const state of states.values()) state.end.abort()
      await saved?.settled()
    },
  }
}
