import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { stringify } from 'yaml'
import { tool } from '../test/peers/find.ts'
import { obtain } from '../test/peers/obtain.ts'
import { type Child, runToEnd, start, temporaryFolder } from './load/children.ts'
import { arrangeCores } from './load/cores.ts'
import { freePort } from './load/ports.ts'
import { cpuOf } from './load/process-figures.ts'
import { envoy } from './load/proxies/envoy.ts'
import { outrigger } from './load/proxies/outrigger.ts'
import type { Layout } from './load/proxies/proxy.ts'
import { waitUntil } from './load/ready.ts'
import { http1 } from './load/traffic/http1.ts'
import { NO_BODY } from './load/traffic/traffic.ts'

/**
 * What it costs that connections are redirected (docs/transparent.md): wrk -> proxy -> nginx, with the proxy's port
 * dialled and with a REDIRECT rule in front of it, on kept connections and on one for each request. It runs in a network
 * namespace of its own, which needs root.
 */
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
    inside: { type: 'boolean', default: false },
  },
})

if (!values.inside) {
  // Whatever needs the network of this machine comes first.
  await outrigger.prepare()
  await envoy.prepare()
  await obtain('wrk')
  const own = [import.meta.filename, ...process.argv.slice(2), '--inside']
  execFileSync(tool('unshare'), ['--net', process.execPath, ...own], { stdio: 'inherit' })
  process.exit(0)
}

interface Row {
  readonly title: string
  readonly child: Child
  /** Where wrk goes. */
  readonly to: string
  readonly close: boolean
  readonly micros: number[]
  perSecond: number
  failures: number
}

const REDIRECTED = { outrigger: '10.203.0.1', envoy: '10.203.0.2' } as const
const network = (...args: string[]) => execFileSync(tool('ip'), args)

function redirect(address: string, port: number): void {
  execFileSync(tool('nft'), [`add rule ip bench output ip daddr ${address} tcp dport 80 redirect to :${port}`])
}

async function startProxy(name: 'outrigger' | 'envoy', upstreams: readonly number[], core: number | null) {
  const layout: Layout = {
    folder: temporaryFolder(),
    listen: await freePort(),
    admin: await freePort(),
    upstreams,
    traffic: 'http1',
    features: 'standard',
  }
  const command = await (name === 'outrigger' ? outrigger : envoy).command(layout)
  const redirected = await freePort()
  if (name === 'outrigger') {
    const file = join(temporaryFolder(), 'sidecar.yaml')
    const outbound = [
      { listen: `127.0.0.1:${layout.listen}`, protocol: 'detect' },
      { listen: `127.0.0.1:${redirected}`, transparent: true },
    ]
    const endpoints = { web: upstreams.map(port => `127.0.0.1:${port}`) }
    // The name in the first question, which waits until it serves.
    const services = { web: { hosts: ['bench'] } }
    writeFileSync(
      file,
      stringify({ admin: `127.0.0.1:${layout.admin}`, accessLog: 'off', outbound, discovery: { endpoints }, services }),
    )
  } else {
    const file = join(temporaryFolder(), 'envoy.json')
    const bootstrap = JSON.parse(readFileSync(file, 'utf8'))
    const [listener] = bootstrap.static_resources.listeners
    const originalDst = {
      name: 'envoy.filters.listener.original_dst',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst',
      },
    }
    bootstrap.static_resources.listeners.push({
      ...listener,
      address: { socket_address: { address: '127.0.0.1', port_value: redirected } },
      listener_filters: [originalDst],
    })
    writeFileSync(file, JSON.stringify(bootstrap))
  }
  const child = start(name, command, core)
  await waitUntil(child, () => http1.ask(layout.listen, { path: '/', body: NO_BODY }), 20_000)
  redirect(REDIRECTED[name], redirected)
  return { child, plain: `http://127.0.0.1:${layout.listen}/`, redirected: `http://${REDIRECTED[name]}/` }
}

async function measure(row: Row, noted: boolean): Promise<void> {
  const total = () => {
    const { user, system } = cpuOf(row.child.pid)
    return user + system
  }
  const before = total()
  const close = row.close ? ['-H', 'Connection: close'] : []
  const args = ['-t1', `-c${values.connections}`, `-d${values.seconds}s`, '-H', 'Host: web', ...close, row.to]
  const output = await runToEnd({ command: await obtain('wrk'), args }, (Number(values.seconds) + 15) * 1000)
  const requests = Number(/(\d+) requests in/.exec(output)![1])
  if (!noted) return
  row.perSecond = Math.round(requests / Number(values.seconds))
  row.micros.push(((total() - before) * 1e6) / requests)
  row.failures += Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0)
}

network('link', 'set', 'lo', 'up')
for (const address of Object.values(REDIRECTED)) network('addr', 'add', `${address}/32`, 'dev', 'lo')
execFileSync(tool('nft'), ['add table ip bench'])
execFileSync(tool('nft'), ['add chain ip bench output { type nat hook output priority -100 ; }'])
// A connection for each request: ports and entries of connection tracking that wait for two minutes would soon be all
// there are, and what is then measured is a proxy without work.
writeFileSync('/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait', '1')
writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', '1024 65000')
const cores = arrangeCores()
const backends = await http1.startBackends()
const proxies = [
  { name: 'Outrigger', ...(await startProxy('outrigger', backends.ports, cores.proxy)) },
  { name: 'Envoy', ...(await startProxy('envoy', backends.ports, cores.proxy)) },
]
const rows: Row[] = [false, true].flatMap(close =>
  proxies.flatMap(({ name, child, plain, redirected }) =>
    (['plain', 'redirected'] as const).map(way => ({
      title: `${close ? 'a connection for each request' : 'kept connections'}, ${name}, ${way}`,
      child,
      to: way === 'plain' ? plain : redirected,
      close,
      micros: [],
      perSecond: 0,
      failures: 0,
    })),
  ),
)
for (const row of rows) await measure(row, false)
for (let round = 0; round < Number(values.rounds); round++) for (const row of rows) await measure(row, true)
for (const { title, micros, failures, perSecond } of rows) {
  const median = micros.sort((a, b) => a - b)[micros.length >> 1]!
  console.log(
    `${title.padEnd(56)} ${median.toFixed(1).padStart(6)} us CPU a request, ${failures} failures, ${perSecond} requests/s`,
  )
}
for (const { child } of proxies) await child.stop()
await Promise.all(backends.children.map(child => child.stop()))
process.exit(0)
