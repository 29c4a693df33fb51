// The demo from above: start the mesh, send it a load, let things go wrong, show what comes of it, end cleanly.
// README.md says what is what.
import { type Actions, actions, direct, SLOW_MS } from './director.ts'
import { type Load, startLoad } from './load.ts'
import { createMesh, type Mesh } from './mesh/mesh.ts'
import { services } from './mesh/plan.ts'
import { type Check, finalChecks, playOnce } from './once.ts'
import { help, type Options, readOptions } from './options.ts'
import { startMesh } from './start.ts'
import { traceWatch } from './trace-watch.ts'
import { type Event, hintsFor, type Scene } from './view/scene.ts'
import { show, type View } from './view/show.ts'
import { styleFor } from './view/style.ts'
import { onceSummary } from './view/summary.ts'
import { warmUp } from './warm-up.ts'
import { observer } from './watch/observer.ts'

const style = styleFor(process.stdout, process.env)

async function main(options: Options): Promise<void> {
  const quit = new AbortController()
  const events: Event[] = []
  const ended: string[] = []
  let startedAt = performance.now()
  let view: View | null = null
  const seconds = () => (performance.now() - startedAt) / 1000
  const tell = (text: string) => {
    const event = { seconds: seconds(), text }
    events.push(event)
    view?.told(event)
  }

  const mesh = await createMesh({
    retries: options.retries,
    consul: options.consul ? await obtainPeer('consul') : null,
    jaeger: options.jaeger ? await obtainPeer('jaeger') : null,
    onUnexpectedEnd(text) {
      ended.push(text)
      tell(text)
    },
  })
  onSignal(quit)
  await startMesh(mesh, style, quit.signal)
  if (quit.signal.aborted) return await mesh.stop()

  const perSecond = options.perSecond ?? (await chooseRate(mesh, quit.signal))
  if (quit.signal.aborted) return await mesh.stop()

  startedAt = performance.now()
  const load = startLoad(mesh.plan.instances[0]!.ports.inbound, perSecond)
  const watching = observer(mesh.plan, Object.keys(services))
  const acts = actions(mesh, tell)
  const scene = (): Scene => ({
    seconds: seconds(),
    picture: watching.picture(),
    split: mesh.currentSplit(),
    load: { perSecond, sent: load.sent, failed: load.failed, lastFailure: load.failures.at(-1) ?? null },
    retries: options.retries,
    events,
    hints: hintsFor(mesh.plan),
    folder: mesh.folder,
    instead: traces?.shown() ?? null,
    keys: options.once
      ? null
      : `q quit   k kill one   s slow one   r restore all${traces === null ? '' : '   t trace'}`,
  })
  const stage = options.once ? null : directed(acts, tell, quit)
  const traces = mesh.plan.jaeger === null ? null : traceWatch(mesh.plan, mesh.plan.jaeger.query, style, tell)
  view = show({
    plain: options.plain,
    look: watching.look,
    scene,
    style,
    onKey: key => (traces?.key(key) === true ? undefined : stage?.key(key)),
    onQuit: () => leave(quit),
  })

  const left = untilQuit(quit.signal)
  let checks: Check[] | null = null
  try {
    checks = await (options.once
      ? Promise.race([playOnce({ plan: mesh.plan, acts, observer: watching, tell, traces }), left])
      : left)
  } finally {
    // Also when a scene could not be played: what is said of it belongs on the terminal that was there before.
    await load.stop()
    traces?.stop()
    await view.close()
    await mesh.stop()
  }
  process.stdout.write(traces?.summary() ?? '')
  if (options.picture !== null) traces?.draw(options.picture)
  if (checks === null) {
    process.stdout.write(goodbye(load))
    if (options.once) process.exitCode = 130
  } else if (!judge([...finalChecks(load, ended), ...checks], scene(), watching.attempts())) {
    mesh.keepFiles()
    process.stdout.write(` sidecar files and logs are kept in ${mesh.folder}\n\n`)
    process.exitCode = 1
  }
}

/** Measured on this machine, as busy as it is now. */
async function chooseRate(mesh: Mesh, quit: AbortSignal): Promise<number> {
  process.stdout.write(' warming up, and measuring what this machine can do ...\n')
  const { capacity, perSecond } = await warmUp(mesh.plan.instances[0]!.ports.inbound, quit)
  const how = `it answers ${Math.round(capacity)} requests a second through the mesh, each of which takes 5 services and 9 passages through a sidecar`
  process.stdout.write(` ${how}; the load is ${perSecond} a second\n`)
  return perSecond
}

/** The real one: from PATH, or obtained as the tests do it. */
async function obtainPeer(name: 'consul' | 'jaeger'): Promise<string> {
  const { obtain } = await import('../../test/peers/obtain.ts')
  return await obtain(name)
}

/** Says what `--once` came to. */
function judge(checks: readonly Check[], last: Scene, attempts: ReadonlyMap<string, number>): boolean {
  const totals = [...attempts]
    .map(([name, count]) => ({ name, attempts: count }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  process.stdout.write(onceSummary(checks, totals, last, style))
  return checks.every(({ passed }) => passed)
}

/** The director at work, and the keys: who presses one has taken over, until all is restored. */
function directed(acts: Actions, tell: (text: string) => void, quit: AbortController) {
  let directing = new AbortController()
  const go = () => {
    directing = new AbortController()
    void direct(acts, tell, AbortSignal.any([directing.signal, quit.signal])).catch(failed)
  }
  const keys: Readonly<Record<string, () => void>> = {
    k() {
      const name = acts.spare()
      if (name === null) tell('none is killed: what is left is needed (r restores all)')
      else acts.kill(name)
    },
    s() {
      const name = acts.spare()
      if (name === null) tell('none is slowed: what is left is needed (r restores all)')
      else void acts.slow(name, SLOW_MS).catch(failed)
    },
    r() {
      void acts.restore().then(go).catch(failed)
    },
  }
  const failed = (error: unknown) => tell(`that failed: ${error instanceof Error ? error.message : String(error)}`)
  go()
  return {
    key(key: string) {
      const act = Object.hasOwn(keys, key) ? keys[key] : undefined
      if (act === undefined) return
      if (!directing.signal.aborted && key !== 'r') tell('you direct now (r restores all, and the director goes on)')
      directing.abort()
      act()
    },
  }
}

function untilQuit(signal: AbortSignal): Promise<Check[] | null> {
  return new Promise(resolve => {
    if (signal.aborted) resolve(null)
    signal.addEventListener('abort', () => resolve(null), { once: true })
  })
}

function onSignal(quit: AbortController): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      leave(quit)
    })
  }
}

/** Asked once, the demo ends in order; asked again, at once. */
function leave(quit: AbortController): void {
  if (quit.signal.aborted) process.exit(130)
  quit.abort()
}

function goodbye({ sent, failed }: Load): string {
  return `${sent} requests, ${failed} failed. Everything is stopped.\n`
}

const options = readOptions(process.argv.slice(2))
if (options === 'help') process.stdout.write(help)
else if ('wrong' in options) {
  process.stderr.write(`${options.wrong}\n\n${help}`)
  process.exitCode = 2
} else {
  await main(options).catch((error: unknown) => {
    process.stderr.write(`${style.red('The demo failed.')} ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  })
  process.exit()
}
