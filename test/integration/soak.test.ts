import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startBackends } from './support/backend.ts'
import { type LoadOptions, startLoad } from './support/load.ts'
import { freePort } from './support/ports.ts'
import { type RunningProxy, startProxy } from './support/proxy.ts'
import { rawServer } from './support/raw.ts'
import { until } from './support/until.ts'

// A minute of everything at once. Afterwards nothing may be left of it: no request in flight, no connection, no memory.

const SECONDS = Number(process.env.OUTRIGGER_SOAK_SECONDS ?? 60)

test(
  `after ${SECONDS} s of mixed load nothing failed that should not, every gauge is back at 0, and memory is where it was`,
  async () => {
    const backends = await startBackends(2)
    // Accepts, and resets as soon as a request comes.
    const failing = await rawServer(({ socket }) => void socket.once('data', () => socket.resetAndDestroy()))
    const port = await freePort()
    const addresses = backends.map(({ address }) => address)
    await using proxy = await startProxy({
      accessLog: 'off',
      outbound: [{ listen: `127.0.0.1:${port}` }],
      discovery: {
        endpoints: { orders: addresses, flaky: [...addresses, failing.address], broken: [failing.address] },
      },
      services: { flaky: { outliers: { baseEjection: '500ms', maxEjection: '1s' } } },
    })

    const body = Buffer.alloc(16 * 1024, 'b')
    const mix: Record<string, Omit<LoadOptions, 'port'>> = {
      small: { path: '/', rate: 150 },
      '16 KiB': { path: '/bytes/16384', rate: 50 },
      '1 MiB': { path: '/bytes/1048576', rate: 8 },
      POST: { path: '/echo', method: 'POST', body, rate: 40 },
      HEAD: { path: '/bytes/16384', method: 'HEAD', rate: 10 },
      slow: { path: '/slow/400', rate: 10 },
      dripping: { path: '/drip/10/40', rate: 5 },
      // One of three endpoints resets each request: tried again elsewhere.
      flaky: { path: '/', rate: 50, headers: { host: 'flaky' } },
      // These fail, as they should.
      broken: { path: '/', rate: 10, headers: { host: 'broken' }, expect: 503 },
      unknown: { path: '/', rate: 10, headers: { host: 'nobody' }, expect: 404 },
    }
    const loads = Object.entries(mix).map(([name, options]) => ({
      name,
      load: startLoad({ port, headers: { host: 'orders' }, ...options }),
    }))
    const stopAborting = every(50, () => abortedCaller(port))
    const stopReading = every(1000, () => slowReader(port))

    await sleep(SECONDS * 250)
    const early = await proxy.rss()
    await sleep(SECONDS * 750)

    stopAborting()
    stopReading()
    const failures: Record<string, unknown> = {}
    const good: Record<string, number> = {}
    for (const { name, load } of loads) {
      const result = await load.stop()
      good[name] = result.good
      if (result.failures.size > 0) failures[name] = Object.fromEntries(result.failures)
    }
    expect(failures).toEqual({})
    const all = Object.values(good).reduce((sum, each) => sum + each, 0)
    expect(all).toBeGreaterThan(10 * SECONDS)

    await until('that nothing is in flight', () => isQuiet(proxy))
    const metrics = await proxy.metrics()
    expect(metrics.value('outrigger_data_thread_restarts_total')).toBe(0)
    // Each request was counted, and once.
    expect(metrics.value('http_requests_total', { service: 'flaky', status: '200' })).toBe(good.flaky)
    expect(metrics.value('http_requests_total', { service: 'broken', status: '503' })).toBe(good.broken)
    expect(metrics.value('http_requests_total', { flags: 'NR' })).toBe(good.unknown)
    expect(metrics.value('http_requests_total', { flags: 'DC' })).toBeGreaterThan(SECONDS)
    const after = await proxy.rss()
    console.log(
      `${all} good requests; resident memory ${early.toFixed(0)} MiB after a quarter of the time, ${after.toFixed(0)} MiB at the end`,
    )
    expect(after - early).toBeLessThan(40)
    await Promise.all(backends.map(backend => backend.stop()))
  },
  SECONDS * 1000 + 300_000,
)

/** No connection from a caller, no request at an upstream, nobody waiting; kept connections are idle. */
async function isQuiet(proxy: RunningProxy): Promise<boolean> {
  const metrics = await proxy.metrics()
  const endpoints = (await Promise.all(['orders', 'flaky', 'broken'].map(name => proxy.endpoints(name)))).flat()
  return (
    metrics.value('outrigger_downstream_connections_active') === 0 &&
    metrics.value('outrigger_upstream_requests_active') === 0 &&
    endpoints.every(({ active, pending, connections, idle }) => active === 0 && pending === 0 && connections === idle)
  )
}

function every(milliseconds: number, act: () => void): () => void {
  const timer = setInterval(act, milliseconds)
  return () => clearInterval(timer)
}

const aborted = ['GET /slow/400', 'GET /bytes/1048576', 'GET /hang', 'POST /echo', 'GET /drip/50/20']
let turn = 0

/** Goes away in the middle: of the wait, of the answer, of its own body; in order, or by a reset. */
function abortedCaller(port: number): void {
  const line = aborted[turn++ % aborted.length]!
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  const length = line.startsWith('POST') ? 'Content-Length: 100000\r\n' : ''
  socket.write(`${line} HTTP/1.1\r\nHost: orders\r\n${length}\r\n${length === '' ? '' : 'x'.repeat(5000)}`)
  setTimeout(() => (turn % 2 === 0 ? socket.destroy() : socket.resetAndDestroy()), 10 + ((turn * 37) % 150))
}

/** Takes 1 MiB piece by piece, for three seconds or so. */
function slowReader(port: number): void {
  const socket = connect(port, '127.0.0.1')
  let left = 30
  socket.on('error', () => {})
  socket.on('data', () => {
    if (left-- <= 0) return
    socket.pause()
    setTimeout(() => socket.resume(), 100)
  })
  socket.write('GET /bytes/1048576 HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n')
}
