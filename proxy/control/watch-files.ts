import { type FSWatcher, watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Clock } from '../core/clock.ts'

/** An editor saves in several steps: the last one counts. */
const SETTLE_MS = 150
/** Where the system tells nothing (network file systems, bind mounts): looked at this often. */
const POLL_MS = 5_000

/**
 * Calls `changed` after any of the files has other content, also when it was replaced by a rename (editors) or by a
 * link that points elsewhere (Kubernetes ConfigMaps): folders are watched, and what counts is what stat says of the
 * file in the end. `read`: their signature before they were last read, so that a change during start-up is not missed.
 * Returns how to stop.
 */
export function watchFiles(files: readonly string[], read: string, changed: () => void, clock: Clock): () => void {
  let stopped = false
  let known = read
  const look = async () => {
    const now = await signatureOf(files)
    if (stopped || now === known) return
    known = now
    changed()
  }
  const settled = clock.timer(() => void look())
  const poll = clock.timer(() => {
    void look()
    poll.arm(POLL_MS)
  })
  const watchers = [...new Set(files.map(file => dirname(resolve(file))))].flatMap(folder =>
    watchFolder(folder, () => settled.arm(SETTLE_MS)),
  )
  void look()
  poll.arm(POLL_MS)
  return () => {
    stopped = true
    settled.cancel()
    poll.cancel()
    for (const watcher of watchers) watcher.close()
  }
}

function watchFolder(folder: string, event: () => void): FSWatcher[] {
  try {
    const watcher = watch(folder, event)
    // The folder went away, or there are no watches left: polling goes on.
    watcher.on('error', () => watcher.close())
    return [watcher]
  } catch {
    return []
  }
}

/**
 * Of the files that links lead to. A file that is not there now (between two steps of an editor) has a signature too.
 */
export async function signatureOf(files: readonly string[]): Promise<string> {
  const all = await Promise.all(
    files.map(async file => {
      try {
        const { ino, size, mtimeMs } = await stat(file)
        return `${ino} ${size} ${mtimeMs}`
      } catch {
        return 'missing'
      }
    }),
  )
  return all.join('|')
}
