import type { PolicyStore, StoredVersion } from './source.ts'
import { VersionConflict } from './version-conflict.ts'
import type { ZooKeeperConnection } from './zookeeper-client.ts'

/** How many earlier versions of a document are kept. */
const KEPT = 50
/** ZooKeeper takes 1 MiB in a message by default; the rest of the message needs a little. */
const MAX_ENTRY = 1024 * 1024 - 4096

export function documentPath(root: string, service: string): string {
  return service === '*' ? `${root}/defaults` : `${root}/services/${service}`
}

/** In the history the defaults have a name that no service can have. */
function historyPath(root: string, service: string): string {
  return `${root}/history/${service === '*' ? '_defaults' : service}`
}

type Kept = StoredVersion & { readonly version: string }

/** Writes documents with a condition, and each version to `<root>/history/<service>/v-<number>`. */
export function zookeeperStore(root: string, connection: () => ZooKeeperConnection): PolicyStore {
  /** The number of a sequential znode is the order of their writing. */
  const entriesOf = async (zk: ZooKeeperConnection, service: string) =>
    [...((await zk.children(historyPath(root, service), false)) ?? [])].sort()

  async function keep(zk: ZooKeeperConnection, entry: Kept): Promise<void> {
    const folder = historyPath(root, entry.service)
    await makeAll(zk, folder)
    await zk.create(`${folder}/v-`, Buffer.from(JSON.stringify(entry)), true)
    for (const old of (await entriesOf(zk, entry.service)).slice(0, -KEPT)) await zk.remove(`${folder}/${old}`)
  }

  return {
    async put(document, expect) {
      const { service, text } = document
      if (Buffer.byteLength(JSON.stringify(document)) > MAX_ENTRY)
        throw new Error(
          `the document for ${service} is too long for a znode: ${MAX_ENTRY} bytes with its quotes escaped`,
        )
      const zk = connection()
      const path = documentPath(root, service)
      const stat = await zk.exists(path, false)
      const has = stat?.changed ?? ''
      if (expect !== null && expect !== has) throw new VersionConflict(another(service, has, expect))
      let version: string
      if (stat === null) {
        await makeAll(zk, path.slice(0, path.lastIndexOf('/')))
        if ((await zk.create(path, Buffer.from(text), false)) === false)
          throw new VersionConflict(another(service, 'new', ''))
        version = (await zk.exists(path, false))?.changed ?? ''
      } else {
        const written = await zk.write(path, Buffer.from(text), stat.version)
        if (written === null) throw new VersionConflict(another(service, 'newer', has))
        version = written.changed
      }
      await keep(zk, { ...document, version }).catch((error: Error) => {
        throw new Error(`the document for ${service} is written, but not its history: ${error.message}`)
      })
      return version
    },

    async history(service) {
      const zk = connection()
      const entries = await entriesOf(zk, service)
      const kept: Kept[] = []
      for (const name of entries.slice(-KEPT).reverse()) {
        const found = await zk.read(`${historyPath(root, service)}/${name}`)
        const entry = found === null ? null : parsed(found.data.toString())
        if (entry !== null) kept.push({ ...entry, service })
      }
      const now = await zk.read(documentPath(root, service))
      // Written by hand, with ZooKeeper's own tools.
      if (now !== null && now.stat.changed !== kept[0]?.version) {
        const { changed, changedAt } = now.stat
        kept.unshift({ service, text: now.data.toString(), author: '', comment: '', at: changedAt, version: changed })
      }
      return kept
    },
  }
}

function another(service: string, has: string, expect: string): string {
  if (expect === '') return `there is a document for ${service} already, and there should be none`
  return has === ''
    ? `there is no document for ${service}, and version ${expect} was to be replaced`
    : `the document for ${service} has changed meanwhile: it has version ${has}, and ${expect} was to be replaced`
}

async function makeAll(zk: ZooKeeperConnection, path: string): Promise<void> {
  const names = path.split('/').slice(1)
  for (let i = 1; i <= names.length; i++) await zk.create(`/${names.slice(0, i).join('/')}`, Buffer.alloc(0), false)
}

/** What others wrote there is not taken. */
function parsed(text: string): Kept | null {
  try {
    const { text: policy, author, comment, at, version } = JSON.parse(text) as Record<string, unknown>
    if (typeof policy !== 'string' || typeof version !== 'string') return null
    return {
      service: '',
      text: policy,
      author: String(author ?? ''),
      comment: String(comment ?? ''),
      at: Number(at ?? 0),
      version,
    }
  } catch {
    return null
  }
}
