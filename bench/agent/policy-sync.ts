// How soon a change of a policy is in force, and what it costs: `node bench/agent/policy-sync.ts [proxies]`.
//
// One agent as users run it, and a thousand followers in this process: the client of the proxy, over a Unix socket
// each, that answers as a proxy does and applies nothing. Then one proxy with 200 services, whose data thread is looked
// at while it applies changes.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { http2 } from '../../proxy/codec/h2/codec.ts'
import type { Log } from '../../proxy/core/log.ts'
import { type AgentClient, agentClient } from '../../proxy/sync/client.ts'
import { systemClock as clock, systemRandom as random } from '../../proxy/system/clock.ts'
import { dialPath } from '../../proxy/system/net.ts'
import { agentHome } from '../../test/integration/support/agent.ts'
import { temporaryFolder } from '../../test/integration/support/child.ts'
import { freePort } from '../../test/integration/support/ports.ts'
import { startProxy } from '../../test/integration/support/proxy.ts'
import { until } from '../../test/integration/support/until.ts'
import { agentServer, updateOf } from '../../test/support/agent-server.ts'

const PROXIES = Number(process.argv[2] ?? 1_000)
const SERVICES = 20
const CHANGES = 10

const home = await agentHome()
for (let i = 0; i < SERVICES; i++) home.document(`service-${i}`, { timeouts: { request: '3s' } })
let agent = await home.start()
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
const codec = http2(clock)

interface Follower {
  readonly client: AgentClient
  readonly has: Map<string, string>
}

let heard = (_at: number, _service: string, _version: string) => {}
const followers = Array.from({ length: PROXIES }, (_, index): Follower => follower(index))

function follower(index: number): Follower {
  const has = new Map<string, string>()
  const client: AgentClient = agentClient({
    hello: () => ({
      formats: [1],
      proxy: `bench/${index}`,
      service: 'bench',
      version: '0',
      host: 'bench',
      zone: '',
      pid: process.pid,
      admin: '',
      config: '',
    }),
    wanted: () =>
      Array.from({ length: SERVICES }, (_, service) => ({
        service: `service-${service}`,
        own: '',
        have: has.get(`service-${service}`) ?? '',
      })),
    summary: () => null,
    update({ service, version }) {
      has.set(service, version)
      client.answer(service, version, [])
      heard(performance.now(), service, version)
    },
    tooLong() {},
    dial: dialPath,
    codec: async () => codec,
    distrust: () => '',
    userAgent: 'bench/0',
    changed() {},
    clock,
    random,
    log: silent,
  })
  return { client, has }
}

const begun = performance.now()
for (const { client } of followers) client.follow({ path: home.socket, isDefault: false })
await until('all have all', () => followers.every(({ has }) => has.size === SERVICES))
say('all connected, with all policies', `${Math.round(performance.now() - begun)} ms`)
await sleep(2_000)
say('agent, idle', `${rssOf(agent.pid)} MiB RSS`)

const latencies: number[] = []
for (let change = 0; change < CHANGES; change++) {
  const before = followers[0]!.has.get('service-0')!
  let missing = PROXIES
  const writtenAt = performance.now()
  const all = new Promise<void>(done => {
    heard = (at, service, version) => {
      if (service !== 'service-0' || version === before) return
      latencies.push(at - writtenAt)
      if (--missing === 0) done()
    }
  })
  home.document('service-0', { timeouts: { request: `${4 + change}s` } })
  await all
  await sleep(300)
}
latencies.sort((a, b) => a - b)
say('a change reaches a proxy', `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, last ${at(1)} ms (${CHANGES} changes)`)
say('agent, afterwards', `${rssOf(agent.pid)} MiB RSS`)

const cpuBefore = cpuOf(agent.pid)
agent.signal('SIGKILL')
await agent.ended
await until('all have lost it', () => followers.every(({ client }) => client.state !== 'connected'))
const killedAt = performance.now()
agent = await home.start()
const upAt = performance.now()
await until('all are back', () => followers.every(({ client }) => client.state === 'connected'))
say(
  'after kill -9',
  `all back ${Math.round(performance.now() - upAt)} ms after the agent listened (which took ${Math.round(upAt - killedAt)} ms)`,
)
say('CPU of the agent until then', `${Math.round(cpuBefore)} ms`)
for (const { client } of followers) client.follow(null)
await agent.stop()
await applied()
process.exit()

/** What a change costs a data thread. */
async function applied(): Promise<void> {
  const server = await agentServer(join(temporaryFolder(), 'agent.sock'))
  const names = Array.from({ length: 200 }, (_, index) => `service-${index}`)
  const endpoints = Array.from({ length: 10 }, (_, index) => `127.0.0.1:${9_000 + index}`)
  const proxy = await startProxy({
    agent: `unix:${server.path}`,
    outbound: [{ listen: `127.0.0.1:${await freePort()}` }],
    discovery: { endpoints: Object.fromEntries(names.map(name => [name, endpoints])) },
  })
  await until('a proxy', () => server.subscribed().length === names.length)
  const changes = 60
  const apply = async (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      server.update(
        updateOf(`service-${i % 7}`, `v${i}`, { timeouts: { request: `${i + 1}s` }, routes: [{ name: `r${i}` }] }),
      )
      await until('an answer', () => server.answers().some(({ version }) => version === `v${i}`))
    }
  }
  await apply(0, 20)
  const threads = () => Object.fromEntries(threadsOf(proxy.pid).map(({ tid, name, ms }) => [`${tid} ${name}`, ms]))
  const before = threads()
  const beganAt = performance.now()
  await apply(20, 20 + changes)
  const tookMs = performance.now() - beganAt
  const after = threads()
  const spent = Object.entries(after)
    .map(([key, ms]) => ({ key, ms: (ms - (before[key] ?? 0)) / changes }))
    .sort((a, b) => b.ms - a.ms)
  say(
    `a change of one of ${names.length} services`,
    `${(tookMs / changes).toFixed(0)} ms until it is answered (200 of them pause)`,
  )
  for (const { key, ms } of spent.slice(0, 3)) say(`  thread ${key}`, `${ms.toFixed(2)} ms of CPU a change`)
  await proxy.stop()
  server.stop()
}

function threadsOf(pid: number): { readonly tid: string; readonly name: string; readonly ms: number }[] {
  const folder = `/proc/${pid}/task`
  return readdirSync(folder).map(tid => ({
    tid,
    name: readFileSync(`${folder}/${tid}/comm`, 'utf8').trim(),
    ms: Number(readFileSync(`${folder}/${tid}/schedstat`, 'utf8').split(' ')[0]) / 1e6,
  }))
}

function at(quantile: number): number {
  return Math.round(latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * quantile))]!)
}

function rssOf(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024)
}

function cpuOf(pid: number): number {
  return threadsOf(pid).reduce((sum, { ms }) => sum + ms, 0)
}

function say(what: string, figure: string): void {
  process.stdout.write(`${what.padEnd(40)} ${figure}\n`)
}
