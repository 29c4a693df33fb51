import { mkdirSync, readFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { AgentLog } from '../log.ts'
import type { Documents } from './layers.ts'
import type { PolicyDocument } from './source.ts'

/**
 * The documents in force, on disk: an agent that starts while a source is away, or while the newest version of a
 * document is bad, goes on with them.
 */
export interface SavedDocuments {
  /** By the name of their source; empty where nothing is saved. */
  read(): ReadonlyMap<string, readonly PolicyDocument[]>
  /** Called after each change; writes the newest soon. */
  save(documents: Documents): void
  /** Resolves when all is written. */
  settled(): Promise<void>
}

const FORMAT = 1

export function savedDocuments(file: string, log: AgentLog): SavedDocuments {
  let next: Documents | null = null
  let writing: Promise<void> | null = null

  async function write(): Promise<void> {
    while (next !== null) {
      const documents = next
      next = null
      try {
        await writeAtomic(file, textOf(documents))
      } catch (error) {
        log.warn('the policies in force cannot be saved for the next start', { file, reason: (error as Error).message })
      }
    }
    writing = null
  }

  return {
    read() {
      try {
        return parse(readFileSync(file, 'utf8'))
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException
        if (code !== 'ENOENT') log.warn('the policies of the last run cannot be read', { file, reason: message })
        return new Map()
      }
    },
    save(documents) {
      next = documents
      writing ??= write()
    },
    settled: async () => {
      await writing
    },
  }
}

function textOf(documents: Documents): string {
  const list = [...documents.values()].map(({ source, document: { service, at, text, version } }) => {
    return { source, service, at, text, version }
  })
  return JSON.stringify({ format: FORMAT, documents: list })
}

function parse(text: string): ReadonlyMap<string, readonly PolicyDocument[]> {
  const { format, documents } = JSON.parse(text) as {
    format: number
    documents: (PolicyDocument & { source: string })[]
  }
  if (format !== FORMAT) throw new Error(`it has format ${format}`)
  const found = new Map<string, PolicyDocument[]>()
  for (const { source, service, at, text: written, version } of documents) {
    const ofSource = found.get(source) ?? []
    ofSource.push({ service, at, text: written, version, errors: [], warnings: [] })
    found.set(source, ofSource)
  }
  return found
}

/** The file is whole at any moment, and its owner's only unless `mode` says otherwise. */
export async function writeAtomic(file: string, text: string, mode = 0o600): Promise<void> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const beside = `${file}.${process.pid}.new`
  const handle = await open(beside, 'w', mode)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(beside, file)
}
