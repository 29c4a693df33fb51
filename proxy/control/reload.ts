import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { LoadedConfig, RefusedConfig } from './loaded-config.ts'

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
  /**
   * The data threads refused the files: a port may be free later, so they are asked again at this wall time. Null: no,
   * or the files are wrong.
   */
  readonly retryAt: number | null
  /** Changes of the files that only a restart takes up. */
  readonly needsRestart: readonly string[]
}

export interface Reloader {
  /** Reads the files anew; calls while one is under way are answered by one more attempt. `why` is for the log. */
  request(why: string): Promise<void>
  /** Resolves when none is under way. */
  settled(): Promise<void>
  state(): ReloadState
}

export interface ReloaderOptions {
  readonly first: LoadedConfig
  readonly load: () => Promise<LoadedConfig | RefusedConfig>
  /** Reasons of the data threads why not; empty: every one serves it. */
  readonly bring: (config: LoadedConfig) => Promise<readonly string[]>
  readonly inForce: (config: LoadedConfig) => void
  /** The proxy is about to end: nothing is tried again. */
  readonly isOver: () => boolean
  readonly clock: Clock
  readonly log: Log
}

const FIRST_RETRY_MS = 1_000
const MAX_RETRY_MS = 60_000
const RETRY = 'what was refused is tried again'

export function reloader({ first, load, bring, inForce, isOver, clock, log }: ReloaderOptions): Reloader {
  const now = clock.wallTime()
  let state: ReloadState = {
    config: first,
    inForceSince: now,
    loadedAt: now,
    attemptedAt: now,
    lastErrors: [],
    retryAt: null,
    needsRestart: [],
  }
  let running: Promise<void> | null = null
  let again: string | null = null
  let retryMs = FIRST_RETRY_MS
  const retry = clock.timer(() => {
    if (!isOver()) void request(RETRY)
  })

  async function attempt(why: string): Promise<void> {
    retry.cancel()
    if (why !== RETRY) retryMs = FIRST_RETRY_MS
    const loaded = await load()
    const attemptedAt = clock.wallTime()
    if (!loaded.ok)
      return refuse(loaded.errors, `${why}: the files are not valid, the running configuration stays`, attemptedAt)
    const { diffAgents, diffBootstraps, diffDiscovery, diffSnapshots } = await import('../../mesh-config/diff.ts')
    const needsRestart = diffBootstraps(first.bootstrap, loaded.bootstrap)
    for (const line of needsRestart) log.warn(`changed in the files: ${line}`)
    const { snapshot: before, discovery: discoveredBefore, agent: agentBefore } = state.config
    if (loaded.snapshot.version === before.version) {
      state = {
        ...state,
        config: { ...loaded, snapshot: before },
        loadedAt: attemptedAt,
        attemptedAt,
        lastErrors: [],
        retryAt: null,
        needsRestart,
      }
      return log.info(`${why}: nothing changed${needsRestart.length === 0 ? '' : ' that a reload can take up'}`, {
        version: before.version,
      })
    }
    const reasons = await bring(loaded)
    if (reasons.length > 0) return refuseForNow(reasons, why, attemptedAt)
    state = {
      config: loaded,
      inForceSince: attemptedAt,
      loadedAt: attemptedAt,
      attemptedAt,
      lastErrors: [],
      retryAt: null,
      needsRestart,
    }
    for (const warning of loaded.warnings) log.warn(warning)
    for (const line of diffAgents(agentBefore, loaded.agent)) log.info(line)
    for (const line of diffDiscovery(discoveredBefore, loaded.discovery)) log.info(line)
    for (const line of diffSnapshots(before, loaded.snapshot)) log.info(line)
    log.info(`${why}: configuration ${loaded.snapshot.version} is in force`, {
      version: loaded.snapshot.version,
      before: before.version,
    })
    inForce(loaded)
  }

  /** The files are good, and something of this machine is not, such as a port that another process holds. */
  function refuseForNow(reasons: readonly string[], why: string, attemptedAt: number): void {
    const isNews = reasons.join('\n') !== state.lastErrors.join('\n')
    const next = `tried again in ${retryMs / 1000} s`
    const message = `${why}: the data threads cannot take the new configuration, the running one stays; ${next}`
    if (isNews) refuse(reasons, message, attemptedAt)
    else log.warn(`${why}: still refused; ${next}`)
    state = { ...state, attemptedAt, retryAt: attemptedAt + retryMs }
    retry.arm(retryMs)
    retryMs = Math.min(retryMs * 2, MAX_RETRY_MS)
  }

  function refuse(errors: readonly string[], message: string, attemptedAt: number): void {
    state = { ...state, attemptedAt, lastErrors: errors, retryAt: null }
    log.error(message, { version: state.config.snapshot.version })
    for (const error of errors) log.error(error)
  }

  function request(why: string): Promise<void> {
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
  }

  return { request, settled: () => running ?? Promise.resolve(), state: () => state }
}
