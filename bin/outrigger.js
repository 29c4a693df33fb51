#!/usr/bin/env node
// Plain JavaScript that any Node of the last years can read: it finds one that can run the rest.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import * as module from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST = [24, 12]
const here = dirname(fileURLToPath(import.meta.url))

if (isNewEnough(process.versions.node)) {
  // Data threads and the config reader inherit the variable, so they too start from the cache.
  if (typeof module.enableCompileCache === 'function' && process.env.NODE_DISABLE_COMPILE_CACHE === undefined) {
    const { directory } = module.enableCompileCache()
    if (directory !== undefined) process.env.NODE_COMPILE_CACHE ??= dirname(directory)
  }
  const source = join(here, '../cli/main.ts')
  await import(existsSync(source) ? '../cli/main.ts' : '../dist/main.js')
} else {
  const node = newerNode()
  if (node === null) {
    process.stderr.write(
      `outrigger needs Node.js ${OLDEST.join('.')} or newer, and this is ${process.versions.node}: install one beside it with "npm install --global node@26", or from https://nodejs.org\n`,
    )
    process.exit(1)
  }
  runWith(node)
}

function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])
}

/** The npm package `node` brings a binary: in our own node_modules, or anywhere above as a sibling (as in a global install). */
function newerNode() {
  try {
    const manifest = module.createRequire(import.meta.url).resolve('node/package.json')
    const binary = join(dirname(manifest), 'bin/node')
    return isNewEnough(JSON.parse(readFileSync(manifest, 'utf8')).version) && existsSync(binary) ? binary : null
  } catch {
    return null
  }
}

function runWith(node) {
  const args = [fileURLToPath(import.meta.url), ...process.argv.slice(2)]
  const env = { ...process.env, OUTRIGGER_LAUNCHED: '1' }
  const child = spawn(node, args, { stdio: 'inherit', env })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT']
  for (const signal of signals) process.on(signal, () => child.kill(signal))
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
