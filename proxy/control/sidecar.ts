import type { DrainSide } from '../core/channel.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Learnt } from '../core/learnt.ts'
import type { Log } from '../core/log.ts'
import { type LastKnown, lastKnown } from '../discovery/last-known.ts'
import { type FolderLock, folderLock } from '../system/folder-lock.ts'
import { type AccessLogSink, accessLogSink } from '../telemetry/access-log-sink.ts'
import { type SeriesStore, seriesStore } from '../telemetry/series-store.ts'
import { summaries } from '../telemetry/summary.ts'
import { type ActiveChecks, activeChecks } from './active-checks.ts'
import { type Agent, agentOfHost } from './agent.ts'
import { type Applications, applicationChecks } from './applications.ts'
import { checkApplication } from './check-application.ts'
import { loadConfig } from './config-loader.ts'
import { credentials } from './credentials.ts'
import type { Give } from './handed.ts'
import type { Inherited } from './inherit.ts'
import { type IntoForce, intoForce } from './into-force.ts'
import { drainPlan, type Life, life } from './life.ts'
import type { LoadedConfig } from './loaded-config.ts'
import type { MakeNameService, NameService } from './name-service.ts'
import { noClaims, sharedPortClaims } from './port-claims.ts'
import { type Registrar, registrar } from './registering.ts'
import { type Reloader, reloader } from './reload.ts'
import { takeMessages } from './said.ts'
import { type SpanExport, spanExport } from './span-export.ts'
import { stickySecret } from './sticky-secret.ts'
import type { Supervised } from './supervised.ts'
import { watchFiles } from './watch-files.ts'
import { type WatchedServices, watchedServices } from './watched-services.ts'
import { type DataThreads, dataThreads } from './workers.ts'

export interface SidecarOptions {
  readonly loaded: LoadedConfig
  /** Of a process before this one; absent: this one starts from nothing. */
  readonly before?: Inherited | undefined
  /** Of the program. */
  readonly version: string
  readonly files: readonly string[]
  readonly supervisor: Supervised
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly exit: (code: number) => void
  /** A drain begins that is no hand-over. */
  readonly draining: (side: DrainSide) => void
  /** Whether /ready says so. */
  readonly isReady: () => boolean
  /** A configuration has come into force. */
  readonly changed: () => void
  /** Null: the file asks for no name server, and its code is not loaded. */
  readonly makeNames: MakeNameService | null
  /** Once: an agent is there, and what talking with it needs is loaded. */
  readonly agentSettled: () => void
}

/** The parts of the control thread that live as long as the process. */
export interface Sidecar {
  /** The configuration it was started with. */
  readonly loaded: LoadedConfig
  /** How many data threads there are to be. */
  readonly count: number
  /** What a process that takes over is to know. */
  readonly give: readonly Give[]
  readonly lock: FolderLock
  readonly store: SeriesStore
  readonly sink: AccessLogSink
  readonly spans: SpanExport
  readonly threads: DataThreads
  readonly watched: WatchedServices
  readonly checks: ActiveChecks
  readonly force: IntoForce
  readonly reload: Reloader
  readonly life: Life
  readonly registrar: Registrar
  readonly applications: Applications
  readonly supervisor: Supervised
  readonly saved: LastKnown
  readonly agent: Agent
  /** Null: there is no name server. */
  readonly names: NameService | null
  /** The configuration in force. */
  readonly config: () => LoadedConfig
}

/** Joins them; nothing is open or running yet. */
export function sidecar(options: SidecarOptions): Sidecar {
  const { loaded, before, supervisor, clock, random, log, isReady } = options
  const handed = before?.parts ?? {}
  const { bootstrap } = loaded
  const count = before?.threads ?? threadCount(bootstrap.workers, log)
  const store = seriesStore()
  const sink = accessLogSink(clock, log)
  const lock = folderLock(bootstrap.state ?? '', `pid ${process.pid}, beside ${bootstrap.service}`)
  // As long as a process before this one has the folder, what is to be saved waits.
  const claim = () => (before === undefined ? lock.claim() : before.letGo.then(lock.claim))
  const saved = lastKnown({ folder: bootstrap.state, clock, log, claim, handed: handed.endpoints })
  const sticky = stickySecret(bootstrap.state, log, handed.sticky)
  const spans = spanExport({
    spec: bootstrap.traces,
    zone: loaded.snapshot.zone,
    version: options.version,
    link: () => agent.client,
    agentIs: isThere => threads.tell({ kind: 'span-agent', isThere }),
    clock,
    random,
    log,
  })
  // Sessions of callers last as long as this process.
  let tickets = ''
  const ticketSecret = () => {
    tickets ||= process.getBuiltinModule('node:crypto').randomBytes(32).toString('hex')
    return tickets
  }
  const certificates = credentials({
    read: async tls => (await import('../system/read-certificates.ts')).readCertificates(tls),
    watch: (files, changed) => watchFiles(files, '', changed, clock),
    changed: () => void force.refresh(),
    ticketSecret,
    log,
  })
  const threads: DataThreads = dataThreads({
    entry: null,
    count,
    clock,
    log,
    fill: snapshot => certificates.into(sticky.into(watched.fill(snapshot))),
    spanAgent: spans.agentIsThere,
    virtualAddresses: () => names?.entries() ?? [],
    said: takeMessages({ store, sink, spans: () => spans, log, threads: () => threads, watched: () => watched }),
    ended: store.ended,
    ...(before === undefined ? {} : { inherited: before.of }),
  })
  const checks: ActiveChecks = activeChecks({
    threads,
    changed: service => watched.checked(service),
    before: handed.unhealthy ?? {},
    clock,
    random,
    log,
  })
  const watched: WatchedServices = watchedServices({
    service: bootstrap.register?.name ?? bootstrap.service,
    lastKnown: saved,
    threads,
    checks,
    refresh: () => void force.refresh(),
    found: handed.found,
    clock,
    random,
    log,
  })
  const agent: Agent = agentOfHost({
    loaded,
    version: options.version,
    force: () => force,
    claim,
    handed: handed.policies,
    summary: summaries({ store, self: bootstrap.service, unhealthy: watched.unhealthy, clock }).next,
    settled: options.agentSettled,
    clock,
    random,
    log,
  })
  const names =
    bootstrap.dns === null || options.makeNames === null
      ? null
      : options.makeNames({
          spec: bootstrap.dns,
          folder: bootstrap.state,
          claim: () => lock.claim(),
          know: threads.know,
          ask: watched.ask,
          datacenter: watched.datacenter,
          discovery: () => config().discovery,
          isSuccessor: before !== undefined,
          clock,
          log,
        })
  const force = intoForce({
    threads,
    watched,
    credentials: certificates,
    claims: count > 1 ? sharedPortClaims(before?.names) : noClaims,
    policies: agent.kept.policies,
    applied(snapshot, before) {
      agent.applied(snapshot, before)
      names?.applied(snapshot)
      checks.applied(certificates.into({ snapshot, origins: {} }).snapshot, watched.endpointsOf)
    },
    log,
  })
  const reload: Reloader = reloader({
    first: loaded,
    load: () => loadConfig(options.files, clock),
    bring: force.change,
    inForce(config) {
      sink.moveTo(config.snapshot.accessLog.path)
      store.forgetEnded()
      applications.configure(config.snapshot.applications)
      void agent.configure(config)
      options.changed()
    },
    isOver: () => ending.draining(),
    clock,
    log,
  })
  const config = () => reload.state().config
  const applications = applicationChecks(loaded.snapshot.applications, { check: checkApplication, clock, random, log })
  const register = registrar({ loaded, applications, isReady, clock, random, log })
  const ending: Life = life({
    plan: () => drainPlan(config().snapshot),
    leave: register.stop,
    drainThreads: (side, { delayMs, timeoutMs }, handsOver) => threads.drain(side, delayMs, timeoutMs, handsOver),
    finish: async () => {
      checks.stop()
      await Promise.all([
        sink.flushed(1_000),
        spans.flushed(1_000),
        Promise.all([watched.stop(), certificates.stop(), agent.saved.flush(), names?.stop()]).then(lock.release),
      ])
    },
    exit: options.exit,
    ...(supervisor.isThere ? { askSupervisor: supervisor.askToStop } : {}),
    onDrain(side, { delayMs, timeoutMs }) {
      if (side === 'inbound') supervisor.leaving(delayMs + timeoutMs)
      options.draining(side)
    },
    log,
  })
  return {
    loaded,
    count,
    give: [
      () => ({ endpoints: saved.text(), sticky: sticky.known(), found: watched.found() }),
      () => ({ policies: agent.saved.text(agent.sync.kept()) }),
      () => ({ unhealthy: checks.unhealthy() }),
      async () => ({ learnt: await learntBy(threads) }),
    ],
    lock,
    store,
    sink,
    spans,
    threads,
    watched,
    checks,
    force,
    reload,
    life: ending,
    registrar: register,
    applications,
    supervisor,
    saved,
    agent,
    names,
    config,
  }
}

async function learntBy(threads: DataThreads): Promise<Learnt[]> {
  const replies = await threads.ask({ what: 'learnt' })
  return replies.map(({ answer }) => (answer !== null && 'learnt' in answer ? answer.learnt : {}))
}

/** Several share a port only where the system can (SO_REUSEPORT); elsewhere there is one. */
export function threadCount(workers: number, log: Log): number {
  const count = process.platform === 'linux' ? workers : 1
  if (count < workers) log.warn(`workers: ${workers}: this system cannot share a port between threads, so there is one`)
  return count
}
