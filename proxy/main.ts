import type { Snapshot } from '../mesh-config/snapshot.ts'
import { firstConfig } from './control/config-loader.ts'
import { pageFacts, readinessOf, sidecarSeries } from './control/facts.ts'
import { keepIdleMemorySmall } from './control/idle-memory.ts'
import { drainPlan } from './control/life.ts'
import type { LoadedConfig } from './control/loaded-config.ts'
import { openOwnPorts } from './control/own-ports.ts'
import { type OwnPorts, readyLines } from './control/ready-lines.ts'
import { type Sidecar, sidecar } from './control/sidecar.ts'
import { takeSignals } from './control/signals.ts'
import { supervised } from './control/supervised.ts'
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
  const read = signatureOf(files)
  const loaded = await firstConfig(files, clock)
  if (!loaded.ok) return stop(EXIT_BAD_CONFIG, loaded.errors)
  const log = ownLog({ level: logLevel, pretty, colors, write: line => writeTo(2, line) }, clock)
  for (const warning of loaded.warnings) log.warn(warning)

  // 3  The parts, joined.
  const makeNames = loaded.bootstrap.dns === null ? null : (await import('./control/name-service.ts')).nameService
  const isReady = () => readinessOf(own).ready
  const changed = () => series.setVersion()
  const own = sidecar({
    loaded,
    version,
    files,
    supervisor,
    clock,
    random,
    log,
    exit,
    isReady,
    changed,
    makeNames,
    agentSettled: releaseStartupPages,
  })
  const program = { version, files }
  const series = sidecarSeries(own, program, clock)
  const facts = pageFacts(own, program, clock, log)
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
  const { ports, reasons } = await openOwnPorts(loaded, facts, log)
  const nameless = (await own.names?.open(loaded.snapshot.places.dns)) ?? []
  if (refused.length + reasons.length + nameless.length > 0) {
    await own.threads.stop()
    return stop(EXIT_CANNOT_START, [...refused, ...reasons, ...nameless])
  }

  // 5  Ready.
  const register = () => own.registrar.start(own.threads.listeners())
  if (supervisor.isThere) followSupervisor(own, register)
  else register()
  void own.agent.configure(loaded)
  const reread = (why: string) => {
    if (!own.life.draining()) void own.reload.request(why)
  }
  const { reopen } = own.sink
  signals.ready({
    reread() {
      reopen()
      reread('SIGHUP')
    },
    reopen,
  })
  watchFiles(files, await read, () => reread('the files changed'), clock)
  sayReady(version, loaded, own.watched.fill(loaded.snapshot).snapshot, { ...ports, dns: own.names?.port() ?? null })
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
function followSupervisor({ supervisor, life, config, applications, registrar }: Sidecar, register: () => void): void {
  supervisor.obey({
    leave() {
      const { delayMs, timeoutMs } = drainPlan(config().snapshot)
      supervisor.leaving(delayMs + timeoutMs)
      return life.leave('outrigger run')
    },
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

function stop(code: number, lines: readonly string[]): void {
  writeTo(2, lines.map(line => `${printable(line)}\n`).join(''))
  process.exit(code)
}
