// `node bench/propagate/main.ts [path of a node]`: the CPU time of an application for a request, with and without
// `--import outrigger/propagate`, in turn. A request comes in with a trace and an id, and makes one call or none.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Pool } from 'undici'

const PROPAGATE = join(import.meta.dirname, '../../dist/propagate.js')
const APP = join(import.meta.dirname, 'app.mjs')
const CONCURRENCY = 16
const REQUESTS = 8_000
const WARM_UP = 6_000
const ROUNDS = 7

const execPath = process.argv[2] ?? process.execPath
const headers = {
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'x-request-id': '7f4d8a1e-0000-4000-8000-000000000001',
}
const echo = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1')
await once(echo, 'listening')

interface App {
  readonly child: ChildProcess
  readonly pool: Pool
}

async function start(library: string, execArgv: string[]): Promise<App> {
  const ECHO = `http://127.0.0.1:${(echo.address() as AddressInfo).port}`
  const child = fork(APP, { execPath, execArgv, env: { ...process.env, ECHO, LIBRARY: library } })
  const [port] = (await once(child, 'message')) as [number]
  return { child, pool: new Pool(`http://127.0.0.1:${port}`, { connections: CONCURRENCY }) }
}

async function send({ pool }: App, count: number): Promise<void> {
  let left = count
  const one = async () => {
    while (left-- > 0) await (await pool.request({ path: '/', method: 'GET', headers })).body.dump()
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, one))
}

async function cpuMicros({ child }: App): Promise<number> {
  child.send('cpu')
  const [micros] = (await once(child, 'message')) as [number]
  return micros
}

async function microsPerRequest(app: App): Promise<number> {
  const before = await cpuMicros(app)
  await send(app, REQUESTS)
  return ((await cpuMicros(app)) - before) / REQUESTS
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!

console.log(
  'CPU microseconds a request, medians'.padEnd(40),
  'without'.padStart(9),
  'with'.padStart(9),
  'more'.padStart(9),
)
for (const library of ['none', 'http', 'fetch']) {
  const without = await start(library, [])
  const withIt = await start(library, ['--import', PROPAGATE])
  for (const app of [without, withIt]) await send(app, WARM_UP)
  const pairs: (readonly [number, number])[] = []
  for (let round = 0; round < ROUNDS; round++)
    pairs.push([await microsPerRequest(without), await microsPerRequest(withIt)])
  const row = [median(pairs.map(([a]) => a)), median(pairs.map(([, b]) => b)), median(pairs.map(([a, b]) => b - a))]
  console.log(
    (library === 'none' ? 'answers at once' : `one call by ${library}`).padEnd(40),
    ...row.map(value => value.toFixed(1).padStart(9)),
  )
  for (const { child, pool } of [without, withIt]) {
    await pool.destroy()
    child.kill()
  }
}
echo.close()
echo.closeAllConnections()
