import { formatAddress } from '../../mesh-config/address.ts'
import type { ApplicationSpec } from '../../mesh-config/snapshot.ts'
import type { CheckApplication } from '../core/application-check.ts'
import type { Clock, Random, Timer } from '../core/clock.ts'
import type { Log } from '../core/log.ts'

/** Whether the applications behind the inbound listeners are ready. */
export interface Applications {
  /** With the applications of a new configuration; those that stay the same keep their state. */
  configure(applications: readonly ApplicationSpec[]): void
  /** Begins to check, where that has not begun: something follows the result from here on. */
  watch(): void
  /** All of them are ready. Before the first results: false, where there is an application. */
  ready(): boolean
  /** Which is not ready, and why; empty: all are. */
  trouble(): string
  /** Resolves when each has a first result. */
  first(): Promise<void>
  status(): readonly ApplicationStatus[]
}

export interface ApplicationStatus {
  readonly name: string
  readonly address: string
  readonly check: string
  readonly ready: boolean
  /** Empty: nothing is wrong. */
  readonly trouble: string
  /** How long it is so; null: it was not checked yet. */
  readonly forMs: number | null
}

export interface ApplicationsDeps {
  readonly check: CheckApplication
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** While it is not ready: soon after the start of checking, and later. */
const STARTING_MS = 100
const STARTING_FOR_MS = 5_000
const NOT_READY_MS = 500
/** A command is a process each time. */
const COMMAND_MS = 1_000
const NOT_CHECKED = 'it has not been checked yet'

export function applicationChecks(first: readonly ApplicationSpec[], deps: ApplicationsDeps): Applications {
  let watched = first.map(spec => watchedApplication(spec, deps))
  let isWatching = false

  function watch(): void {
    isWatching = true
    for (const each of watched) each.watch()
  }

  return {
    configure(applications) {
      const before = new Map(watched.map(each => [each.key, each]))
      watched = applications.map(spec => before.get(keyOf(spec)) ?? watchedApplication(spec, deps))
      const kept = new Set(watched)
      for (const each of before.values()) if (!kept.has(each)) each.stop()
      if (isWatching) watch()
    },
    watch,
    ready: () => watched.every(each => each.ready()),
    trouble: () => watched.find(each => !each.ready())?.trouble() ?? '',
    first: async () => void (await Promise.all(watched.map(each => each.first))),
    status: () => watched.map(each => each.status()),
  }
}

interface Watched {
  readonly key: string
  readonly first: Promise<void>
  watch(): void
  stop(): void
  ready(): boolean
  trouble(): string
  status(): ApplicationStatus
}

function watchedApplication(spec: ApplicationSpec, { check, clock, random, log }: ApplicationsDeps): Watched {
  const { name, address, check: how } = spec
  const first = Promise.withResolvers<void>()
  let state: 'new' | 'ready' | 'not-ready' = 'new'
  let changedAt = clock.now()
  let beganAt: number | null = null
  let wasReady = false
  /** Results in a row that speak against the state. */
  let against = 0
  let lastTrouble = NOT_CHECKED
  let isOver = false
  const timer: Timer = clock.timer(look)

  function look(): void {
    check(spec, answered)
  }

  function answered(trouble: string): void {
    if (isOver) return
    const isReady = trouble === ''
    against = state === 'new' || isReady !== (state === 'ready') ? against + 1 : 0
    const needed = state === 'new' || (isReady && !wasReady) ? 1 : isReady ? how.successes : how.failures
    if (against >= needed) change(isReady ? 'ready' : 'not-ready', trouble)
    if (!isReady) lastTrouble = trouble
    first.resolve()
    timer.arm(nextMs())
  }

  function change(to: 'ready' | 'not-ready', trouble: string): void {
    if (to === 'ready') log.info(`the application is ready`, { application: name })
    // Its start is no trouble.
    else if (wasReady) log.warn(`the application is not ready any more: ${trouble}`, { application: name })
    else log.info(`the application is not ready yet: ${trouble}`, { application: name })
    state = to
    against = 0
    wasReady ||= to === 'ready'
    changedAt = clock.now()
  }

  function nextMs(): number {
    const usual = how.intervalMs * (0.9 + 0.2 * random())
    if (state === 'ready' && against === 0) return usual
    if (how.kind === 'command') return Math.min(usual, COMMAND_MS)
    const isStarting = !wasReady && clock.now() - (beganAt ?? 0) < STARTING_FOR_MS
    return Math.min(usual, isStarting ? STARTING_MS : NOT_READY_MS)
  }

  return {
    key: keyOf(spec),
    first: first.promise,
    watch() {
      if (beganAt !== null) return
      beganAt = clock.now()
      look()
    },
    stop() {
      isOver = true
      timer.cancel()
      first.resolve()
    },
    ready: () => state === 'ready',
    trouble: () => (state === 'ready' ? '' : lastTrouble),
    status: () => ({
      name,
      address: formatAddress(address),
      check: wordsOf(spec),
      ready: state === 'ready',
      trouble: state === 'ready' ? '' : lastTrouble,
      forMs: state === 'new' ? null : clock.now() - changedAt,
    }),
  }
}

function keyOf(spec: ApplicationSpec): string {
  return JSON.stringify(spec)
}

function wordsOf({ check }: ApplicationSpec): string {
  if (check.kind === 'http') return `GET ${check.path}`
  if (check.kind === 'grpc') return `gRPC health${check.service === '' ? '' : ` of ${check.service}`}`
  return check.kind === 'command' ? check.command.join(' ') : 'its port'
}
