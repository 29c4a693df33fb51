import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, unwatchFile, watchFile } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { type LoadedDevFile, loadDevFile } from '../mesh-config/dev/load-dev-file.ts'
import type { Environment } from '../mesh-config/environment.ts'
import { addresses } from './environment.ts'
import { guardGroups } from './groups.ts'
import { createMesh, type Mesh, seconds } from './mesh.ts'
import { type Colours, printer } from './output.ts'
import { summary } from './summary.ts'

export interface DevOptions {
  readonly file: string
  /** What starts `outrigger`, before its arguments. */
  readonly outrigger: readonly [string, ...string[]]
  readonly env: Environment
  readonly stdout: { write(text: string): unknown }
  readonly stderr: { write(text: string): unknown }
  readonly colours: Colours
  readonly verbose: boolean
  /** Null: until Ctrl-C. Empty: only until everything is ready. Else a command for that time, whose exit code counts. */
  readonly run: string | null
}

const EXIT_CANNOT_START = 1
const EXIT_BAD_FILE = 2
const LOOK_EVERY_MS = 300
/** Somebody waits for the table: it comes, also when not all is ready. */
const TABLE_AFTER_MS = 20_000
/** Without anybody who waits: a machine that builds something else meanwhile is slow. */
const UNATTENDED_MS = 180_000
const OWN = -1

/** Ends only by `process.exit`. */
export async function runDev(options: DevOptions): Promise<void> {
  const { file, outrigger, env, stdout, stderr, colours, verbose, run } = options
  const began = performance.now()
  const loaded = load(file, env)
  if (!loaded.ok) {
    stderr.write(loaded.errors.map(error => `${error}\n`).join(''))
    process.exit(EXIT_BAD_FILE)
  }
  let { dev } = loaded
  const folder = mkdtempSync(join(shortTmp(), 'outrigger-dev-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const groups = guardGroups()
  const names = () => ['dev', ...(started ? mesh.plan().instances.map(({ name }) => name) : [])]
  const print = printer(text => void stdout.write(text), colours, names)
  const base = dirname(resolve(file))
  const coloured = colours.isColorSupported
  const mesh: Mesh = createMesh({ outrigger, base, folder, env, print, groups, verbose, coloured })
  let started = false
  /** One change after the other. */
  let turn = Promise.resolve()
  let stopping = false

  async function stop(code: number): Promise<never> {
    stopping = true
    unwatchFile(file)
    await mesh.stop()
    process.exit(code)
  }
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)
    process.on(signal, () => {
      if (stopping) {
        groups.killAll()
        process.exit(code)
      }
      print.note('dev', OWN, `${signal === 'SIGINT' ? 'Ctrl-C' : signal}: ends everything; once more ends it at once`)
      void stop(0)
    })

  try {
    await mesh.start(dev)
  } catch (error) {
    stderr.write(`${(error as Error).message}\n`)
    return await stop(EXIT_CANNOT_START)
  }
  started = true
  const policies = relative(process.cwd(), resolve(base, dev.policies)) || '.'
  const table = () => print.block(summary(dev, mesh, colours, { policies }))
  const lateMs = run === null ? TABLE_AFTER_MS : UNATTENDED_MS
  const late = setTimeout(() => {
    print.note('dev', OWN, `not all is ready after ${lateMs / 1000} s`, 'bad')
    table()
    if (run !== null) void stop(EXIT_CANNOT_START)
  }, lateMs)
  watchFile(file, { interval: LOOK_EVERY_MS }, () => void changed())
  await mesh.whenReady()
  clearTimeout(late)
  if (stopping) return
  table()
  const { length } = mesh.plan().instances
  print.note(
    'dev',
    OWN,
    `ready after ${seconds(performance.now() - began)}: ${length} instances; Ctrl-C ends all`,
    'good',
  )
  if (run !== null)
    await stop(run === '' ? 0 : await resultOf(run, { ...env, ...addresses(dev, mesh.plan().gateway.to) }))

  function changed(): void {
    turn = turn.then(async () => {
      if (stopping) return
      const next = load(file, env)
      if (!next.ok) {
        for (const error of next.errors) print.note('dev', OWN, error, 'bad')
        print.note('dev', OWN, 'everything stays as it was')
        return
      }
      if (JSON.stringify(next.dev) === JSON.stringify(dev)) return
      print.note('dev', OWN, `${relative(process.cwd(), file)} has changed`)
      try {
        await mesh.change(next.dev)
        dev = next.dev
        await mesh.whenReady()
        if (!stopping) table()
      } catch (error) {
        print.note('dev', OWN, `${(error as Error).message}; everything stays as it was`, 'bad')
      }
    })
  }
}

/** The path of a Unix socket has 107 bytes at most, and a temporary folder may be deep. */
function shortTmp(): string {
  return tmpdir().length <= 70 ? tmpdir() : '/tmp'
}

function load(file: string, env: Environment): LoadedDevFile {
  try {
    return loadDevFile(relative(process.cwd(), file) || file, readFileSync(file, 'utf8'), env)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file: write one, or name it with -c (see docs/dev.md)' : message
    return { ok: false, errors: [`${relative(process.cwd(), file)}: ${why}`] }
  }
}

/** Its exit code. */
function resultOf(command: string, env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise(done => {
    spawn('/bin/sh', ['-c', command], { stdio: 'inherit', env })
      .once('error', () => done(1))
      .once('exit', code => done(code ?? 1))
  })
}
