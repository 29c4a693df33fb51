// npm scripts start here, with whatever Node the machine has (18 or later): plain JavaScript, no dependency. It makes a
// fresh clone able to run anything - packages,
// Node 26 - and then runs the steps of the script named, each with Node 26.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const node26 = join(root, 'node_modules/node/bin/node')
const stamp = join(root, 'node_modules/.installed')

const checked = [
  ['types', 'node_modules/typescript/bin/tsc', '--noEmit', '-p', '.'],
  ['lint and format', 'node_modules/@biomejs/biome/bin/biome', 'check'],
  ['build', 'scripts/build.js'],
]
const vitest = ['node_modules/vitest/vitest.mjs', 'run']

/**
 * Each step: a title, the arguments for Node 26, and options. `$` passes on what the user wrote behind `--`. A step
 * whose title begins with `~` runs in the background, and ends with the script at the latest; `needs` waits for one.
 */
const scripts = {
  // What needs no peer is tested while the peers are being obtained, with a PATH of only Node: whatever is started by a
  // bare name fails there.
  test: [
    ['~ peers', 'test/peers/obtain.ts', '--for-tests'],
    ...checked,
    ['tests that need no peer', ...vitest, '--project', 'alone', '$', { onlyNode: true }],
    ['tests with peers', ...vitest, '--project', 'with-peers', '$', { needs: '~ peers' }],
  ],
  'test:some': [
    ...checked,
    ['peers', 'test/peers/obtain.ts', '--for-tests'],
    ['tests', ...vitest, '--project', 'alone', '--project', 'with-peers', '$'],
  ],
  'test:long': [
    ['build', 'scripts/build.js'],
    ['peers', 'test/peers/obtain.ts', '--for-long-tests'],
    ['long tests', ...vitest, '--project', 'long', '$'],
  ],
  build: [['build', 'scripts/build.js']],
  demo: [['demo', 'examples/demo/main.ts', '$']],
  bench: [
    ['build', 'scripts/build.js'],
    ['bench', 'bench/load/main.ts', '$'],
  ],
  docs: [
    ['docs/failures.md', 'scripts/failures.ts'],
    ['docs/consul-config-entries.md', 'scripts/consul-entries.ts'],
    ['docs/metrics.md', 'scripts/metrics.ts'],
    ['docs/kubernetes.md', 'scripts/annotations.ts'],
    ['deploy/grafana', 'scripts/dashboards.ts'],
    ['deploy/helm/outrigger', 'scripts/chart.ts'],
    [
      'docs/configuration.md',
      'node_modules/vitest/vitest.mjs',
      'run',
      'test/mesh-config/reference.test.ts',
      '--update',
    ],
  ],
  'bench:micro': [['micro-benchmarks', 'bench/micro/run.ts', '$']],
  'bench:balancing': [['balancing simulator', 'bench/balancing/main.ts', '$']],
  'bench:discovery': [['discovery', 'bench/discovery/main.ts']],
}

// The program that runs decides what Ctrl-C means, and this one waits for it.
process.on('SIGINT', () => {})

const [name = '', ...given] = process.argv.slice(2)
// Some tests: there is no sense in two rounds, of which one may have nothing to do.
const wanted = name === 'test' && given.length > 0 ? 'test:some' : name
const steps = Object.hasOwn(scripts, wanted) ? scripts[wanted] : undefined
if (steps === undefined) fail(`there is no script "${name}"; there are ${Object.keys(scripts).join(', ')}`)
install()
const background = new Map()
for (const [title, ...args] of steps) await step(title, args)
for (const title of background.keys()) await ended(title)

function install() {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8')
  if (existsSync(stamp) && existsSync(node26) && readFileSync(stamp, 'utf8') === lock) return ensureNodeRuns()
  say('installing packages (npm ci)')
  // Of the install scripts only that of Node 26 is run: the others would be run by it, and it may not start yet.
  run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], 'npm ci failed: is the npm registry reachable?')
  run('npm', ['rebuild', 'node', '--ignore-scripts=false'], 'Node 26 could not be installed')
  ensureNodeRuns()
  writeFileSync(stamp, lock)
}

/** The binary needs libatomic, which a minimal Debian does not have. */
function ensureNodeRuns() {
  if (nodeRuns()) return
  say('Node 26 does not start: installing libatomic1')
  const root = process.getuid?.() === 0
  const apt = (...args) =>
    spawnSync(root ? 'apt-get' : 'sudo', root ? args : ['-n', 'apt-get', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  apt('update', '-qq')
  apt('install', '-y', '-qq', 'libatomic1')
  if (!nodeRuns())
    fail(
      `${node26} does not start. Run it with --version to see why; on Debian and Ubuntu it needs the package libatomic1`,
    )
}

function nodeRuns() {
  return spawnSync(node26, ['--version'], { stdio: 'ignore' }).status === 0
}

async function step(title, args) {
  const { needs, onlyNode = false } = args.find(arg => typeof arg === 'object') ?? {}
  if (needs !== undefined) await ended(needs)
  say(title.replace('~', 'in the background:'))
  const all = args.filter(arg => typeof arg === 'string').flatMap(arg => (arg === '$' ? given : [arg]))
  // Biome and others are native programs behind a JavaScript starter: all of them are run by Node 26.
  const path = onlyNode ? dirname(node26) : `${dirname(node26)}:${join(root, 'node_modules/.bin')}:${process.env.PATH}`
  const child = spawn(node26, all, { cwd: root, stdio: 'inherit', env: { ...process.env, PATH: path } })
  const done = outcome(child, title, Date.now())
  if (!title.startsWith('~')) return exitUnless(await done)
  process.once('exit', () => child.kill())
  background.set(title, done)
}

/** Waits for a step in the background. */
async function ended(title) {
  const done = background.get(title)
  background.delete(title)
  exitUnless(await done)
}

function outcome(child, title, began) {
  return new Promise(resolve => {
    child.once('error', error => fail(`${title}: ${error.message}`))
    child.once('exit', (status, signal) => {
      const took = (Date.now() - began) / 1000
      if (status === 0 && took > 2) say(`${title.replace('~ ', '')}: done in ${took.toFixed(1)} s`)
      resolve({ status, signal })
    })
  })
}

function exitUnless({ status, signal }) {
  if (status !== 0) process.exit(status ?? (signal === 'SIGINT' ? 130 : 1))
}

function run(command, args, remedy) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) fail(remedy)
}

function say(text) {
  process.stderr.write(`\u25b8 ${text}\n`)
}

function fail(text) {
  process.stderr.write(`${text}\n`)
  process.exit(1)
}
