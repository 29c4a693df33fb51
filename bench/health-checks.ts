// Measures what active health checks cost the sidecar: 10,000 endpoints (addresses of 127.0.0.0/8, served by one other
// process) that are checked every 10 s. `node bench/health-checks.ts [--endpoints 10000] [--interval 10] [--seconds 20]`
// prints a table; it asserts nothing.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startProxy } from '../test/integration/support/proxy.ts'

const TICKS_PER_SECOND = 100
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

if (process.send === undefined) await measure()
else serve()

/** Answers each read with a 200, whatever was asked. */
function serve(): void {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', () => socket.write(ANSWER))
  })
  server.listen({ port: 0, host: '0.0.0.0', backlog: 4096 }, () =>
    process.send!((server.address() as { port: number }).port),
  )
}

async function measure(): Promise<void> {
  const { values } = parseArgs({
    options: {
      endpoints: { type: 'string', default: '10000' },
      interval: { type: 'string', default: '10' },
      seconds: { type: 'string', default: '20' },
    },
  })
  const [count, interval, seconds] = [Number(values.endpoints), Number(values.interval), Number(values.seconds)]
  const servers = fork(import.meta.filename)
  const [port] = (await once(servers, 'message')) as [number]
  const endpoints = Array.from({ length: count }, (_, i) => `127.1.${i >> 8}.${i & 255}:${port}`)
  const ways: Readonly<Record<string, object | null>> = {
    'no checks': null,
    'http, connections kept (1,000 of them)': { http: { path: '/healthz' } },
    'http, a connection each': { http: { path: '/healthz' }, reuseConnection: false },
    'tcp, connect only': { tcp: {} },
    'tcp, send and receive': { tcp: { send: 'PING', receive: ['200 OK'] } },
  }
  console.log(`${count} endpoints every ${interval} s, over ${seconds} s`)
  for (const [name, how] of Object.entries(ways)) {
    const health = how && { ...how, interval: `${interval}s`, noTrafficInterval: `${interval}s` }
    const proxy = await startProxy({
      service: 'bench',
      outbound: [{ listen: '127.0.0.1:0' }],
      discovery: { endpoints: { orders: endpoints } },
      services: { orders: { ...(health === null ? {} : { health }) } },
    })
    // The first round, and what the JIT does with it.
    await sleep((health === null ? 2 : interval + 3) * 1_000)
    const before = cpuMs(proxy.pid)
    await sleep(seconds * 1_000)
    const share = (cpuMs(proxy.pid) - before) / (seconds * 1_000)
    const perCheck = health === null ? '' : `${((share * 1e6 * interval) / count).toFixed(0)} us a check, `
    console.log(`  ${name.padEnd(44)}${share.toFixed(3)} cores, ${perCheck}${(await proxy.rss()).toFixed(0)} MiB`)
    await proxy.stop()
  }
  servers.kill()
}

/** Of the whole process, all threads. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND
}
