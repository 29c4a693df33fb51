#!/usr/bin/env node
// Plain JavaScript that any Node of the last years can read: it finds one that can run the rest.
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs'
import * as module from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST = [24, 12]
/** An older Node that started this one reads and writes here (`runWith`). */
const LAUNCHER_FD = 3
const here = dirname(fileURLToPath(import.meta.url))
/** A proxy, an agent or a supervisor, which run until a signal. */
const isLasting = ['proxy', 'agent', 'run'].includes(process.argv[2])

// Before anything else: unhandled, SIGHUP or SIGUSR2 would end a proxy or an agent that is starting, and SIGUSR1 would
// open Node's inspector. As the first process of a container it must also be told to end on SIGTERM. proxy/control/signals.ts and
// agent/main.ts take over from here.
if (isLasting) {
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0))
  for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2']) process.on(signal, () => {})
}

if (isNewEnough(process.versions.node)) {
  if (process.env.OUTRIGGER_LAUNCHED === 'child') sayUp()
  else if (isLasting) endWithNpx(() => process.kill(process.pid, 'SIGTERM'))
  if (process.argv[2] === 'proxy') tuneEngine()
  useCompileCache()
  try {
    await import(isClone() && !(await isBuilt()) ? '../cli/main.ts' : '../dist/main.js')
  } catch (error) {
    tellPredecessor(error)
    throw error
  }
} else {
  const node = newerNode()
  if (node === null) {
    process.stderr.write(
      `outrigger needs Node.js ${OLDEST.join('.')} or newer, and this is ${process.versions.node}: install one beside it with "npm install --global node@26", or from https://nodejs.org\n`,
    )
    process.exit(1)
  }
  await runWith(node)
}

/**
 * Maglev, V8's middle compiler, compiles in threads of its own and keeps their memory: 14 MB of an otherwise 60 MB
 * process. TurboFan soon compiles the hot code anyway: without Maglev the CPU time per request is the same. Compiled
 * code counts for the same flags only: so the flag is set before the first code is compiled or taken from the cache.
 */
function tuneEngine() {
  process.getBuiltinModule('node:v8').setFlagsFromString('--no-maglev')
}

function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])
}

function isClone() {
  return existsSync(join(here, '../cli/main.ts'))
}

/** In a clone the bundles are used where they are newer than the sources. */
async function isBuilt() {
  return (await import('../scripts/fresh.js')).isBuilt(join(here, '..'))
}

/** Data threads and the config reader inherit the variables, so they too start from the cache. */
function useCompileCache() {
  const folder = cacheFolder()
  if (folder !== null) process.env.OUTRIGGER_CACHE_FOLDER = folder
  else delete process.env.OUTRIGGER_CACHE_FOLDER
  if (typeof module.enableCompileCache !== 'function' || process.env.NODE_DISABLE_COMPILE_CACHE !== undefined) return
  if (folder !== null) process.env.NODE_COMPILE_CACHE ??= folder
  if (process.env.NODE_COMPILE_CACHE !== undefined) module.enableCompileCache(process.env.NODE_COMPILE_CACHE)
}

/**
 * The folder `outrigger` in systemd's cache folder, else in that of the user. Code from it runs in this process, so
 * only this user may write there. Null: there is no such folder, and nothing is kept.
 */
function cacheFolder() {
  const { CACHE_DIRECTORY, XDG_CACHE_HOME, HOME } = process.env
  const base = CACHE_DIRECTORY?.split(':')[0] || XDG_CACHE_HOME || (HOME ? join(HOME, '.cache') : '')
  const uid = process.getuid?.()
  if (!base.startsWith('/') || uid === undefined) return null
  const folder = join(base, 'outrigger')
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const [around, own] = [statSync(base), lstatSync(folder)]
    if (around.uid !== uid || (around.mode & 0o002) !== 0 || !own.isDirectory() || own.uid !== uid) return null
    if ((own.mode & 0o077) !== 0) chmodSync(folder, 0o700)
    return folder
  } catch {
    // Read-only, or of another user.
    return null
  }
}

/**
 * The npm package `node` brings a binary: in our own node_modules, or anywhere above as a sibling (as in a global
 * install).
 */
function newerNode() {
  try {
    const manifest = module.createRequire(import.meta.url).resolve('node/package.json')
    const binary = join(dirname(manifest), 'bin/node')
    return isNewEnough(JSON.parse(readFileSync(manifest, 'utf8')).version) && existsSync(binary) ? binary : null
  } catch {
    return null
  }
}

/**
 * A running proxy that has started this program to take over from it (proxy/control/successor.ts) is told why it does
 * not run.
 */
function tellPredecessor(error) {
  try {
    const { link } = JSON.parse(process.env.OUTRIGGER_LISTENERS)
    writeSync(link, `${JSON.stringify({ say: 'failed', reasons: [String(error?.stack ?? error).slice(0, 2000)] })}\n`)
  } catch {
    // There is none, or it has been told.
  }
}

/**
 * The descriptors that this process was started with beyond its standard streams and the next, by number: sockets of
 * the proxy that started it, and of its supervisor.
 */
function descriptors() {
  const { OUTRIGGER_LISTENERS, OUTRIGGER_SUPERVISOR_FD } = process.env
  const found = new Set()
  try {
    const { link, listeners } = JSON.parse(OUTRIGGER_LISTENERS)
    for (const fd of [link, ...listeners.flatMap(each => each.descriptors)]) found.add(fd)
  } catch {
    // No proxy started this process.
  }
  if (/^\d+$/.test(OUTRIGGER_SUPERVISOR_FD ?? '')) found.add(Number(OUTRIGGER_SUPERVISOR_FD))
  return [...found].filter(fd => Number.isInteger(fd) && fd >= LAUNCHER_FD)
}

/**
 * In the place of this process, where this Node can do that; else as its child, which ends when this process does,
 * however that ends.
 */
async function runWith(node) {
  const args = [process.argv[1], ...process.argv.slice(2)]
  const passed = descriptors()
  // execve would close what is to be passed on.
  if (typeof process.execve === 'function' && passed.length === 0)
    process.execve(node, [node, ...args], { ...process.env, OUTRIGGER_LAUNCHED: 'replaced' })
  const { spawn } = await import('node:child_process')
  const env = { ...process.env, OUTRIGGER_LAUNCHED: 'child' }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT']
  // Until it is up, these would end it.
  let held = ['SIGHUP', 'SIGUSR1', 'SIGUSR2']
  const waiting = []
  const pass = signal => (held.includes(signal) ? waiting.push(signal) : child.kill(signal))
  for (const signal of signals) {
    const before = process.listeners(signal)
    process.on(signal, pass)
    for (const listener of before) process.off(signal, listener)
  }
  const stdio = ['inherit', 'inherit', 'inherit', 'pipe']
  for (const fd of passed) {
    // The number may not be that of the pipe.
    const number = fd === LAUNCHER_FD ? Math.max(...passed, LAUNCHER_FD) + 1 : fd
    while (stdio.length < number) stdio.push('ignore')
    stdio[number] = fd
    if (String(fd) === env.OUTRIGGER_SUPERVISOR_FD) env.OUTRIGGER_SUPERVISOR_FD = String(number)
  }
  const child = spawn(node, args, { stdio, env })
  // Else ports would stay open here that the proxy has closed.
  for (const fd of passed) closeSync(fd)
  const release = () => {
    held = []
    for (const signal of waiting.splice(0)) child.kill(signal)
  }
  child.stdio[LAUNCHER_FD].on('data', release).on('error', () => {})
  setTimeout(release, 2000).unref()
  if (isLasting) endWithNpx(() => child.kill('SIGTERM'))
  child.on('error', error => {
    process.stderr.write(`outrigger could not start ${node}: ${error.message}\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code)
    // Ended by a signal: so does this process, for whoever looks at how it ended.
    for (const each of signals) process.removeAllListeners(each)
    process.kill(process.pid, signal)
  })
}

/** To the launcher: signals may come from now on. */
function sayUp() {
  try {
    if (fstatSync(LAUNCHER_FD).isSocket()) writeSync(LAUNCHER_FD, '.')
  } catch {
    // No launcher of this version: the variable came from elsewhere.
  }
}

/**
 * npx starts this process through a shell, and a killed npx ends neither. So the end of either parent ends the proxy.
 */
function endWithNpx(end) {
  if (process.env.npm_command !== 'exec' || process.platform === 'win32') return
  const began = ancestors()
  const timer = setInterval(() => {
    if (ancestors() === began) return
    clearInterval(timer)
    end()
  }, 1000)
  timer.unref()
}

/** The parent, and where /proc says so the one of its shell. */
function ancestors() {
  const parent = process.ppid
  try {
    const [, name, grandparent] = /^\d+ \((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${parent}/stat`, 'utf8'))
    return name.endsWith('sh') ? `${parent} ${grandparent}` : String(parent)
  } catch {
    return String(parent)
  }
}
