import type { CheckedService } from '../core/health-checks.ts'
import type { ServiceStatus } from '../core/source.ts'
import type { Ask } from './ask.ts'
import { byHandPages } from './by-hand.ts'
import { configPage } from './config.ts'
import { drainPage } from './drain.ts'
import { endpointsPage } from './endpoints.ts'
import { explainPage } from './explain.ts'
import { flightsPage } from './flights.ts'
import { type LeaveOutcome, leavePage } from './leave.ts'
import { type LevelOwner, logLevelPage } from './log-level.ts'
import { metricsPage } from './metrics.ts'
import { namesPage } from './names.ts'
import type { Page } from './page-types.ts'
import { applicationPages, bareReadyPage, livePage, readyPage } from './ready.ts'
import { startPage } from './start-page.ts'
import { syncPage } from './sync.ts'
import { type UpgradeOutcome, upgradePage } from './upgrade.ts'
import type { ApplicationState, ConfigView, NamesView, Readiness, SyncView } from './views.ts'

/** The sources of the pages' facts. */
export interface PageFacts {
  readonly about: () => string
  readonly readiness: () => Readiness
  readonly application: ApplicationState
  readonly metrics: Parameters<typeof metricsPage>[0]
  readonly ask: Ask
  readonly discovery: () => readonly ServiceStatus[]
  readonly checks: () => readonly CheckedService[]
  readonly config: () => Promise<ConfigView>
  readonly sync: () => SyncView
  /** Null: there is no name server. */
  readonly names: (() => NamesView) | null
  readonly leave: (waitMs: number) => Promise<LeaveOutcome>
  readonly drain: () => boolean
  readonly drainPlan: () => { readonly delayMs: number; readonly timeoutMs: number }
  readonly upgrade: (patienceMs?: number) => Promise<UpgradeOutcome>
  readonly log: LevelOwner
}

/** In the order of the start page: the most used first. */
export function adminPages(facts: PageFacts): readonly Page[] {
  const pages: readonly Page[] = [
    startPage(facts.about, () => pages),
    explainPage(facts.ask),
    flightsPage(facts.ask),
    endpointsPage(facts.ask, facts.discovery, facts.checks),
    ...byHandPages(facts.ask),
    configPage(facts.config),
    syncPage(facts.sync),
    ...(facts.names === null ? [] : [namesPage(facts.names)]),
    metricsPage(facts.metrics),
    readyPage(facts.readiness, facts.application),
    livePage,
    ...applicationPages(facts.readiness, facts.application, true),
    logLevelPage(facts.log),
    upgradePage(facts.upgrade),
    leavePage(facts.leave, facts.drainPlan),
    drainPage(facts.drain, facts.drainPlan),
  ]
  return pages
}

/**
 * The pages of the port `metrics:`, which may be open to a whole network: they show no configuration and change
 * nothing.
 */
export function scrapePages({
  metrics,
  readiness,
  application,
}: Pick<PageFacts, 'metrics' | 'readiness' | 'application'>): readonly Page[] {
  const probes = applicationPages(readiness, application, false)
  return [metricsPage(metrics), bareReadyPage(readiness, application), livePage, ...probes]
}
