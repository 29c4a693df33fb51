import type { Snapshot } from '../mesh-config/snapshot.ts'
import { firstConfig } from './control/config-loader.ts'
import { pageFacts, readinessOf, sidecarSeries } from './control/facts.ts'
import { keepIdleMemorySmall } from './control/idle-memory.ts'
import type { Inherited } from './control/inherit.ts'
import type { Predecessor } from './control/inherited.ts'
import type { LoadedConfig } from './control/loaded-config.ts'
import { openOwnPorts } from './control/own-ports.ts'
import { type OwnPorts, readyLines } from './control/ready-lines.ts'
import type { ServiceManager } from './control/service-manager.ts'
import { type Sidecar, sidecar, threadCount } from './control/sidecar.ts'
import { takeSignals } from './control/signals.ts'
import { supervised, supervisorVariable } from './control/supervised.ts'
import { type Upgrading, upgrading } from './control/upgrading.ts'
import { signatureOf, watchFiles } from './control/watch-files.ts'
import type { Log, LogLevel } from './core/log.ts'
import { printable } from './core/printable.ts'
import { systemClock as clock, systemRandom as random } from './system/clock.ts'
import { closeUninvitedInspector } from './system/inspector.ts'
import { watchLauncher } from './system/launcher.ts'
import { releaseStartupPages, residentBytes } from './system/release-pages.ts'
import { shrinkHeap } from './system/shrink-heap.ts'
import { writeTo } from './system/stdio.ts'
import { ownLog } from './telemetry/log.ts'

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
/** What asks for an upgrade meanwhile hears this. */
const TOO_EARLY = { ok: false, refused: true, reason: 'it is starting', details: [] } as const
/** The files are not valid. */
const EXIT_BAD_CONFIG = 2

/** The control thread, step by step. Ends only by `process.exit`. */
export async function runProxy({ version, files, logLevel, pretty, colors }: ProxyOptions): Promise<void> {
  // 1  Signals first: unhandled, some would end the process. Where an older Node started this one, its end is a signal
  // too.
  let begun: Sidecar | null = null
  const exit = (code: number) => process.exit(code)
  const launched = watchLauncher(() => (begun === null ? exit(0) : begun.life.drain('the launcher has ended', true)))
  const signals = takeSignals({ exit, now: clock.now, launched })
  const wasInspected = closeUninvitedInspector()
  const supervisor = supervised(process.env)

  // 2  The configuration. Nothing is open yet, so a bad one leaves no trace.
  const predecessor = await predecessorHere()
  const read = signatureOf(files)
  const loaded = await firstConfig(files, clock)
  if (!loaded.ok) return stop(EXIT_BAD_CONFIG, loaded.errors, predecessor)
  const log = ownLog({ level: logLevel, pretty, colors, write: line => writeTo(2, line) }, clock)
  for (const warning of loaded.warnings) log.warn(warning)

  // 3  The parts, joined; with what a process before this one leaves to it.
  const letGo = Promise.withResolvers<void>()
  const before = predecessor === null ? undefined : await inheritFrom(predecessor, loaded, letGo.promise, log)
  const makeNames = loaded.bootstrap.dns === null ? null : (await import('./control/name-service.ts')).nameService
  const isReady = () => readinessOf(own).ready
  const changed = () => series.setVersion()
  const own = sidecar({
    loaded,
    before,
    version,
    files,
    supervisor,
    clock,
    random,
    log,
    exit,
    draining(side) {
      upgrades?.cancel()
      if (side === 'all') manager?.stopping()
    },
    isReady,
    changed,
    makeNames,
    agentSettled: releaseStartupPages,
  })
  let upgrades: Upgrading | null = null
  let manager: ServiceManager | null = null
  const program = { version, files }
  const series = sidecarSeries(own, program, clock)
  const upgrade = (why: string, patienceMs?: number) => upgrades?.request(why, patienceMs) ?? Promise.resolve(TOO_EARLY)
  const facts = pageFacts(own, program, clock, upgrade, log)
  own.sink.moveTo(loaded.snapshot.accessLog.path)
  changed()
  begun = own
  signals.obey(own.life)

  // 4  Listen: the data threads for requests, this one for the admin port. One after the other: on one core, the admin
  // port would keep requests waiting.
  const starting = own.force.start(loaded)
  // It is loaded while the data threads do their part.
  if (loaded.bootstrap.admin !== null) process.getBuiltinModule('node:http')
  const refused = await starting
  const ownPorts = await openOwnPorts(loaded, facts, log, before?.own)
  const nameless = (await own.names?.open(loaded.snapshot.places.dns)) ?? []
  const reasons = [...refused, ...ownPorts.reasons, ...nameless]
  if (reasons.length > 0) {
    // Where another process serves, this one may have begun with requests all the same.
    predecessor?.failed(reasons)
    if (predecessor !== null) await own.threads.drain('all', 0, loaded.snapshot.drain.timeoutMs, true)
    await own.threads.stop()
    return stop(EXIT_CANNOT_START, reasons)
  }

  // 5  Ready. A process before this one is told so, and lets go.
  const answers = async () => (await own.threads.ask({ what: 'uses' })).every(({ answer }) => answer !== null)
  // Where a supervisor of ours started this process, that one is the service.
  manager = supervisor.isThere ? null : await managerOf(answers, log)
  const handedOver = () => manager?.handedOver()
  const link = supervisor.isThere ? { supervisor: { ...supervisor, variable: supervisorVariable } } : {}
  const made = upgrading({ version, sidecar: own, ownPorts, predecessor, ...link, handedOver, clock, log })
  const { reread, request } = made
  upgrades = made
  const listeners = own.threads.listeners()
  const readyMs = Math.round(clock.now())
  const taken = await predecessor?.ready({ version, readyMs, registers: own.registrar.id(listeners) })
  letGo.resolve()
  const register = () => own.registrar.start(listeners, taken?.registration)
  if (supervisor.isThere) followSupervisor(own, register)
  else if (!own.life.draining()) register()
  void own.agent.configure(loaded)
  const { reopen } = own.sink
  signals.ready({
    reread() {
      reopen()
      reread('SIGHUP')
      manager?.reloading(own.reload.settled())
    },
    reopen,
    upgrade: () => void request('SIGUSR2'),
  })
  manager?.ready(predecessor !== null || launched)
  watchFiles(files, await read, () => reread('the files changed'), clock)
  const dns = own.names?.port() ?? null
  sayReady(version, loaded, own.watched.fill(loaded.snapshot).snapshot, { ...ownPorts.ports, dns })
  settleLater(wasInspected, log)
  keepIdleMemorySmall({
    threads: own.threads,
    shrinkHeap: () => shrinkHeap(),
    releasePages: releaseStartupPages,
    resident: residentBytes,
    clock,
  })
}

/** The registration begins with the application and ends with it. */
function followSupervisor({ supervisor, life, applications, registrar }: Sidecar, register: () => void): void {
  supervisor.obey({
    leave: async () => void (await life.leave('outrigger run')),
    end: () => void life.end('outrigger run', true),
    applicationIs(state) {
      if (state === 'running') {
        applications.watch()
        register()
      } else if (state === 'gone') void registrar.stop()
    },
    lost: () => void life.end('outrigger run has ended', true),
  })
  supervisor.ready()
}

/** Null: this process is the first. */
async function predecessorHere(): Promise<Predecessor | null> {
  if (process.env.OUTRIGGER_LISTENERS === undefined) return null
  try {
    return (await import('./control/inherited.ts')).predecessorOf(process.env, clock)
  } catch (error) {
    return stop(EXIT_CANNOT_START, [error instanceof Error ? error.message : String(error)])
  }
}

/** Null: systemd did not start this process, or waits for no word. */
async function managerOf(answers: () => Promise<boolean>, log: Log): Promise<ServiceManager | null> {
  if (process.env.NOTIFY_SOCKET === undefined) return null
  return (await import('./control/service-manager.ts')).serviceManager(process.env, { answers, clock, log })
}

async function inheritFrom(
  predecessor: Predecessor,
  loaded: LoadedConfig,
  letGo: Promise<void>,
  log: Log,
): Promise<Inherited> {
  const { inherit } = await import('./control/inherit.ts')
  const parts = await predecessor.handOver(log)
  return inherit({ predecessor, parts, loaded, threads: threadCount(loaded.bootstrap.workers, log), letGo, log })
}

function sayReady(version: string, { bootstrap }: LoadedConfig, snapshot: Snapshot, ports: OwnPorts): void {
  const title = `outrigger ${version} for ${bootstrap.service}: ready after ${Math.round(clock.now())} ms`
  const { accessLog } = snapshot
  // Standard output is left to the access log where programs read it there.
  const jsonOnStdout = accessLog.mode !== 'off' && accessLog.path === null && accessLog.format !== 'text'
  writeTo(jsonOnStdout ? 2 : 1, readyLines(title, snapshot, ports))
}

function settleLater(wasInspected: boolean, log: Log): void {
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

function stop(code: number, lines: readonly string[], predecessor: Predecessor | null = null): never {
  predecessor?.failed(lines)
  writeTo(2, lines.map(line => `${printable(line)}\n`).join(''))
  process.exit(code)
}
