import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { stringify } from 'yaml'
import { type Child, start, temporaryFolder } from './load/children.ts'
import { arrangeCores } from './load/cores.ts'
import { freePort } from './load/ports.ts'
import { cpuOf } from './load/process-figures.ts'
import { outrigger } from './load/proxies/outrigger.ts'
import { waitUntil } from './load/ready.ts'
import { http1 } from './load/traffic/http1.ts'
import { NO_BODY } from './load/traffic/traffic.ts'
import { wrk } from './load/wrk.ts'

/**
 * What the HTTP/2 between two sidecars costs or saves (docs/sidecar-to-sidecar.md): wrk -> sidecar -> sidecar -> nginx,
 * with `multiplex` on and off in turns. Both sidecars share a core, the load and nginx have another. `--profile` writes
 * CPU profiles of one round into the folder given.
 */
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
    path: { type: 'string', default: '/' },
    profile: { type: 'string' },
  },
})
const seconds = Number(values.seconds)
const connections = Number(values.connections)
const { path } = values

interface Pair {
  readonly multiplex: boolean
  readonly caller: Child
  readonly application: Child
  readonly port: number
  readonly between: number
  readonly rounds: { caller: number; application: number; perSecond: number; links: number; failures: number }[]
}

async function startPair(multiplex: boolean, upstream: number, core: number | null): Promise<Pair> {
  const [port, between, adminOut, adminIn] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const sidecar = async (name: string, document: object): Promise<Child> => {
    const file = join(temporaryFolder(), `${name}-${multiplex}.yaml`)
    writeFileSync(file, stringify({ accessLog: 'off', ...document }))
    const command = await outrigger.command({
      folder: temporaryFolder(),
      listen: port,
      admin: adminOut,
      upstreams: [],
      traffic: 'http1',
      features: 'standard',
    })
    const profile =
      values.profile === undefined
        ? []
        : ['--cpu-prof', `--cpu-prof-dir=${join(values.profile, `${name}-${multiplex}`)}`]
    return start(name, { ...command, args: [...profile, ...command.args.slice(0, -1), file] }, core)
  }
  const application = await sidecar('application', {
    service: 'web',
    admin: `127.0.0.1:${adminIn}`,
    inbound: [{ listen: `127.0.0.1:${between}`, forward: `127.0.0.1:${upstream}`, multiplex }],
  })
  const caller = await sidecar('caller', {
    service: 'bench',
    admin: `127.0.0.1:${adminOut}`,
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'web' }],
    discovery: { endpoints: { web: [`127.0.0.1:${between}`] } },
    services: { web: { multiplex } },
  })
  await waitUntil(application, () => http1.ask(between, { path, body: NO_BODY }), 10_000)
  await waitUntil(caller, () => http1.ask(port, { path, body: NO_BODY }), 10_000)
  return { multiplex, caller, application, port, between, rounds: [] }
}

/** TCP connections between the two, while they work. */
function linksOf({ between }: Pair): number {
  const hex = between.toString(16).toUpperCase().padStart(4, '0')
  const established = '01'
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .filter(([, , remote = '', state]) => remote.endsWith(`:${hex}`) && state === established).length
}

async function measure(pair: Pair, noted: boolean): Promise<void> {
  const total = (child: Child) => {
    const { user, system } = cpuOf(child.pid)
    return user + system
  }
  const before = [total(pair.caller), total(pair.application)] as const
  let links = 0
  const look = setTimeout(() => {
    links = linksOf(pair)
  }, seconds * 700)
  const { requests, perSecond, failures } = await wrk({
    port: pair.port,
    path,
    body: NO_BODY,
    connections,
    streams: 1,
    seconds,
  })
  clearTimeout(look)
  if (!noted) return
  const micro = (after: number, from: number) => ((after - from) * 1e6) / requests
  pair.rounds.push({
    caller: micro(total(pair.caller), before[0]),
    application: micro(total(pair.application), before[1]),
    perSecond,
    links,
    failures,
  })
}

const cores = arrangeCores()
await outrigger.prepare()
const backends = await http1.startBackends()
const pairs = [
  await startPair(true, backends.ports[0]!, cores.proxy),
  await startPair(false, backends.ports[0]!, cores.proxy),
]
for (const pair of pairs) await measure(pair, false)
for (let round = 0; round < Number(values.rounds); round++) for (const pair of pairs) await measure(pair, true)
for (const { multiplex, rounds } of pairs) {
  const median = (figure: 'caller' | 'application' | 'perSecond' | 'links') =>
    rounds.map(each => each[figure]).sort((a, b) => a - b)[rounds.length >> 1]!
  const failures = rounds.reduce((sum, each) => sum + each.failures, 0)
  console.log(
    `multiplex ${multiplex ? 'on ' : 'off'}: ${median('caller').toFixed(1)} + ${median('application').toFixed(1)} = ${(median('caller') + median('application')).toFixed(1)} us CPU a request, ` +
      `${Math.round(median('perSecond'))}/s, ${median('links')} connections between them, ${failures} failures`,
  )
}
for (const { caller, application } of pairs) {
  await caller.stop()
  await application.stop()
}
await Promise.all(backends.children.map(child => child.stop()))
process.exit(0)
