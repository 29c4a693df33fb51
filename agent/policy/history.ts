import { gunzipSync, gzipSync } from 'node:zlib'
import type { StoredVersion } from './source.ts'

/** So many versions of a document are kept. */
export const MAX_VERSIONS = 50
/** Of one version, unfolded. */
const MAX_TEXT_BYTES = 2 * 1024 * 1024

/** One version as a store keeps it: JSON, with the text compressed. */
export function formatVersion(stored: StoredVersion, version: string | null): string {
  const { service, text, author, comment, at } = stored
  const known = version === null ? {} : { version }
  return JSON.stringify({ ...known, service, author, comment, at, gzip: gzipSync(text).toString('base64') })
}

/** Null: it is none of ours. `version`: where the store itself counts versions. */
export function parseVersion(json: string, version: string | null): (StoredVersion & { version: string }) | null {
  try {
    const { gzip, ...rest } = JSON.parse(json) as StoredVersion & { gzip: string; version?: string }
    const text = gunzipSync(Buffer.from(gzip, 'base64'), { maxOutputLength: MAX_TEXT_BYTES }).toString('utf8')
    const { service, author, comment, at } = rest
    return {
      service,
      author: String(author),
      comment: String(comment),
      at: Number(at),
      text,
      version: rest.version ?? version ?? '',
    }
  } catch {
    return null
  }
}

/** Names that sort by time, newest last; two at the same moment differ. */
export function entryName(at: number): string {
  return `${String(at).padStart(15, '0')}-${Math.random().toString(36).slice(2, 8)}`
}

/** Somebody changed it by other means than `outrigger policy`. */
export function foundVersion(service: string, text: string, how: string): StoredVersion {
  return { service, text, author: '', comment: how, at: Date.now() }
}
