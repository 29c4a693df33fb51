import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { EVERY_SERVICE } from '../../mesh-config/policy-document.ts'
import { versionOfText } from './files.ts'
import { entryName, formatVersion, foundVersion, MAX_VERSIONS, parseVersion } from './history.ts'
import { writeAtomic } from './saved.ts'
import type { PolicyStore, StoredVersion } from './source.ts'
import { conflict } from './version-conflict.ts'

const ENDINGS = ['.yaml', '.yml', '.json']

/** Documents in a folder, each version below `.history/`. `shown`: the folder as its user wrote it. */
export function fileStore(folder: string, shown: string): PolicyStore {
  const baseOf = (service: string) => (service === EVERY_SERVICE ? 'defaults' : service)
  const historyOf = (service: string) => join(folder, '.history', baseOf(service))
  let turn: Promise<unknown> = Promise.resolve()

  async function current(service: string): Promise<{ text: string; file: string }> {
    for (const ending of ENDINGS) {
      const file = `${baseOf(service)}${ending}`
      const text = await readFile(join(folder, file), 'utf8').catch(missing)
      if (text !== null) return { text, file }
    }
    return { text: '', file: '' }
  }

  async function history(service: string) {
    const names = (await readdir(historyOf(service)).catch(missing)) ?? []
    const texts = names
      .sort()
      .reverse()
      .map(name => readFile(join(historyOf(service), name), 'utf8'))
    return (await Promise.all(texts)).flatMap(json => parseVersion(json, null) ?? [])
  }

  async function put(document: StoredVersion, expect: string | null): Promise<string> {
    const { service, text, at } = document
    const { text: before, file } = await current(service)
    const known = await history(service)
    const had = file === '' ? null : versionOfText(before)
    const name = file === '' ? `${baseOf(service)}.yaml` : file
    if (expect !== null && expect !== (had ?? '')) throw conflict(join(shown, name), expect, had)
    await mkdir(historyOf(service), { recursive: true, mode: 0o700 })
    if (had !== null && known[0]?.version !== had) {
      const found = formatVersion(foundVersion(service, before, 'changed in the file'), had)
      await writeAtomic(join(historyOf(service), entryName(at - 1)), found)
    }
    const version = versionOfText(text)
    await writeAtomic(join(historyOf(service), entryName(at)), formatVersion(document, version))
    await writeAtomic(join(folder, name), text, await modeOf(join(folder, name)))
    const names = (await readdir(historyOf(service))).sort()
    for (const old of names.slice(0, -MAX_VERSIONS)) await rm(join(historyOf(service), old))
    return version
  }

  return {
    history,
    put(document, expect) {
      const done = turn.then(() => put(document, expect))
      turn = done.catch(() => {})
      return done
    },
  }
}

/** A document may hold secrets: who may read it stays as its owner has set it. */
async function modeOf(file: string): Promise<number> {
  const found = await stat(file).catch(missing)
  return found === null ? 0o644 : found.mode & 0o777
}

function missing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null
  throw error
}
