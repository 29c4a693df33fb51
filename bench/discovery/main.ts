// Measures how soon changes in a real Consul reach requests, and what watching costs: `npm run bench:discovery`. Prints
// a table; it asserts nothing.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { startBackend } from '../../test/integration/support/backend.ts'
import { startConsul } from '../../test/integration/support/consul.ts'
import { freePort } from '../../test/integration/support/ports.ts'
import { get, startProxy } from '../../test/integration/support/proxy.ts'
import { obtain } from '../../test/peers/obtain.ts'

const ROUNDS = 20
const WATCHED = 500
const QUIET_MS = 20_000
const TICKS_PER_SECOND = 100

await obtain('consul')
const consul = await startConsul()
await consul.ready()
const [always, guest] = await Promise.all([startBackend(), startBackend()])
const register = (service: string, id: string, port: number, more: object = {}) =>
  consul.api('PUT', '/v1/agent/service/register', { Name: service, ID: id, Address: '127.0.0.1', Port: port, ...more })
await register('orders', 'always', always.port)
for (let i = 0; i < WATCHED; i++) await register(`service-${i}`, `service-${i}`, always.port)

const [few, many] = [await freePort(), await freePort()]
const sidecar = (port: number, services: Readonly<Record<string, object>>) => ({
  service: 'web',
  outbound: [{ listen: `127.0.0.1:${port}` }],
  discovery: { consul: { address: consul.address, services } },
})
const proxy = await startProxy(sidecar(few, { orders: {} }))

/**
 * Whether one of this many requests meets it: two endpoints share them, so by chance none does once in a thousand
 * times.
 */
async function meets(port: number): Promise<boolean> {
  for (let i = 0; i < 10; i++)
    if ((await get(few, '/', { headers: { host: 'orders' } })).body.trim() === String(port)) return true
  return false
}

async function until(wanted: boolean): Promise<number> {
  const from = performance.now()
  while ((await meets(guest.port)) !== wanted) await sleep(1)
  return performance.now() - from
}

const registered: number[] = []
const critical: number[] = []
for (let round = 0; round < ROUNDS; round++) {
  await register('orders', 'guest', guest.port, { Check: { TTL: '10m', Status: 'passing' } })
  registered.push(await until(true))
  await consul.api('PUT', '/v1/agent/check/update/service:guest', { Status: 'critical', Output: '' })
  critical.push(await until(false))
  await consul.api('PUT', '/v1/agent/service/deregister/guest')
  await sleep(300)
}

const names = Object.fromEntries(Array.from({ length: WATCHED }, (_, i) => [`service-${i}`, {}]))
const from = performance.now()
const watcher = await startProxy(sidecar(many, names))
const startedMs = performance.now() - from
await sleep(5_000)
const before = cpuMs(watcher.pid)
await sleep(QUIET_MS)
const share = (100 * (cpuMs(watcher.pid) - before)) / QUIET_MS

const row = (what: string, text: string) => console.log(`  ${what.padEnd(58)}${text}`)
const spread = (values: readonly number[]) => {
  const sorted = values.toSorted((a, b) => a - b)
  return `${sorted[sorted.length >> 1]!.toFixed(0)} ms (worst of ${sorted.length}: ${sorted.at(-1)!.toFixed(0)} ms)`
}
row('from registration to the first request', spread(registered))
row('from critical to no new request', spread(critical))
row(`start with ${WATCHED} services watched, to ready`, `${startedMs.toFixed(0)} ms`)
row(`CPU with ${WATCHED} services watched and nothing changing`, `${share.toFixed(2)} % of a core`)
row(`memory of that process`, `${(await watcher.rss()).toFixed(0)} MiB`)

await Promise.all([proxy, watcher, always, guest, consul].map(each => each.stop()))

/** Of the whole process, all threads. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND
}
