import { readFileSync, statSync } from 'node:fs'
import { checkFile } from './check-file.ts'
import type { Json } from './shape.ts'
import { parseConfig, yamlText } from './yaml-values.ts'

const MAX_BASE_BYTES = 64 * 1024

/** The part of a sidecar file that all sidecars get. Rejects with an error for people. */
export async function readBase(file: string): Promise<Json> {
  let text: string
  try {
    if (statSync(file).size > MAX_BASE_BYTES) throw new Error(`is larger than ${MAX_BASE_BYTES / 1024} KiB`)
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new Error(`${file}: cannot be read: ${(error as Error).message}`)
  }
  const base = parseConfig(text)
  if (typeof base === 'string') throw new Error(`${file}: ${base}`)
  // A file has to listen somewhere, and `register` needs a name and a port: those of pods have them.
  const pod = {
    service: 'any',
    inbound: [{ listen: '127.0.0.1:20000', forward: '127.0.0.1:8080' }],
    outbound: [{ listen: '127.0.0.1:15001' }],
  }
  const wrong = await checkFile(yamlText({ ...pod, ...base }))
  if (wrong.length > 0) throw new Error(wrong.map(each => each.replace(/^outrigger\.io\/sidecar/, file)).join('\n'))
  return base
}
