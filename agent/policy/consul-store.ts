import { EVERY_SERVICE } from '../../mesh-config/policy-document.ts'
import type { ConsulApi } from '../consul.ts'
import { escaped, keyOfDocument } from './consul-kv.ts'
import { entryName, formatVersion, foundVersion, MAX_VERSIONS, parseVersion } from './history.ts'
import type { PolicyStore, StoredVersion } from './source.ts'
import { conflict } from './version-conflict.ts'

interface Entry {
  readonly Key: string
  readonly Value: string | null
  readonly ModifyIndex: number
}

interface TxnAnswer {
  readonly Results: readonly { readonly KV: { readonly ModifyIndex: number } }[] | null
}

/**
 * Documents in the KV of Consul, each version below `<prefix>/history/<service>/`. A document and its entry in the
 * history are written in one transaction, which gives both the same ModifyIndex: that is the version.
 */
export function consulStore(consul: ConsulApi, prefix: string): PolicyStore {
  const folderOf = (service: string) =>
    `${prefix}/history/${service === EVERY_SERVICE ? 'defaults' : `services/${service}`}/`

  async function history(service: string) {
    const answer = await consul.call('GET', `kv/${escaped(folderOf(service))}`, { query: { recurse: '' } })
    if (answer.status === 404) return []
    return (answer.json() as Entry[])
      .sort((a, b) => (a.Key < b.Key ? 1 : -1))
      .flatMap(({ Value, ModifyIndex }) => {
        const json = Buffer.from(Value ?? '', 'base64').toString('utf8')
        return parseVersion(json, String(ModifyIndex)) ?? []
      })
  }

  async function current(service: string): Promise<{ text: string; version: string } | null> {
    const answer = await consul.call('GET', `kv/${escaped(keyOfDocument(prefix, service))}`, {
      query: { consistent: '' },
    })
    if (answer.status === 404) return null
    const [{ Value, ModifyIndex }] = answer.json() as [Entry]
    return { text: Buffer.from(Value ?? '', 'base64').toString('utf8'), version: String(ModifyIndex) }
  }

  async function trim(service: string): Promise<void> {
    const answer = await consul.call('GET', `kv/${escaped(folderOf(service))}`, { query: { keys: '' } })
    const keys = answer.status === 404 ? [] : (answer.json() as string[]).sort()
    for (const key of keys.slice(0, -MAX_VERSIONS)) await consul.call('DELETE', `kv/${escaped(key)}`)
  }

  return {
    history,
    async put(document: StoredVersion, expect) {
      const { service, text, at } = document
      const key = keyOfDocument(prefix, service)
      const [before, known] = await Promise.all([current(service), history(service)])
      if (expect !== null && expect !== (before?.version ?? ''))
        throw conflict(`consul kv ${key}`, expect, before?.version ?? null)
      const found =
        before === null || known.some(({ version }) => version === before.version)
          ? []
          : [
              set(
                `${folderOf(service)}${entryName(at - 1)}`,
                formatVersion(foundVersion(service, before.text, 'changed in Consul'), before.version),
              ),
            ]
      const operations = [
        ...found,
        set(`${folderOf(service)}${entryName(at)}`, formatVersion(document, null)),
        { KV: { Verb: 'cas', Key: key, Value: base64(text), Index: Number(before?.version ?? 0) } },
      ]
      let answer: TxnAnswer
      try {
        answer = (await consul.call('PUT', 'txn', { body: operations })).json() as TxnAnswer
      } catch (error) {
        const now = await current(service)
        if (now?.version !== before?.version) throw conflict(`consul kv ${key}`, expect ?? '', now?.version ?? null)
        throw error
      }
      await trim(service).catch(() => {})
      return String(answer.Results?.at(-1)?.KV.ModifyIndex ?? '')
    },
  }
}

function set(key: string, text: string) {
  return { KV: { Verb: 'set', Key: key, Value: base64(text) } }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
