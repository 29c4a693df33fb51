import { durationMs } from './duration.ts'
import type { MirrorPolicy } from './mirror.ts'
import { sizeBytes } from './size.ts'
import type { MirrorSpec } from './snapshot.ts'

/** Absent where nothing is said; null: `off`. */
export function compileMirror(service: string, policy: MirrorPolicy): { mirror?: MirrorSpec | null } {
  if (policy === undefined) return {}
  if (policy === null) return { mirror: null }
  const { service: other, subset, percent, body, active, timeout } = policy
  return {
    mirror: {
      service: other ?? service,
      subset: subset ?? null,
      percent,
      bodyBytes: sizeBytes(body),
      active,
      timeoutMs: durationMs(timeout),
    },
  }
}
