import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { watchedFiles } from './watched-file.ts'
import { messageOf } from './words.ts'

export interface TokenSpec {
  readonly token: string | null
  /** Read again when it changes; wins over `token`. */
  readonly tokenFile: string | null
}

/** The present token for a registry; empty: none. Throws while its file could never be read. */
export function tokenOf(
  { token, tokenFile }: TokenSpec,
  registry: string,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): () => string {
  if (tokenFile === null) return () => token ?? ''
  const files = watchedFiles([tokenFile], clock)
  let warned = ''
  return () => {
    let text: string
    try {
      text = files.read()[0]!.trim()
    } catch (error) {
      throw new Error(`the token file of ${registry} cannot be read: ${messageOf(error)}`)
    }
    if (files.trouble() !== warned) {
      warned = files.trouble()
      if (warned !== '') log.warn(`the token of ${registry} stays as it was: its file ${warned}`)
    }
    return text
  }
}
