import { EVERY_SERVICE } from '../../mesh-config/policy-document.ts'
import type { ConsulAnswer, ConsulApi } from '../consul.ts'
import { type AnswerFacts, watchConsul } from '../consul-watch.ts'
import type { PolicyDocument, PolicySource, PolicyStore } from './source.ts'

interface Entry {
  readonly Key: string
  /** Base64. */
  readonly Value: string | null
  readonly ModifyIndex: number
}

interface Given {
  readonly documents: readonly PolicyDocument[]
  /** It may have lost some. */
  readonly isDoubtful: boolean
}

export const keyOfDocument = (prefix: string, service: string): string =>
  service === EVERY_SERVICE ? `${prefix}/defaults` : `${prefix}/services/${service}`

/** Documents in the KV of Consul: `<prefix>/services/<name>` and `<prefix>/defaults`. */
export function consulKvSource(consul: ConsulApi, prefix: string, store: PolicyStore | null): PolicySource {
  return {
    name: 'consul kv',
    store,
    watch(watcher, signal) {
      /** What the two queries gave last. */
      const given = new Map<string, Given>()
      const troubles = new Map<string, string>()
      let services: ReadonlySet<string> = new Set()
      let hasDocuments = watcher.hadDocuments === true

      function deliver(which: string, { status, isFiltered, json }: ConsulAnswer, { wentBack }: AnswerFacts): void {
        const documents = status === 404 ? [] : documentsOf(json(), prefix)
        // It stays doubtful until there is something again.
        const isDoubtful = isFiltered || ((wentBack || given.get(which)?.isDoubtful === true) && documents.length === 0)
        given.set(which, { documents, isDoubtful })
        troubles.delete(which)
        if (given.size < 2 || troubles.size > 0) return
        const all = [...given.values()].flatMap(each => each.documents)
        const now = new Set(all.map(({ service }) => service))
        const isGone = [...services].some(service => !now.has(service)) || (hasDocuments && all.length === 0)
        if (isGone && isFiltered)
          return trouble(which, `the token of Consul may not read all documents below ${prefix}/: they stay in force`)
        if (isGone && all.length === 0 && [...given.values()].some(each => each.isDoubtful))
          return trouble(
            which,
            `there are no documents below ${prefix}/ any more, and Consul has lost data: they stay in force`,
          )
        services = now
        hasDocuments = all.length > 0
        watcher.onSet(all)
      }

      function trouble(which: string, reason: string): void {
        troubles.set(which, reason)
        watcher.onTrouble(reason)
      }

      const queries = [
        ['services', `kv/${escaped(prefix)}/services/`, { recurse: '' }],
        ['defaults', `kv/${escaped(prefix)}/defaults`, {}],
      ] as const
      for (const [which, path, query] of queries) {
        const onAnswer = (answer: ConsulAnswer, facts: AnswerFacts) => deliver(which, answer, facts)
        const onTrouble = (reason: string) => trouble(which, reason)
        void watchConsul(consul, { path, query, onAnswer, onTrouble }, signal)
      }
    },
  }
}

export function escaped(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

function documentsOf(entries: unknown, prefix: string): PolicyDocument[] {
  if (!Array.isArray(entries)) throw new Error('Consul answers with no list of keys')
  return (entries as Entry[]).flatMap(({ Key, Value, ModifyIndex }) => {
    // The folders that the web page of Consul makes.
    if (Key.endsWith('/')) return []
    const name = Key.slice(prefix.length + 1)
    const service = name === 'defaults' ? EVERY_SERVICE : name.replace(/^services\//, '')
    const bytes = Buffer.from(Value ?? '', 'base64')
    const text = bytes.toString('utf8')
    const at = `consul kv ${Key}`
    const errors = Buffer.from(text, 'utf8').equals(bytes) ? [] : [`${at}: it is no text in UTF-8`]
    return [{ service, at, text, version: String(ModifyIndex), errors, warnings: [] }]
  })
}
