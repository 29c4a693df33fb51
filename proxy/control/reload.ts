import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { LoadedConfig, RefusedConfig } from './config-loader.ts'

/** What is in force, and what came of the last attempt to change it. */
export interface ReloadState {
  readonly config: LoadedConfig
  /** Wall time. */
  readonly inForceSince: number
  /** Wall time of the last good load, also where nothing had changed. */
  readonly loadedAt: number
  readonly attemptedAt: number
  /** Why the files as they are now are not in force; empty: they are. */
  readonly lastErrors: readonly string[]
  /** Changes of the files that only a restart takes up. */
  readonly needsRestart: readonly string[]
}

export interface Reloader {
  /** Reads the files anew; calls while one is under way are answered by one more attempt. `why` is for the log. */
  request(why: string): Promise<void>
  state(): ReloadState
}

export interface ReloaderOptions {
  readonly first: LoadedConfig
  readonly load: () => Promise<LoadedConfig | RefusedConfig>
  /** Reasons of the data threads why not; empty: every one serves it. */
  readonly apply: (config: LoadedConfig) => Promise<readonly string[]>
  readonly applied: (config: LoadedConfig) => void
  readonly clock: Clock
  readonly log: Log
}

export function reloader({ first, load, apply, applied, clock, log }: ReloaderOptions): Reloader {
  const now = clock.wallTime()
  let state: ReloadState = { config: first, inForceSince: now, loadedAt: now, attemptedAt: now, lastErrors: [], needsRestart: [] }
  let running: Promise<void> | null = null
  let again: string | null = null

  async function attempt(why: string): Promise<void> {
    const loaded = await load()
    const attemptedAt = clock.wallTime()
    if (!loaded.ok) return refuse(loaded.errors, `${why}: the files are not valid, the running configuration stays`, attemptedAt)
    const { diffBootstraps, diffSnapshots } = await import('../../mesh-config/diff.ts')
    const needsRestart = diffBootstraps(first.bootstrap, loaded.bootstrap)
    for (const line of needsRestart) log.warn(`changed in the files: ${line}`)
    const before = state.config.snapshot
    if (loaded.snapshot.version === before.version) {
      state = { ...state, config: { ...loaded, snapshot: before }, loadedAt: attemptedAt, attemptedAt, lastErrors: [], needsRestart }
      return log.info(`${why}: nothing changed${needsRestart.length === 0 ? '' : ' that a reload can take up'}`, { version: before.version })
    }
    const reasons = await apply(loaded)
    if (reasons.length > 0) return refuse(reasons, `${why}: the data threads cannot take the new configuration, the running one stays`, attemptedAt)
    state = { config: loaded, inForceSince: attemptedAt, loadedAt: attemptedAt, attemptedAt, lastErrors: [], needsRestart }
    for (const warning of loaded.warnings) log.warn(warning)
    for (const line of diffSnapshots(before, loaded.snapshot)) log.info(line)
    log.info(`${why}: configuration ${loaded.snapshot.version} is in force`, { version: loaded.snapshot.version, before: before.version })
    applied(loaded)
  }

  function refuse(errors: readonly string[], message: string, attemptedAt: number): void {
    state = { ...state, attemptedAt, lastErrors: errors }
    log.error(message, { version: state.config.snapshot.version })
    for (const error of errors) log.error(error)
  }

  return {
    request(why) {
      if (running !== null) {
        again = why
        return running
      }
      running = (async () => {
        for (let reason: string | null = why; reason !== null; ) {
          again = null
          await attempt(reason).catch((error: unknown) =>
            refuse([String(error)], `${reason}: reloading failed, the running configuration stays`, clock.wallTime()),
          )
          reason = again
        }
        running = null
      })()
      return running
    },
    state: () => state,
  }
}
