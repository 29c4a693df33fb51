import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { tool } from '../test/peers/find.ts'
import { type Child, start, temporaryFolder } from './load/children.ts'
import { arrangeCores } from './load/cores.ts'
import { freePort } from './load/ports.ts'
import { busySeconds, cpuOf } from './load/process-figures.ts'
import { outrigger } from './load/proxies/outrigger.ts'
import type { Features } from './load/proxies/proxy.ts'
import { waitUntil } from './load/ready.ts'
import { SCENARIOS } from './load/scenarios.ts'
import { TRAFFIC } from './load/traffic/table.ts'

/**
 * What a change costs: the CPU of a request in this working tree beside that of another commit (`--base`), or with
 * features beside without (`--features traces-1`). Both proxies are up and take turns of seconds, in an order that is
 * turned around each time; what counts is the median of the ratios of neighbours, which bears a machine that is busy
 * with other things where two runs of the bench do not.
 *
 *     node bench/versus.ts --base HEAD~3 --scenario small-64,grpc-unary
 *     node bench/versus.ts --features traces-1,traces-100
 */
const { values } = parseArgs({
  options: {
    base: { type: 'string' },
    features: { type: 'string' },
    scenario: { type: 'string', default: 'small-64' },
    pairs: { type: 'string', default: '15' },
    // V8 compiles for seconds on the proxy's one core, and longer where more code takes part.
    warm: { type: 'string', default: '8' },
    seconds: { type: 'string', default: '1' },
  },
})

const ROOT = resolve(import.meta.dirname, '..')

interface Side {
  readonly label: string
  readonly program: string | null
  readonly features: Features
}

interface Running {
  readonly child: Child
  readonly port: number
}

/** Built as the working tree is, with the packages of the working tree. */
function built(revision: string): string {
  const folder = join(temporaryFolder(), 'base')
  const git = (...args: string[]) => execFileSync(tool('git'), args, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' })
  mkdirSync(folder)
  execFileSync(tool('tar'), ['-x', '-C', folder], {
    input: execFileSync(tool('git'), ['archive', revision], { cwd: ROOT, maxBuffer: 2 ** 30 }),
  })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  console.log(`building ${git('log', '-1', '--format=%h %s', revision).trim()}`)
  execFileSync(process.execPath, ['scripts/build.js'], { cwd: folder, stdio: 'pipe' })
  // As installed: beside its sources the launcher takes those.
  const installed = join(temporaryFolder(), 'base-install')
  mkdirSync(join(installed, 'bin'), { recursive: true })
  for (const name of ['bin/outrigger.js', 'package.json', 'dist'])
    cpSync(join(folder, name), join(installed, name), { recursive: true })
  return join(installed, 'bin/outrigger.js')
}

async function measure(traffic: (typeof TRAFFIC)[keyof typeof TRAFFIC], scenario: Measured, running: Running) {
  const { connections, streams, path, body } = scenario
  const { user, system } = cpuOf(running.child.pid)
  const load = { port: running.port, path, body, connections, streams, seconds: Number(values.seconds) }
  const { requests, failures } = await traffic.load(load)
  if (failures > 0) throw new Error(`${failures} requests failed`)
  const after = cpuOf(running.child.pid)
  return ((after.user + after.system - user - system) * 1e6) / requests
}

type Measured = Extract<(typeof SCENARIOS)[number], { kind: 'load' }>

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!
}

if (values.base === undefined && values.features === undefined) {
  console.error(
    'say what to compare with: --base REVISION, or --features traces-1,traces-100,full,bare,rate-limit,rate-limit-by-key,faults,resilience',
  )
  process.exit(2)
}
await outrigger.prepare()
const reference: Side =
  values.base === undefined
    ? { label: 'standard', program: null, features: 'standard' }
    : { label: values.base, program: built(values.base), features: 'standard' }
const sides: readonly Side[] =
  values.features === undefined
    ? [{ label: 'working tree', program: null, features: 'standard' }]
    : values.features.split(',').map(name => ({ label: name, program: null, features: name as Features }))
const scenarios = values.scenario.split(',').map(name => {
  const found = SCENARIOS.find((each): each is Measured => each.kind === 'load' && each.name === name)
  if (found !== undefined) return found
  const names = SCENARIOS.filter(({ kind }) => kind === 'load').map(each => each.name)
  console.error(`--scenario ${name}: there is none of that name; there are ${names.join(', ')}`)
  return process.exit(2)
})
const cores = arrangeCores()
console.log(
  `${'scenario'.padEnd(44)}${'side'.padEnd(16)}${'base us'.padStart(9)}${'us'.padStart(9)}${'ratio'.padStart(8)}  quartiles      others`,
)
for (const scenario of scenarios) {
  const traffic = TRAFFIC[scenario.traffic]
  const backends = await traffic.startBackends()
  const run = async ({ program, features, label }: Side): Promise<Running> => {
    const folder = mkdtempSync(join(temporaryFolder(), 'side-'))
    const port = await freePort()
    const layout = { folder, listen: port, admin: await freePort(), upstreams: backends.ports, features }
    const command = await outrigger.command({ ...layout, traffic: scenario.traffic })
    const args = program === null ? command.args : [program, ...command.args.slice(1)]
    const child = start(label, { ...command, args }, cores.proxy)
    await waitUntil(child, () => traffic.ask(port, traffic.first, 1000), 15_000)
    return { child, port }
  }
  const base = await run(reference)
  const others = await Promise.all(sides.map(async side => ({ ...side, running: await run(side) })))
  const { connections, streams, path, body } = scenario
  // By turns as well: a proxy that was warmed whole after another costs 2 to 4 % more than it.
  for (let turn = 0; turn < Number(values.warm); turn++)
    for (const { port } of [base, ...others.map(side => side.running)])
      await traffic.load({ port, path, body, connections, streams, seconds: 1 })
  for (const { label, running } of others) {
    const pairs: [number, number][] = []
    const busy = cores.proxy === null ? 0 : busySeconds(cores.proxy)
    const used = () =>
      [base.child, running.child].map(({ pid }) => cpuOf(pid)).reduce((sum, { user, system }) => sum + user + system, 0)
    const [usedBefore, startedAt] = [used(), performance.now()]
    for (let i = 0; i < Number(values.pairs); i++) {
      const inTurn = i % 2 === 0 ? [base, running] : [running, base]
      const figures = [
        await measure(traffic, scenario, inTurn[0]!),
        await measure(traffic, scenario, inTurn[1]!),
      ] as const
      pairs.push(i % 2 === 0 ? [figures[0], figures[1]] : [figures[1], figures[0]])
    }
    const share =
      (((cores.proxy === null ? 0 : busySeconds(cores.proxy) - busy) - (used() - usedBefore)) * 1000) /
      (performance.now() - startedAt)
    const ratios = pairs.map(([a, b]) => b / a).sort((a, b) => a - b)
    console.log(
      `${scenario.title.padEnd(44)}${label.padEnd(16)}${median(pairs.map(([a]) => a))
        .toFixed(2)
        .padStart(9)}${median(pairs.map(([, b]) => b))
        .toFixed(2)
        .padStart(
          9,
        )}${median(ratios).toFixed(3).padStart(8)}  ${ratios[ratios.length >> 2]!.toFixed(3)} to ${ratios[(ratios.length * 3) >> 2]!.toFixed(3)}  ${Math.round(share * 100)} %`,
    )
  }
  await Promise.all([base, ...others.map(side => side.running)].map(({ child }) => child.stop()))
  await Promise.all(backends.children.map(child => child.stop()))
}
process.exit(0)
