import { type ConsulAnswer, type ConsulApi, ConsulError } from '../../consul.ts'
import { type AnswerFacts, watchConsul } from '../../consul-watch.ts'
import type { PolicySource } from '../source.ts'
import { type Entries, type Entry, entriesOf, type Intentions, type Kind, kinds } from './entries.ts'
import { translate } from './translate.ts'

/** Policies from Consul's own config entries, for teams that have them already. */
export interface ConsulEntriesSource extends PolicySource {
  /** As they were read last; nothing enforces them yet. */
  intentions(): readonly Intentions[]
}

/** Kinds that are written together are read together. */
const GATHER_MS = 20

/** One blocking query a kind; documents are made when each has answered, and anew when one changes. */
export function consulEntriesSource(consul: ConsulApi): ConsulEntriesSource {
  let known: ReadonlyMap<Kind, ReadonlyMap<string, Entry>> = new Map()

  return {
    name: 'consul entries',
    store: null,
    intentions: () => [...(known.get('service-intentions')?.values() ?? [])] as Intentions[],
    watch(watcher, signal) {
      const given = new Map<Kind, ReadonlyMap<string, Entry>>()
      const troubles = new Map<Kind, string>()
      let datacenter: string | null = null
      let timer: NodeJS.Timeout | null = null
      let isAsking = false
      let hasDocuments = watcher.hadDocuments === true
      let lost = false
      known = given

      function take(kind: Kind, { status, isFiltered, json }: ConsulAnswer, { wentBack }: AnswerFacts): void {
        const entries = status === 404 ? new Map<string, Entry>() : entriesOf(kind, json())
        const isGone = [...(given.get(kind)?.keys() ?? [])].some(name => !entries.has(name))
        if (isGone && isFiltered)
          return trouble(kind, `the token of Consul may not read all ${kind} entries: those known stay in force`)
        given.set(kind, entries)
        troubles.delete(kind)
        if (wentBack) lost = true
        if (datacenter === null) void nameDatacenter()
        soon()
      }

      function trouble(kind: Kind, reason: string): void {
        troubles.set(kind, reason)
        watcher.onTrouble(reason)
      }

      function soon(): void {
        if (timer !== null || given.size < kinds.length || troubles.size > 0 || datacenter === null) return
        timer = setTimeout(deliver, GATHER_MS)
      }

      function deliver(): void {
        timer = null
        if (signal.aborted || troubles.size > 0) return
        const documents = translate(Object.fromEntries(given) as unknown as Entries, datacenter ?? '')
        if (documents.length === 0 && hasDocuments && lost)
          return watcher.onTrouble('there are no config entries any more, and Consul has lost data: they stay in force')
        if (documents.length > 0) lost = false
        hasDocuments = documents.length > 0
        watcher.onSet(documents)
      }

      /** Its name decides which redirects leave it. A token that may not ask has to do without. */
      async function nameDatacenter(): Promise<void> {
        if (isAsking) return
        isAsking = true
        try {
          const answer = await consul.call('GET', 'agent/self', { signal })
          const { Config } = answer.json() as { Config?: { Datacenter?: string } }
          datacenter = Config?.Datacenter ?? ''
        } catch (error) {
          // Else Consul is away, and asked again when it is back.
          if (error instanceof ConsulError && error.status > 0) datacenter = ''
        }
        isAsking = false
        soon()
      }

      signal.addEventListener('abort', () => timer !== null && clearTimeout(timer), { once: true })
      for (const kind of kinds) {
        const onAnswer = (answer: ConsulAnswer, facts: AnswerFacts) => take(kind, answer, facts)
        const onTrouble = (reason: string) => trouble(kind, reason)
        void watchConsul(consul, { path: `config/${kind}`, onAnswer, onTrouble }, signal)
      }
    },
  }
}
