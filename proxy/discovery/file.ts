import type { EndpointFile } from '../../mesh-config/endpoint-file.ts'
import { endpointsOfJson } from '../../mesh-config/endpoint-json.ts'
import { FileTrouble, readText } from '../../mesh-config/read-file.ts'
import type { FileSourceSpec } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'
import { CONFIRM_MS, type EndpointSource, type EndpointWatcher } from '../core/source.ts'

/** The file is read again at this interval as well: some repairs (permissions) do not trigger the watch. */
const RETRY_MS = 5_000
const MAX_BYTES = 16 * 1024 * 1024

export interface FileDeps {
  readonly clock: Clock
  /** As in proxy/control/watch-files.ts. */
  readonly watchFiles: (files: readonly string[], read: string, changed: () => void, clock: Clock) => () => void
  readonly signatureOf: (files: readonly string[]) => Promise<string>
  /** Reads a text that is not JSON in our form: YAML, or an error. Takes a bounded time, in another process. */
  readonly readEndpointText: (path: string, text: string) => Promise<EndpointFile>
}

/**
 * Endpoints from a watched file. A file that is missing, empty, half-written or wrong is trouble and changes nothing;
 * `[]` says that there are no endpoints.
 */
export function fileSource(
  { path }: FileSourceSpec,
  { clock, watchFiles, signatureOf, readEndpointText }: FileDeps,
): EndpointSource {
  async function watch(watcher: EndpointWatcher, signal: AbortSignal): Promise<void> {
    let isReading = false
    let isLate = false
    const readEndpoints = endpointReader(path, readEndpointText)

    async function read(isFirst: boolean): Promise<void> {
      isLate = isReading
      if (isReading) return
      isReading = true
      const file = await readEndpoints()
      isReading = false
      if (signal.aborted) return
      if (isLate) return read(isFirst)
      if (file.ok) {
        retry.cancel()
        watcher.onSet(file.endpoints)
        // Read once more in any case: half a list, of a file that was being written, looks like a whole one.
        if (isFirst || watcher.isDoubted()) confirm.arm(CONFIRM_MS)
      } else {
        confirm.cancel()
        retry.arm(RETRY_MS)
        watcher.onTrouble(inShort(file.problems))
      }
    }

    const confirm = clock.timer(() => void read(false))
    const retry = clock.timer(() => void read(true))
    const before = await signatureOf([path])
    await read(true)
    if (signal.aborted) return
    const stop = watchFiles([path], before, () => void read(true), clock)
    signal.addEventListener('abort', () => {
      stop()
      confirm.cancel()
      retry.cancel()
    })
  }

  return { name: `file ${path}`, watch: (watcher, signal) => void watch(watcher, signal) }
}

/** A text that was read before, or was refused, is not parsed again: the file is checked every few seconds. */
function endpointReader(path: string, readEndpointText: FileDeps['readEndpointText']): () => Promise<EndpointFile> {
  let digest = ''
  let latest: EndpointFile = { ok: true, endpoints: [] }

  async function parsed(text: string): Promise<EndpointFile> {
    // Loaded where there is such a file: it is 10 ms of a start.
    const now = process.getBuiltinModule('node:crypto').hash('sha1', text)
    if (now === digest) return latest
    const endpoints = endpointsOfJson(text)
    latest = endpoints === null ? await readEndpointText(path, text) : { ok: true, endpoints }
    digest = now
    return latest
  }

  return async () => {
    try {
      return await parsed(await readText(path, MAX_BYTES))
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error)
      const why = error instanceof FileTrouble ? error.message : (unreadable[code] ?? `cannot be read (${code})`)
      return { ok: false, problems: [`${path}: ${why}`] }
    }
  }
}

const unreadable: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file: check the path under discovery.files',
  EACCES: 'no permission to read it: give the user that runs outrigger read access',
}

function inShort(problems: readonly string[]): string {
  return problems.length === 1 ? problems[0]! : `${problems[0]} (and ${problems.length - 1} more)`
}
