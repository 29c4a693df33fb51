import type { ReloadState } from './reload.ts'
import type { ThreadStatus } from './workers.ts'

/** As the admin port shows it (admin/ready.ts). */
export interface ReadinessReport {
  readonly ready: boolean
  readonly reason: string
  readonly checks: readonly { readonly name: string; readonly state: 'ok' | 'warn' | 'fail'; readonly text: string }[]
}

export interface ReadinessFacts {
  readonly draining: boolean
  readonly threads: readonly ThreadStatus[]
  readonly reload: ReloadState
  readonly listeners: readonly string[]
}

/** Ready: not draining, and at least one data thread serves. A refused reload is no reason against it, but is shown. */
export function readinessReport({ draining, threads, reload, listeners }: ReadinessFacts): ReadinessReport {
  const running = threads.filter(({ state }) => state === 'running').length
  const reason = draining ? 'draining' : running === 0 ? 'no data thread runs' : ''
  const { config, inForceSince, loadedAt, lastErrors, attemptedAt, needsRestart } = reload
  const checks: ReadinessReport['checks'][number][] = [
    {
      name: 'data threads',
      state: running === threads.length ? 'ok' : running === 0 ? 'fail' : 'warn',
      text: [`${running} of ${threads.length} running`, ...threads.filter(isNews).map(threadText)].join('\n'),
    },
    { name: 'listeners', state: listeners.length > 0 || config.snapshot.listeners.length === 0 ? 'ok' : 'fail', text: listeners.join('\n') || 'none' },
    { name: 'configuration', state: 'ok', text: `version ${config.snapshot.version}, in force since ${iso(inForceSince)}` },
    lastErrors.length === 0
      ? { name: 'last reload', state: 'ok', text: loadedAt === inForceSince ? 'taken up' : `nothing had changed at ${iso(loadedAt)}` }
      : { name: 'last reload', state: 'warn', text: [`refused at ${iso(attemptedAt)}, the running configuration stays:`, ...lastErrors].join('\n') },
  ]
  if (needsRestart.length > 0)
    checks.push({ name: 'restart', state: 'warn', text: ['the files also changed what only a restart takes up:', ...needsRestart].join('\n') })
  if (draining) checks.push({ name: 'drain', state: 'fail', text: 'finishing what runs, then the process exits' })
  return { ready: reason === '', reason, checks }
}

function isNews({ state, restarts }: ThreadStatus): boolean {
  return state !== 'running' || restarts > 0
}

function threadText({ thread, state, forMs, restarts, lastEnd }: ThreadStatus): string {
  return `thread ${thread} ${state} for ${Math.round(forMs / 1000)} s${restarts === 0 && lastEnd === '' ? '' : `, replaced ${restarts} times, last because ${lastEnd}`}`
}

function iso(at: number): string {
  return new Date(at).toISOString()
}
