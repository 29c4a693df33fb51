import type { Effective } from '../../mesh-config/effective.ts'
import type { PageFacts } from '../admin/pages.ts'
import type { Clock } from '../core/clock.ts'
import { jsonText } from '../core/printable.ts'
import { saveRemedy } from '../discovery/last-known.ts'
import type { PolicySync } from '../sync/policy-sync.ts'
import { agentSeries } from '../telemetry/agent-series.ts'
import { checkSeries } from '../telemetry/check-series.ts'
import { discoverySeries } from '../telemetry/discovery-series.ts'
import { type NamesCounted, nameSeries } from '../telemetry/name-series.ts'
import { ownSeries } from '../telemetry/own-series.ts'
import { prefersOpenMetrics, prometheusPage } from '../telemetry/prometheus.ts'
import { agentFacts, syncView } from './agent-view.ts'
import type { Applications } from './applications.ts'
import { lateness } from './lateness.ts'
import { drainPlan } from './life.ts'
import type { EffectiveConfig } from './loaded-config.ts'
import { type ReadinessReport, readinessReport } from './readiness.ts'
import type { Sidecar } from './sidecar.ts'

/** What the admin port and the metrics say of the sidecar. */

export interface Program {
  readonly version: string
  readonly files: readonly string[]
}

export function readinessOf(sidecar: Sidecar): ReadinessReport {
  const { loaded, life, threads, reload, watched, saved, applications, supervisor } = sidecar
  const { state: folder } = loaded.bootstrap
  return readinessReport({
    draining: life.draining(),
    leaving: life.leaving(),
    threads: threads.status(),
    reload: reload.state(),
    listeners: threads.listeners(),
    discovery: watched.status(),
    state: folder === null ? null : { folder, trouble: savingTrouble(saved.status().trouble, folder) },
    application: { is: supervisor.applicationIs(), checked: applications.status() },
  })
}

/** Nothing may have followed the checks so far: then they begin now. */
async function applicationState(applications: Applications): ReturnType<PageFacts['application']> {
  applications.watch()
  await applications.first()
  return { ready: applications.ready(), reason: applications.trouble() }
}

function savingTrouble(trouble: string, folder: string): string {
  return trouble === '' ? '' : `${trouble}: ${saveRemedy(folder)}`
}

/** Adds what only the control thread knows to the exposition. */
export function sidecarSeries(sidecar: Sidecar, { version }: Program, clock: Clock): { setVersion(): void } {
  const { store, sink, spans, threads, reload, count, config } = sidecar
  return ownSeries(store, {
    version,
    threads: count,
    restarts: threads.restarts,
    running: () => threads.status().filter(({ state }) => state === 'running').length,
    utilization: threads.utilization,
    heapUsed: threads.heapUsed,
    controlLag: lateness(clock),
    configVersion: () => config().snapshot.version,
    lastReloadSuccessful: () => reload.state().lastErrors.length === 0,
    lastReloadSuccess: () => reload.state().loadedAt,
    droppedLogLines: sink.droppedLines,
    spans: spans.counts,
    ready: () => readinessOf(sidecar).ready,
    startedAt: clock.wallTime() - clock.now(),
  })
}

export function pageFacts(
  sidecar: Sidecar,
  { version, files }: Program,
  clock: Clock,
  upgrade: (why: string, patienceMs?: number) => ReturnType<PageFacts['upgrade']>,
  log: PageFacts['log'],
): PageFacts {
  const { loaded, store, threads, watched, checks, life, config, agent } = sidecar
  const synced = agentSeries(store, () => agentFacts(agent, clock))
  const discovered = discoverySeries(store, watched.status)
  const checked = checkSeries(store, checks.status)
  const named = nameSeries(store, () => namesCounted(sidecar))
  const exposition = prometheusPage(store)
  return {
    about: () =>
      `outrigger ${version}, sidecar of ${loaded.bootstrap.service}, configuration ${config().snapshot.version}`,
    readiness: () => readinessOf(sidecar),
    application: () => applicationState(sidecar.applications),
    metrics(accept) {
      discovered.sync()
      checked.sync()
      synced.sync()
      named.sync()
      const { aliases } = config().snapshot.metrics
      return exposition({ openMetrics: prefersOpenMetrics(accept), aliases })
    },
    ask: threads.ask,
    discovery: watched.status,
    checks: checks.status,
    config: () => configView(sidecar, files),
    sync: () => syncView(agent, clock),
    names: sidecar.names?.view ?? null,
    upgrade: patienceMs => upgrade('POST /upgrade', patienceMs),
    leave: waitMs => outcomeOf(life.leave('POST /leave'), waitMs, clock),
    drain: () => life.drain('POST /drain'),
    drainPlan: () => drainPlan(config().snapshot),
    log,
  }
}

/** What has come of leaving after `waitMs` at most. */
function outcomeOf(left: Promise<void> | null, waitMs: number, clock: Clock): ReturnType<PageFacts['leave']> {
  const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<PageFacts['leave']>>>()
  const timer = clock.timer(() => resolve(left === null ? 'draining' : 'leaving'))
  timer.arm(left === null ? 0 : waitMs)
  void left?.then(() => {
    timer.cancel()
    resolve('left')
  })
  return promise
}

function namesCounted({ names }: Sidecar): NamesCounted | null {
  const server = names?.server() ?? null
  if (server === null) return null
  const { counts } = server
  const { now, ended } = server.waiting()
  return { ...counts, waiting: now, ended, connections: server.connections(), addresses: names!.view().names.length }
}

async function configView({ reload, agent }: Sidecar, files: readonly string[]): ReturnType<PageFacts['config']> {
  const { config, inForceSince, lastErrors, needsRestart } = reload.state()
  const effective = await governed(await config.effective, agent.sync)
  return {
    version: config.snapshot.version,
    inForceSince: new Date(inForceSince).toISOString(),
    files,
    warnings: config.warnings,
    lastErrors,
    needsRestart,
    effectiveJson: effective.json(),
    effectiveText: effective.text(),
  }
}

/** With what the agent says, where it says anything. */
async function governed(effective: EffectiveConfig, sync: PolicySync): Promise<EffectiveConfig> {
  const services = sync.status().flatMap(({ service, hasPolicy }) => (hasPolicy ? [service] : []))
  if (services.length === 0) return effective
  const [{ withProvenance }, { effectiveText }] = await Promise.all([
    import('./effective-layer.ts'),
    import('./effective-text.ts'),
  ])
  const whole = withProvenance(JSON.parse(effective.json()) as Effective, services, sync.policies())
  return { ...effective, json: () => jsonText(whole), text: () => effectiveText(whole) }
}
