import { readFileSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { startLoad } from './support/load.ts'
import { type Nginx, type NginxOptions, startNginx } from './support/nginx.ts'
import { freePort } from './support/ports.ts'
import { get, type RunningProxy, startProxy } from './support/proxy.ts'
import { rawClient } from './support/raw.ts'
import { until } from './support/until.ts'

// Connections to a real nginx: kept, counted, and given up before or after nginx closes them. Nothing of it may show to
// a caller.

const NO_FAILURES = new Map()

async function start(
  options: NginxOptions,
): Promise<{ nginx: Nginx; proxy: RunningProxy; port: number } & AsyncDisposable> {
  const nginx = await startNginx(options)
  writeFileSync(join(nginx.www, 'file'), 'x'.repeat(2000))
  const port = await freePort()
  const proxy = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'files' }],
    discovery: { endpoints: { files: [nginx.address] } },
  })
  return {
    nginx,
    proxy,
    port,
    async [Symbol.asyncDispose]() {
      await proxy.stop()
      await nginx.stop()
    },
  }
}

const post = () => 'location = /post { return 200 "ok"; }'
/** Connections that both sides hold open, as the system counts them on the side of the port. */
function establishedOn(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const rows = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map(row => row.trim().split(/\s+/))
  return rows.filter(([, address = '', , state]) => address.endsWith(local) && state === '01').length
}

const connectionsOf = (lines: readonly string[][]) => new Set(lines.map(([connection]) => connection))

describe.concurrent('connections to nginx', () => {
  test('are kept: requests one after the other, from callers that come and go, use one', async () => {
    await using all = await start({})
    for (let i = 0; i < 50; i++) expect((await get(all.port, `/file?${i}`)).status).toBe(200)
    const lines = await all.nginx.logged('/file', 50)
    expect(connectionsOf(lines).size).toBe(1)
    expect(lines.map(([, number]) => Number(number))).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
  })

  test('are as many as there are requests at a time, and no more', async () => {
    await using all = await start({})
    const agent = new Agent({ keepAlive: true, maxSockets: 20 })
    for (let round = 0; round < 10; round++)
      await Promise.all(Array.from({ length: 20 }, () => get(all.port, '/file', { agent })))
    agent.destroy()
    const lines = await all.nginx.logged('/file', 200)
    expect(connectionsOf(lines).size).toBeLessThanOrEqual(20)
    // One that was opened while another became free may not have been used yet.
    expect((await all.proxy.metrics()).value('outrigger_upstream_connections')).toBeLessThanOrEqual(20)
  })

  test('may end after a few requests (keepalive_requests) without a failure, also for POST', async () => {
    await using all = await start({ server: () => `keepalive_requests 5; ${post()}` })
    const loads = [
      startLoad({ port: all.port, path: '/file', rate: 300 }),
      startLoad({ port: all.port, path: '/post', method: 'POST', body: Buffer.from('a=1'), rate: 300 }),
    ]
    await until('connections that were used up', () => loads.every(load => load.good() > 300))
    for (const load of loads) expect((await load.stop()).failures).toEqual(NO_FAILURES)
    const numbers = all.nginx.log().map(([, number]) => Number(number))
    expect(Math.max(...numbers)).toBe(5)
  })

  test('may be closed by nginx just as they are used (keepalive_timeout): no request of thousands fails', async () => {
    const timeoutMs = 1000
    await using all = await start({ server: () => `keepalive_timeout ${timeoutMs}ms; ${post()}` })
    const agent = new Agent({ keepAlive: true, maxSockets: 200 })
    const statuses: number[] = []
    const burst = async (method: string) => {
      const options = { agent, method, ...(method === 'POST' && { body: 'a=1' }) }
      const answers = await Promise.all(
        Array.from({ length: 200 }, () => get(all.port, method === 'POST' ? '/post' : '/file', options)),
      )
      statuses.push(...answers.map(({ status }) => status))
    }
    // Idle for a little less, exactly, and a little more than nginx allows. Only what may be sent twice at first; once
    // the time is learnt, all.
    for (let round = 0; round < 10; round++) {
      await burst(round < 4 ? 'GET' : 'POST')
      await sleep(timeoutMs - 12 + ((round * 4) % 24))
    }
    agent.destroy()
    expect(statuses).toHaveLength(2000)
    expect(statuses.filter(status => status !== 200)).toEqual([])
  })

  test('may be closed by nginx while the proxy gets no CPU: what may be sent again is; once the time is learnt, nothing needs to be', async () => {
    const timeoutMs = 1500
    // The second one closes connections that were opened and never used.
    await using all = await start({
      server: () => `keepalive_timeout ${timeoutMs}ms; client_header_timeout ${timeoutMs}ms; ${post()}`,
    })
    const callers = await Promise.all(Array.from({ length: 100 }, () => rawClient(all.port)))
    let asked = 0
    const ask = (line: string) => {
      asked++
      for (const caller of callers) caller.send(`${line} HTTP/1.1\r\nHost: files\r\n\r\n`)
    }
    const statuses = () => callers.flatMap(caller => caller.received().match(/HTTP\/1\.1 \d+/g) ?? [])
    const answers = () => until(`${asked} answers to each caller`, () => statuses().length === asked * callers.length)
    /** The requests come first, then the closes of nginx; the proxy sees both at once. */
    const askWhileFrozen = async (line: string) => {
      await all.proxy.freeze()
      ask(line)
      await until('the closes by nginx', () => establishedOn(all.nginx.port) === 0)
      all.proxy.signal('SIGCONT')
      await answers()
    }
    ask('GET /file')
    await answers()
    await askWhileFrozen('GET /file')
    // What nobody uses is closed by nginx in its own time: now the time is known.
    await until('the closes', async () => (await all.proxy.metrics()).value('outrigger_upstream_connections') === 0)
    ask('POST /post')
    await answers()
    for (let round = 0; round < 2; round++) await askWhileFrozen('POST /post')
    expect((await all.proxy.admin('/flights?failed&format=text')).body).toBe('no request has failed\n')
    expect(new Set(statuses())).toEqual(new Set(['HTTP/1.1 200']))
    for (const caller of callers) caller.socket.destroy()
  })

  test('survive reloads of nginx under load without a failure', async () => {
    await using all = await start({ server: post, workers: 2 })
    const load = startLoad({ port: all.port, path: '/file', rate: 600 })
    for (let reload = 1; reload <= 4; reload++) {
      await until('good answers', () => load.good() > reload * 200)
      await all.nginx.reload()
    }
    await until('good answers', () => load.good() > 1_000)
    expect((await load.stop()).failures).toEqual(NO_FAILURES)
  })
})
