// npm scripts start here, with whatever Node the machine has (18 or later): plain JavaScript, no dependency. It makes a fresh clone able to run anything - packages,
// Node 26 - and then runs the steps of the script named, each with Node 26.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const node26 = join(root, 'node_modules/node/bin/node')
const stamp = join(root, 'node_modules/.installed')

/** Each step: a title, and the arguments for Node 26. `$` passes on what the user wrote behind `--`. */
const scripts = {
  test: [
    ['types', 'node_modules/typescript/bin/tsc', '--noEmit', '-p', '.'],
    ['lint and format', 'node_modules/@biomejs/biome/bin/biome', 'check'],
    ['build', 'scripts/build.js'],
    [
      'peers',
      'test/peers/obtain.ts',
      'nginx',
      'envoy',
      'curl',
      'promtool',
      'dnsmasq',
      'redis-server',
      'redis-cli',
      'nghttpd',
      'h2load',
      'h2spec',
      'grpc-interop-server',
      'grpc-interop-client',
      'ghz',
      'consul',
    ],
    ['tests', 'node_modules/vitest/vitest.mjs', 'run', '$'],
  ],
  build: [['build', 'scripts/build.js']],
  demo: [['demo', 'examples/demo/main.ts', '$']],
  bench: [
    ['build', 'scripts/build.js'],
    ['bench', 'bench/load/main.ts', '$'],
  ],
  docs: [
    ['docs/failures.md', 'scripts/failures.ts'],
    ['docs/configuration.md', 'node_modules/vitest/vitest.mjs', 'run', 'test/mesh-config/reference.test.ts', '--update'],
  ],
  'bench:micro': [['micro-benchmarks', 'bench/micro/run.ts', '$']],
  'bench:balancing': [['balancing simulator', 'bench/balancing/main.ts', '$']],
  'bench:discovery': [['discovery', 'bench/discovery/main.ts']],
}

// The program that runs decides what Ctrl-C means, and this one waits for it.
process.on('SIGINT', () => {})

const [name = '', ...given] = process.argv.slice(2)
const steps = Object.hasOwn(scripts, name) ? scripts[name] : undefined
if (steps === undefined) fail(`there is no script "${name}"; there are ${Object.keys(scripts).join(', ')}`)
install()
for (const [title, ...args] of steps) step(title, args)

function install() {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8')
  if (existsSync(stamp) && existsSync(node26) && readFileSync(stamp, 'utf8') === lock) return ensureNodeRuns()
  say('installing packages (npm ci)')
  run('npm', ['ci', '--no-audit', '--no-fund'], 'npm ci failed: is the npm registry reachable?')
  // npm may be told not to run install scripts; Node 26 comes by one.
  if (!existsSync(node26)) run('npm', ['rebuild', 'node', '--ignore-scripts=false'], 'Node 26 could not be installed')
  ensureNodeRuns()
  writeFileSync(stamp, lock)
}

/** The binary needs libatomic, which a minimal Debian does not have. */
function ensureNodeRuns() {
  if (nodeRuns()) return
  say('Node 26 does not start: installing libatomic1')
  const root = process.getuid?.() === 0
  const apt = (...args) => spawnSync(root ? 'apt-get' : 'sudo', root ? args : ['-n', 'apt-get', ...args], { stdio: ['ignore', 'ignore', 'inherit'] })
  apt('update', '-qq')
  apt('install', '-y', '-qq', 'libatomic1')
  if (!nodeRuns()) fail(`${node26} does not start. Run it with --version to see why; on Debian and Ubuntu it needs the package libatomic1`)
}

function nodeRuns() {
  return spawnSync(node26, ['--version'], { stdio: 'ignore' }).status === 0
}

function step(title, args) {
  say(title)
  const began = Date.now()
  const all = args.flatMap(arg => (arg === '$' ? given : [arg]))
  // Biome and others are native programs behind a JavaScript starter: all of them are run by Node 26.
  const env = { ...process.env, PATH: `${dirname(node26)}:${join(root, 'node_modules/.bin')}:${process.env.PATH}` }
  const { status, signal } = spawnSync(node26, all, { cwd: root, stdio: 'inherit', env })
  if (status !== 0) process.exit(status ?? (signal === 'SIGINT' ? 130 : 1))
  const took = (Date.now() - began) / 1000
  if (took > 2) say(`${title}: done in ${took.toFixed(1)} s`)
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
