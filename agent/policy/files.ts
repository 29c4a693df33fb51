import { createHash } from 'node:crypto'
import { type FSWatcher, watch } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { EVERY_SERVICE, MAX_DOCUMENT_BYTES } from '../../mesh-config/policy-document.ts'
import { FileTrouble, readText } from '../../mesh-config/read-file.ts'
import { MAX_DOCUMENTS } from './documents.ts'
import type { PolicyDocument, PolicySource, PolicyStore } from './source.ts'

/** An editor saves in several steps: the last one counts. */
const SETTLE_MS = 100
const LONGEST_SETTLE_MS = 500
/** Where the system tells nothing (network file systems, bind mounts): looked at this often. */
const POLL_MS = 5_000
const ENDINGS: readonly string[] = ['.yaml', '.yml', '.json']

/**
 * A folder of documents, or one file: `orders.yaml` is for the service orders, `defaults.yaml` for all. Subfolders and
 * hidden files are left alone. `shown`: the path as its user wrote it.
 */
export function fileSource(path: string, shown: string, store: PolicyStore | null = null): PolicySource {
  return {
    name: `files ${shown}`,
    isLocal: true,
    store,
    watch(watcher, signal) {
      let known: string | null = null
      let hasDocuments = watcher.hadDocuments === true
      let looking: Promise<void> | null = null
      let again = false
      let watched: FSWatcher[] = []
      let settle: NodeJS.Timeout | undefined
      let firstEventAt: number | null = null

      async function look(): Promise<void> {
        const { documents, trouble } = await readAll(path, shown, hasDocuments)
        if (signal.aborted) return
        if (trouble !== null) {
          known = null
          watcher.onTrouble(trouble)
          return
        }
        const now = documents.map(({ service, version, errors }) => `${service} ${version} ${errors.join()}`).join('\n')
        if (now === known) return
        known = now
        hasDocuments = documents.length > 0
        watcher.onSet(documents)
      }

      /** One look at a time; what happens meanwhile is looked at afterwards. */
      function news(): void {
        if (looking !== null) {
          again = true
          return
        }
        looking = look().finally(() => {
          looking = null
          if (again && !signal.aborted) {
            again = false
            news()
          }
        })
      }

      /** After a quiet moment, but not much later where somebody writes all the time. */
      function settled(): void {
        firstEventAt ??= performance.now()
        if (performance.now() - firstEventAt > LONGEST_SETTLE_MS) return
        clearTimeout(settle)
        settle = setTimeout(() => {
          firstEventAt = null
          watchNow()
          news()
        }, SETTLE_MS)
      }

      function watchNow(): void {
        for (const each of watched) each.close()
        // Its parent tells when it comes and goes; what else happens there is nothing to us.
        const own = basename(resolve(path))
        watched = [
          ...watchFolder(path, settled),
          ...watchFolder(dirname(resolve(path)), name => {
            if (name === null || name === own) settled()
          }),
        ]
      }

      watchNow()
      news()
      const poll = setInterval(() => {
        if (watched.length < 2) watchNow()
        news()
      }, POLL_MS)
      signal.addEventListener('abort', () => {
        clearInterval(poll)
        clearTimeout(settle)
        for (const each of watched) each.close()
      })
    },
  }
}

function watchFolder(folder: string, event: (name: string | null) => void): FSWatcher[] {
  try {
    const watcher = watch(folder, (_, name) => event(name))
    watcher.on('error', () => watcher.close())
    return [watcher]
  } catch {
    return []
  }
}

interface Found {
  readonly documents: readonly PolicyDocument[]
  readonly trouble: string | null
}

async function readAll(path: string, shown: string, hasDocuments: boolean): Promise<Found> {
  try {
    const isFolder = (await stat(path)).isDirectory()
    if (!isFolder) return { documents: await readOne(path, shown), trouble: null }
    const names = (await readdir(path)).filter(name => !name.startsWith('.') && ENDINGS.includes(extname(name))).sort()
    if (names.length > MAX_DOCUMENTS)
      return { documents: [], trouble: `it has ${names.length} files, and at most ${MAX_DOCUMENTS} are read` }
    const documents: PolicyDocument[] = []
    for (const name of names) {
      for (const document of await readOne(join(path, name), join(shown, name))) {
        const first = documents.findIndex(({ service }) => service === document.service)
        if (first < 0) documents.push(document)
        else documents[first] = twice(documents[first]!, document)
      }
    }
    return { documents, trouble: null }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && !hasDocuments) return { documents: [], trouble: null }
    if (code === 'ENOENT') return { documents: [], trouble: `${shown} is gone: its documents stay in force` }
    return { documents: [], trouble: `${shown} cannot be read: ${message}` }
  }
}

/** Two files for one service, such as orders.yaml and orders.json. */
function twice(one: PolicyDocument, other: PolicyDocument): PolicyDocument {
  const error = `${other.at}: ${one.at} is for ${one.service} too: keep one of them`
  return { ...one, version: `${one.version}+${other.version}`, errors: [...one.errors, error] }
}

/** Empty: it is not there any more. */
async function readOne(path: string, shown: string): Promise<readonly PolicyDocument[]> {
  const name = basename(path, extname(path))
  const document = { service: name === 'defaults' ? EVERY_SERVICE : name, at: shown, warnings: [] }
  try {
    const text = await readText(path, MAX_DOCUMENT_BYTES)
    return [{ ...document, text, version: versionOfText(text), errors: [] }]
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return []
    const why = error instanceof FileTrouble ? message : `it cannot be read (${code ?? message})`
    return [{ ...document, text: '', version: `unread ${why}`, errors: [`${shown}: ${why}`] }]
  }
}

export function versionOfText(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}
