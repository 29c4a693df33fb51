import type { AddressSpec, DrainSpec, Snapshot } from '../mesh-config/snapshot.ts'
import { adminPages, type PageFacts, scrapePages } from './admin/pages.ts'
import { adminServer } from './admin/server.ts'
import { applying } from './control/applying.ts'
import { firstConfig, type LoadedConfig, loadConfig } from './control/config-loader.ts'
import { lateness } from './control/lateness.ts'
import { type Life, life } from './control/life.ts'
import { type PeersOfServices, peers } from './control/peers.ts'
import { noClaims, sharedPortClaims } from './control/port-claims.ts'
import { logEvent } from './control/proxy-events.ts'
import { readinessReport } from './control/readiness.ts'
import { readyLines } from './control/ready-lines.ts'
import { applicationOf, withOpenPort } from './control/registering.ts'
import { reloader } from './control/reload.ts'
import { takeSignals } from './control/signals.ts'
import { stickySecret } from './control/sticky-secret.ts'
import type { Said } from './control/thread-handle.ts'
import { signatureOf, watchFiles } from './control/watch-files.ts'
import { dataThreads } from './control/workers.ts'
import type { LogLevel } from './core/log.ts'
import { printable } from './core/printable.ts'
import { applicationCheck } from './discovery/consul/application-check.ts'
import { consulClient } from './discovery/consul/client.ts'
import { type Registration, registration } from './discovery/consul/register.ts'
import { type LastKnown, lastKnown, saveRemedy } from './discovery/last-known.ts'
import { cannotListen } from './system/cannot-listen.ts'
import { systemClock as clock, systemRandom as random } from './system/clock.ts'
import { tuneEngine } from './system/engine.ts'
import { folderLock } from './system/folder-lock.ts'
import { closeUninvitedInspector } from './system/inspector.ts'
import { watchLauncher } from './system/launcher.ts'
import { listenOn } from './system/listen-on.ts'
import { lookupName } from './system/names.ts'
import { probe } from './system/probe.ts'
import { releaseStartupPages } from './system/release-pages.ts'
import { writeTo } from './system/stdio.ts'
import { accessLogSink } from './telemetry/access-log-sink.ts'
import { discoverySeries } from './telemetry/discovery-series.ts'
import { ownLog } from './telemetry/log.ts'
import { ownSeries } from './telemetry/own-series.ts'
import { prometheusPage } from './telemetry/prometheus.ts'
import { seriesStore } from './telemetry/series-store.ts'

export interface ProxyOptions {
  readonly version: string
  readonly files: readonly string[]
  readonly logLevel: LogLevel
  /** Standard error is a terminal: write the log for people, and in colour. */
  readonly pretty: boolean
  readonly colors: boolean
}

/** Listening failed, or a data thread did not start. */
const EXIT_CANNOT_START = 1
/** After ready: by then start-up is over, also on a busy machine. */
const SETTLED_MS = 200
/** The files are not valid. */
const EXIT_BAD_CONFIG = 2

/** The control thread, part by part. Ends only by `process.exit`. */
export async function runProxy({ version, files, logLevel, pretty, colors }: ProxyOptions): Promise<void> {
  tuneEngine()
  // 1  Signals first: unhandled, some would end the process. Where an older Node started this one, its end is a signal
  // too.
  let begun: Life | null = null
  const exit = (code: number) => process.exit(code)
  const launched = watchLauncher(() => (begun === null ? exit(0) : begun.drain('the launcher has ended', true)))
  const signals = takeSignals({ exit, now: clock.now, launched })
  const wasInspected = closeUninvitedInspector()

  // 2  The configuration. Nothing is open yet, so a bad one leaves no trace.
  const read = signatureOf(files)
  const loaded = await firstConfig(files, clock)
  if (!loaded.ok) return stop(EXIT_BAD_CONFIG, loaded.errors)
  const { bootstrap } = loaded
  const log = ownLog({ level: logLevel, pretty, colors, write: line => writeTo(2, line) }, clock)
  for (const warning of loaded.warnings) log.warn(warning)

  // 3  What data threads report to: statistics, the access log, the log.
  const store = seriesStore()
  const sink = accessLogSink(clock, log)
  const said = (thread: number, message: Said) => {
    if (message.kind === 'page') store.page(thread, message.page, message.memory)
    else if (message.kind === 'series') store.add(thread, message.id, message.series)
    else if (message.kind === 'retire') store.retire(thread, message.ids)
    else if (message.kind === 'event') logEvent(log, thread, message.event)
    else if (message.kind === 'want') known.want(thread, message.service)
    else {
      sink.lost(message.dropped)
      sink.write(message.lines, () => threads.answer(thread, { kind: 'log-credit', bytes: message.lines.length }))
    }
  }

  // 4  The data threads. Several share a port only where the system can (SO_REUSEPORT); elsewhere there is one.
  const count = process.platform === 'linux' ? bootstrap.workers : 1
  if (count < bootstrap.workers)
    log.warn(`workers: ${bootstrap.workers}: this system cannot share a port between threads, so there is one`)
  const entry = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)
  const sticky = stickySecret(bootstrap.state, log)
  const threads = dataThreads({
    entry,
    count,
    clock,
    log,
    fill: snapshot => sticky.into(known.fill(snapshot)),
    said,
    ended: store.ended,
  })

  const lock = folderLock(bootstrap.state ?? '', `pid ${process.pid}, beside ${bootstrap.service}`)

  // 5  Who there is to send requests to, and the one way a snapshot comes into force.
  const saved = lastKnown({ folder: bootstrap.state, clock, log, claim: () => lock.claim() })
  const known: PeersOfServices = peers({
    service: bootstrap.register?.name ?? bootstrap.service,
    lastKnown: saved,
    threads,
    reapply: () => void inForceNow.reapply(),
    clock,
    random,
    log,
  })
  const inForceNow = applying({ threads, peers: known, claims: count > 1 ? sharedPortClaims : noClaims, log })
  const { register } = bootstrap
  const { consul } = loaded.discovery
  let registered: Registration | null = null

  // 6  Reloading, draining, signals; what is said of us to the registry.
  const apply = (config: LoadedConfig) => {
    sink.moveTo(config.snapshot.accessLog.path)
    store.forgetEnded()
    own.setVersion()
  }
  const reload = reloader({
    first: loaded,
    load: () => loadConfig(files, clock),
    apply: inForceNow.apply,
    applied: apply,
    isOver: () => ending.draining(),
    clock,
    log,
  })
  const inForce = () => reload.state().config
  const ending = life({
    plan: () => drainPlan(inForce().snapshot),
    leave: async () => registered?.stop(),
    drainThreads: ({ delayMs, timeoutMs }) => threads.drain(delayMs, timeoutMs),
    finish: async () => void (await Promise.all([sink.flushed(1_000), known.stop().then(lock.release)])),
    exit,
    log,
  })
  const readiness = () =>
    readinessReport({
      draining: ending.draining(),
      threads: threads.status(),
      reload: reload.state(),
      listeners: threads.listeners(),
      discovery: known.status(),
      state:
        bootstrap.state === null ? null : { folder: bootstrap.state, trouble: savingTrouble(saved, bootstrap.state) },
    })
  const own = ownSeries(store, {
    version,
    threads: count,
    restarts: threads.restarts,
    running: () => threads.status().filter(({ state }) => state === 'running').length,
    utilization: threads.utilization,
    heapUsed: threads.heapUsed,
    controlLag: lateness(clock),
    configVersion: () => inForce().snapshot.version,
    lastReloadSuccessful: () => reload.state().lastErrors.length === 0,
    lastReloadSuccess: () => reload.state().loadedAt,
    droppedLogLines: sink.droppedLines,
    ready: () => readiness().ready,
    startedAt: clock.wallTime() - clock.now(),
  })

  const discovered = discoverySeries(store, known.status)
  const exposition = prometheusPage(store)

  // 7  Listen: the data threads for requests, this one for the admin port.
  const facts: PageFacts = {
    about: () => `outrigger ${version}, sidecar of ${bootstrap.service}, configuration ${inForce().snapshot.version}`,
    readiness,
    metrics() {
      discovered.sync()
      return exposition()
    },
    ask: threads.ask,
    discovery: known.status,
    config: async () => {
      const { config, inForceSince, lastErrors, needsRestart } = reload.state()
      const effective = await config.effective
      const about = {
        version: config.snapshot.version,
        inForceSince: new Date(inForceSince).toISOString(),
        files,
        warnings: config.warnings,
        lastErrors,
        needsRestart,
      }
      return { ...about, effectiveJson: effective.json(), effectiveText: effective.text() }
    },
    drain: () => ending.drain('POST /drain'),
    drainPlan: () => drainPlan(inForce().snapshot),
    log,
  }
  apply(loaded)
  begun = ending
  signals.obey(ending)
  // One after the other: on one core, the admin port would keep requests waiting.
  const refused = await inForceNow.start(loaded)
  const { places } = loaded.snapshot
  const admin = await openPort('admin', bootstrap.admin, places.admin, adminPages(facts), log, bootstrap.adminHosts)
  const metrics = await openPort('metrics', bootstrap.metrics, places.metrics, scrapePages(facts), log, 'open')
  const reasons = [...refused, ...[admin, metrics].filter(port => typeof port === 'string')]
  if (typeof admin === 'string' || typeof metrics === 'string' || reasons.length > 0) {
    await threads.stop()
    return stop(EXIT_CANNOT_START, reasons)
  }

  // 8  Ready.
  const reread = (why: string) => {
    if (!ending.draining()) void reload.request(why)
  }
  if (register !== null && consul !== null) {
    const spec = withOpenPort(register, threads.listeners())
    const application = applicationCheck(() => applicationOf(inForce().snapshot, register.port), probe, clock)
    const deps = { clock, random, log, lookup: lookupName }
    registered = registration(spec, consulClient(consul, deps), {
      ...deps,
      ready: () => readiness().ready,
      application,
    })
    registered.start()
  }
  signals.ready({
    reread() {
      sink.reopen()
      reread('SIGHUP')
    },
    reopen: sink.reopen,
  })
  watchFiles(files, await read, () => reread('the files changed'), clock)
  const title = `outrigger ${version} for ${bootstrap.service}: ready after ${Math.round(clock.now())} ms`
  const { accessLog } = loaded.snapshot
  // Standard output is left to the access log where programs read it there.
  const jsonOnStdout = accessLog.mode !== 'off' && accessLog.path === null && accessLog.format === 'json'
  writeTo(jsonOnStdout ? 2 : 1, readyLines(title, known.fill(loaded.snapshot).snapshot, { admin, metrics }))
  const settled = clock.timer(() => {
    // Opening it takes a moment, so it may have come later.
    if (closeUninvitedInspector() || wasInspected)
      log.warn(
        'a SIGUSR1 came before this process could handle it, and opened the inspector of Node: it is closed again',
      )
    releaseStartupPages()
  })
  settled.arm(SETTLED_MS)
}

function savingTrouble(saved: LastKnown, folder: string): string {
  const { trouble } = saved.status()
  return trouble === '' ? '' : `${trouble}: ${saveRemedy(folder)}`
}

/** The delay is for callers who find this address somewhere; where nothing inbound listens, there are none. */
function drainPlan({ drain, listeners }: Snapshot): DrainSpec {
  return listeners.some(({ direction }) => direction === 'inbound') ? drain : { ...drain, delayMs: 0 }
}

/** Where it listens, null when it is off, or why it cannot. */
async function openPort(
  name: string,
  address: AddressSpec | null,
  place: string | undefined,
  ...rest: [Parameters<typeof adminServer>[1], Parameters<typeof adminServer>[2], Parameters<typeof adminServer>[3]]
): Promise<AddressSpec | string | null> {
  if (address === null) return null
  try {
    return { ...address, port: (await adminServer(address, ...rest, listenOn)).port }
  } catch (error) {
    const { explainListen } = await import('./system/listen-error.ts')
    return cannotListen(
      place,
      `the ${name} port `,
      address,
      `${await explainListen(error, address)}; the key is ${name}:, and ${name}: off needs none`,
    )
  }
}

function stop(code: number, lines: readonly string[]): void {
  writeTo(2, lines.map(line => `${printable(line)}\n`).join(''))
  process.exit(code)
}
