import { printable } from '../core/printable.ts'
import type { ServiceStatus, SourceStatus } from '../core/source.ts'
import type { ApplicationStatus } from './applications.ts'
import type { ReloadState } from './reload.ts'
import type { ApplicationIs } from './supervised.ts'
import type { ThreadStatus } from './workers.ts'

/** More lines than these about one thing are no help. */
const MOST_LINES = 10

/** As the admin port shows it (admin/ready.ts). */
export interface ReadinessReport {
  readonly ready: boolean
  readonly reason: string
  readonly checks: readonly { readonly name: string; readonly state: 'ok' | 'warn' | 'fail'; readonly text: string }[]
}

export interface ReadinessFacts {
  readonly draining: boolean
  /** Inbound alone. */
  readonly leaving: boolean
  readonly threads: readonly ThreadStatus[]
  readonly reload: ReloadState
  readonly listeners: readonly string[]
  readonly discovery: readonly ServiceStatus[]
  /**
   * Last-known endpoints on the disk. `trouble`: why they cannot be saved, and what to do about it; empty: they can, or
   * nothing had to be yet. Null: none are kept.
   */
  readonly state: { readonly folder: string; readonly trouble: string } | null
  /** As the supervisor says, and as the checks of the sidecar found them. */
  readonly application: { readonly is: ApplicationIs; readonly checked: readonly ApplicationStatus[] }
}

/**
 * Ready: not draining, and at least one data thread serves. With a supervisor the application must be ready as well:
 * the two are one thing then. A refused reload is no reason against it, but is shown.
 */
export function readinessReport({
  draining,
  leaving,
  threads,
  reload,
  listeners,
  discovery,
  state,
  application,
}: ReadinessFacts): ReadinessReport {
  const running = threads.filter(({ state }) => state === 'running').length
  const reason = leaving
    ? 'leaving'
    : draining
      ? 'draining'
      : running === 0
        ? 'no data thread runs'
        : withoutApplication(application)
  const { config, inForceSince, loadedAt, lastErrors, attemptedAt, retryAt, needsRestart } = reload
  const checks: ReadinessReport['checks'][number][] = [
    {
      name: 'data threads',
      state: running === threads.length ? 'ok' : running === 0 ? 'fail' : 'warn',
      text: linesOf([`${running} of ${threads.length} running`, ...threads.filter(isNews).map(threadText)]),
    },
    {
      name: 'listeners',
      state: listeners.length > 0 || config.snapshot.listeners.length === 0 ? 'ok' : 'fail',
      text: linesOf(listeners) || 'none',
    },
    {
      name: 'configuration',
      state: 'ok',
      text: `version ${config.snapshot.version}, in force since ${iso(inForceSince)}`,
    },
    lastErrors.length === 0
      ? {
          name: 'last reload',
          state: 'ok',
          text: loadedAt === inForceSince ? 'taken up' : `nothing had changed at ${iso(loadedAt)}`,
        }
      : {
          name: 'last reload',
          state: 'warn',
          text: linesOf([
            `refused at ${iso(attemptedAt)}, the running configuration stays${againText(retryAt)}:`,
            ...lastErrors,
          ]),
        },
  ]
  checks.push(...applicationChecks(application))
  if (discovery.length > 0) checks.push(discoveryCheck(discovery))
  if (discovery.length > 0 && state !== null) checks.push(stateCheck(state))
  if (needsRestart.length > 0)
    checks.push({
      name: 'restart',
      state: 'warn',
      text: linesOf(['the files also changed what only a restart takes up:', ...needsRestart]),
    })
  if (draining)
    checks.push({
      name: 'drain',
      state: 'fail',
      text: leaving
        ? 'finishing what runs of inbound; outbound serves until the process is ended'
        : 'finishing what runs, then the process exits',
    })
  return { ready: reason === '', reason, checks }
}

/** What keeps a supervised sidecar from being ready; empty: nothing. */
function withoutApplication({ is, checked }: ReadinessFacts['application']): string {
  if (is === 'unknown') return ''
  if (is !== 'running') return is === 'gone' ? 'the application has ended' : 'the application is being started'
  return checked.find(({ ready }) => !ready)?.trouble ?? ''
}

function applicationChecks({ is, checked }: ReadinessFacts['application']): ReadinessReport['checks'][number][] {
  const counts = is !== 'unknown'
  const seen = checked.filter(({ forMs }) => forMs !== null || counts)
  return seen.map(({ name, address, check, ready, trouble, forMs }) => ({
    name: 'application',
    state: ready ? 'ok' : counts ? 'fail' : 'warn',
    text: linesOf([
      `${name} at ${address}, by ${check}: ${ready ? 'ready' : 'not ready'}${forMs === null ? '' : ` for ${Math.round(forMs / 1000)} s`}`,
      ...(trouble === '' ? [] : [trouble]),
    ]),
  }))
}

/** A registry that is gone is no reason against readiness: everything serves on what is known. */
function discoveryCheck(services: readonly ServiceStatus[]): ReadinessReport['checks'][number] {
  const stale = services.flatMap(({ name, sources }) =>
    sources.filter(({ state }) => state !== 'fresh').map(source => ({ name, source })),
  )
  const suspects = services.filter(({ sources }) => sources.some(source => source.suspects > 0))
  const summary =
    stale.length === 0
      ? `${services.length} services, all sources answer`
      : `${stale.length} sources do not answer; what they said last is in force:`
  const lines = [
    ...stale
      .slice(0, MOST_LINES)
      .map(({ name, source }) => `${name} from ${source.name}: ${source.trouble || 'no answer yet'}, ${ageOf(source)}`),
    ...(stale.length > MOST_LINES ? [`and ${stale.length - MOST_LINES} more`] : []),
    ...suspects
      .slice(0, MOST_LINES)
      .map(({ name }) => `${name}: endpoints that its source left out are kept, because they still take connections`),
  ]
  return {
    name: 'discovery',
    state: stale.length + suspects.length === 0 ? 'ok' : 'warn',
    text: linesOf([summary, ...lines]),
  }
}

/** Joins lines that may contain text from a registry or a file: each is escaped, so it stays one line. */
function linesOf(lines: readonly string[]): string {
  return lines.map(printable).join('\n')
}

function stateCheck({ folder, trouble }: NonNullable<ReadinessFacts['state']>): ReadinessReport['checks'][number] {
  if (trouble === '') return { name: 'state', state: 'ok', text: `last-known endpoints are kept in ${folder}` }
  return {
    name: 'state',
    state: 'warn',
    text: `last-known endpoints cannot be saved, so a restart without their registry will not know them:\n${trouble}`,
  }
}

function ageOf({ ageMs, endpoints, fromDisk }: SourceStatus): string {
  if (ageMs === null) return 'nothing is known from before'
  return `${endpoints} endpoints known ${Math.round(ageMs / 1000)} s ago${fromDisk ? ', read from the disk' : ''}`
}

function isNews({ state, restarts }: ThreadStatus): boolean {
  return state !== 'running' || restarts > 0
}

function threadText({ thread, state, forMs, restarts, lastEnd }: ThreadStatus): string {
  return `thread ${thread} ${state} for ${Math.round(forMs / 1000)} s${restarts === 0 && lastEnd === '' ? '' : `, replaced ${restarts} times, last because ${lastEnd}`}`
}

function againText(retryAt: number | null): string {
  return retryAt === null ? '' : `, tried again at ${iso(retryAt)}`
}

function iso(at: number): string {
  return new Date(at).toISOString()
}
