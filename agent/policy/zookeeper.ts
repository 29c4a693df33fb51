import { setTimeout as sleep } from 'node:timers/promises'
import { addressOf } from '../../mesh-config/address.ts'
import type { AgentDocument } from '../../mesh-config/agent/agent-file.ts'
import { durationMs } from '../../mesh-config/duration.ts'
import { MAX_DOCUMENTS } from './documents.ts'
import type { PolicyDocument, PolicySource, PolicyWatcher } from './source.ts'
import { connectZooKeeper, type ZooKeeperConnection } from './zookeeper-client.ts'
import { documentPath, zookeeperStore } from './zookeeper-store.ts'

export interface ZooKeeperSourceOptions {
  /** Tried one after the other, from a random one on. */
  readonly servers: readonly { readonly address: string; readonly port: number }[]
  /** The znode of the layout, such as `/outrigger`; with a chroot before it where there is one. */
  readonly root: string
  readonly auth: string | null
  readonly sessionMs: number
}

/** From `policies.zookeeper` of the agent file. */
export function zookeeperOptions(spec: NonNullable<AgentDocument['policies']['zookeeper']>): ZooKeeperSourceOptions {
  const { servers, chroot = '', path, auth, sessionTimeout } = spec
  const sessionMs = durationMs(sessionTimeout)
  return { servers: servers.map(addressOf), root: `${chroot}${path}`, auth: auth ?? null, sessionMs }
}

/** ZooKeeper's own bound for the data of a znode. */
const MAX_DOCUMENT = 1024 * 1024
/** Of all texts together: documents beyond it are refused, each alone. */
const MAX_TOTAL = 64 * 1024 * 1024
/** Reads that are on their way at a time. */
const AT_A_TIME = 64
const FIRST_WAIT_MS = 100
/** An ensemble that is back is found within this time. */
const LONGEST_WAIT_MS = 2_000

/** Policy documents in znodes: `<root>/services/<name>`, and `<root>/defaults` for all services. */
export function zookeeperSource(options: ZooKeeperSourceOptions): PolicySource {
  const { servers, root, auth, sessionMs } = options
  let live: ZooKeeperConnection | null = null
  let trouble = 'it was not asked yet'

  async function follow(watcher: PolicyWatcher, signal: AbortSignal): Promise<void> {
    let failures = 0
    let next = Math.floor(Math.random() * servers.length)
    while (!signal.aborted) {
      const { address, port } = servers[next++ % servers.length]!
      try {
        await oneSession(address, port, watcher, signal, () => {
          failures = 0
        })
      } catch (error) {
        trouble = (error as Error).message
        if (!signal.aborted) watcher.onTrouble(trouble)
      }
      live = null
      // Each of them at once, then all of them with growing and random pauses.
      if (++failures < servers.length) continue
      const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(10, failures - servers.length))
      await sleep(longest * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {})
    }
  }

  /** From the connection to its end. Rejects with what ended it. */
  async function oneSession(
    host: string,
    port: number,
    watcher: PolicyWatcher,
    signal: AbortSignal,
    worked: () => void,
  ): Promise<void> {
    const dirty = new Set<string>()
    let wake = Promise.withResolvers<void>()
    const changed = (path: string) => {
      dirty.add(path)
      wake.resolve()
    }
    let ended: Error | null = null
    const lost = (reason: string) => {
      ended = new Error(reason)
      wake.resolve()
    }
    const connection = await connectZooKeeper({ host, port, sessionMs, auth, changed, lost })
    const abort = () => wake.resolve()
    signal.addEventListener('abort', abort, { once: true })
    try {
      const documents = new Map<string, PolicyDocument>()
      dirty.add(`${root}/services`)
      dirty.add(`${root}/defaults`)
      live = connection
      while (ended === null && !signal.aborted) {
        const paths = [...dirty]
        dirty.clear()
        wake = Promise.withResolvers<void>()
        if (paths.length > 0) {
          await readAnew(connection, paths, documents)
          worked()
          if (!signal.aborted) watcher.onSet([...documents.values()])
        }
        if (dirty.size === 0 && ended === null && !signal.aborted) await wake.promise
      }
      if (ended !== null) throw ended
    } finally {
      signal.removeEventListener('abort', abort)
      live = null
      connection.close()
    }
  }

  async function readAnew(
    connection: ZooKeeperConnection,
    paths: readonly string[],
    documents: Map<string, PolicyDocument>,
  ): Promise<void> {
    const services = new Set(paths.filter(path => path !== `${root}/services`).map(path => serviceOf(path)))
    if (paths.includes(`${root}/services`)) {
      const names = new Set(await childrenOf(connection))
      if (names.size > MAX_DOCUMENTS)
        throw new Error(`${root}/services has ${names.size} znodes, and ${MAX_DOCUMENTS} is the most that is read`)
      for (const name of documents.keys()) if (name !== '*' && !names.has(name)) documents.delete(name)
      for (const name of names) if (!documents.has(name)) services.add(name)
    }
    const wanted = [...services]
    for (let from = 0; from < wanted.length; from += AT_A_TIME)
      await Promise.all(wanted.slice(from, from + AT_A_TIME).map(name => readOne(connection, name, documents)))
  }

  function serviceOf(path: string): string {
    return path === `${root}/defaults` ? '*' : path.slice(`${root}/services/`.length)
  }

  /** Watches it also before it is there. */
  async function childrenOf(connection: ZooKeeperConnection): Promise<readonly string[]> {
    for (;;) {
      const names = await connection.children(`${root}/services`, true)
      if (names !== null) return names
      if ((await connection.exists(`${root}/services`, true)) === null) return []
    }
  }

  async function readOne(
    connection: ZooKeeperConnection,
    service: string,
    documents: Map<string, PolicyDocument>,
  ): Promise<void> {
    const path = documentPath(root, service)
    const at = `zookeeper ${path}`
    const refused = (version: string, reason: string) =>
      documents.set(service, { service, at, text: '', version, errors: [reason], warnings: [] })
    const stat = await connection.exists(path, true)
    if (stat === null) {
      documents.delete(service)
      return
    }
    let total = 0
    for (const [name, { text }] of documents) if (name !== service) total += text.length
    if (stat.length > MAX_DOCUMENT) {
      refused(stat.changed, `the znode has ${stat.length} bytes, and a document at most ${MAX_DOCUMENT}`)
      return
    }
    if (total + stat.length > MAX_TOTAL) {
      refused(stat.changed, `the documents in ZooKeeper have more than ${MAX_TOTAL} bytes together`)
      return
    }
    try {
      const found = await connection.read(path)
      if (found === null) documents.delete(service)
      else {
        const version = found.stat.changed
        documents.set(service, { service, at, text: found.data.toString(), version, errors: [], warnings: [] })
      }
    } catch (error) {
      refused(stat.changed, (error as Error).message)
    }
  }

  return {
    name: 'zookeeper',
    watch(watcher, signal) {
      void follow(watcher, signal)
    },
    store: zookeeperStore(root, () => {
      if (live === null) throw new Error(`ZooKeeper cannot be reached: ${trouble}`)
      return live
    }),
  }
}
