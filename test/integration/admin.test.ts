import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { obtain } from '../peers/obtain.ts'
import { type Backend, startBackend, startBackends } from './support/backend.ts'
import { run, temporaryFolder } from './support/child.ts'
import { curl } from './support/curl.ts'
import { type LoadResult, percentile, startLoad } from './support/load.ts'
import { freePort } from './support/ports.ts'
import { get, type RunningProxy, startProxy } from './support/proxy.ts'
import { rawClient } from './support/raw.ts'
import { until } from './support/until.ts'

// The admin port as people and Prometheus meet it: by curl and by promtool, on a proxy that has seen good and bad days.

let backend: Backend
let proxy: RunningProxy
let port: number
let admin: string

beforeAll(async () => {
  backend = await startBackend()
  const down = await freePort()
  port = await freePort()
  proxy = await startProxy({
    service: 'web',
    accessLog: 'off',
    outbound: [{ listen: `127.0.0.1:${port}` }],
    discovery: {
      endpoints: { orders: [backend.address, `127.0.0.1:${down}`], empty: [], down: [`127.0.0.1:${down}`] },
    },
    services: {
      orders: {
        hosts: ['orders.example.com'],
        outliers: { consecutiveGatewayFailures: 3, baseEjection: '5m' },
        routes: [{ match: { path: '/status/*' } }, { match: { path: '/*' } }],
      },
    },
  })
  admin = `http://127.0.0.1:${proxy.adminPort}`
  const ask = (host: string, path: string, method = 'GET') => get(port, path, { method, headers: { host } })
  for (let i = 0; i < 30; i++) await ask('orders', `/?${i}`, i % 3 === 0 ? 'POST' : 'GET')
  await until('an ejection', async () => {
    await ask('orders', '/')
    return (await proxy.endpoints('orders')).some(({ state }) => state === 'ejected')
  })
  for (const path of ['/status/500', '/status/503', '/status/404', '/status/204'])
    await ask('orders.example.com:80', path)
  await ask('orders', '/', 'BREW')
  expect((await ask('nobody', '/')).status).toBe(404)
  expect((await ask('empty', '/')).status).toBe(503)
  expect((await ask('down', '/')).status).toBe(503)
  // A caller that goes away.
  using client = await rawClient(port)
  client.send('GET /hang HTTP/1.1\r\nHost: orders\r\n\r\n')
  await until(
    'the request under way',
    async () => (await proxy.metrics()).value('outrigger_upstream_requests_active') === 1,
  )
  client.socket.destroy()
  await until('its end', async () => (await proxy.metrics()).value('outrigger_upstream_requests_active') === 0)
  return () => Promise.all([proxy.stop(), backend.stop()])
})

describe('the pages, by curl', () => {
  const pages = [
    '/',
    '/explain?url=http://orders/api/1',
    '/flights',
    '/flights?failed',
    '/endpoints',
    '/config',
    '/ready',
    '/ready?verbose',
    '/live',
    '/log-level',
  ]

  test.each(pages)('%s is JSON, text and HTML as asked for', async page => {
    for (const [accept, type] of [
      ['application/json', 'application/json'],
      ['text/plain', 'text/plain'],
    ] as const) {
      const answer = await curl('-H', `Accept: ${accept}`, `${admin}${page}`)
      expect(answer).toMatchObject({ exit: 0, status: 200, headers: { 'cache-control': 'no-store' } })
      expect(answer.headers['content-type']).toContain(type)
      if (accept === 'application/json') expect(() => JSON.parse(answer.body())).not.toThrow()
      else expect(answer.body()).toMatch(/\S\n$/)
    }
    expect((await curl(`${admin}${page}`)).status).toBe(200)
    expect((await curl('-I', `${admin}${page}`)).status).toBe(200)
  })

  test('/ lists them all', async () => {
    const body = (await curl(`${admin}/`)).body()
    for (const page of [
      '/explain',
      '/flights',
      '/endpoints',
      '/config',
      '/metrics',
      '/ready',
      '/live',
      '/log-level',
      '/leave',
      '/drain',
    ])
      expect(body).toContain(page)
  })

  test('/endpoints says who is ejected, why and for how long', async () => {
    const text = (await curl('-H', 'Accept: text/plain', `${admin}/endpoints?service=orders`)).body()
    expect(text).toMatch(/orders {2}least_request, 1 of 2 endpoints usable/)
    expect(text).toMatch(/ejected for .* more: 3 consecutive failures, last: connect-refused/)
  })

  test('/explain tells what a request would meet, and why it would fail', async () => {
    const good = (await curl('-H', 'Accept: text/plain', `${admin}/explain?url=http://orders/api/1`)).body()
    expect(good).toContain(`would be sent to ${backend.address} (orders)`)
    expect((await curl('-H', 'Accept: text/plain', `${admin}/explain?url=http://nobody/`)).body()).toContain('404 NR')
    expect((await curl('-H', 'Accept: text/plain', `${admin}/explain?url=http://empty/`)).body()).toContain('503 UH')
    expect((await curl(`${admin}/explain`)).status).toBe(400)
  })

  test('/flights?failed tells each failure with its flag and its attempts', async () => {
    const text = (await curl('-H', 'Accept: text/plain', `${admin}/flights?failed`)).body()
    for (const part of [
      '404 NR',
      '503 UH',
      '503 UF',
      'DC ',
      'connect-refused',
      'downstream-gone',
      'no service is known as',
    ])
      expect(text).toContain(part)
  })

  test('/log-level is read by GET and set by POST', async () => {
    expect((await curl('-X', 'POST', `${admin}/log-level?level=debug`)).body()).toBe('debug\n')
    expect((await curl(`${admin}/log-level`)).body()).toBe('debug\n')
    expect((await curl('-X', 'POST', `${admin}/log-level?level=loud`)).status).toBe(400)
    expect((await curl('-d', 'info', `${admin}/log-level`)).body()).toBe('info\n')
  })

  test('what is not there is told with what is: 404 and 405', async () => {
    const unknown = await curl(`${admin}/metric`)
    expect(unknown.status).toBe(404)
    expect(unknown.body()).toContain('/metrics')
    expect(await curl(`${admin}/drain`)).toMatchObject({ status: 405, headers: { allow: 'POST' } })
  })

  test('names that resolve here by DNS rebinding are refused, and so are web pages from elsewhere', async () => {
    for (const page of ['/', '/metrics', '/config', '/endpoints'])
      expect((await curl('-H', 'Host: evil.example', `${admin}${page}`)).status).toBe(403)
    expect((await curl('-H', `Host: 127.0.0.1.evil.example:${proxy.adminPort}`, `${admin}/`)).status).toBe(403)
    for (const host of ['localhost', `localhost:${proxy.adminPort}`, '127.0.0.1', '[::1]:80', 'web.localhost']) {
      expect((await curl('-H', `Host: ${host}`, `${admin}/`)).status).toBe(200)
    }
    const foreign = await curl('-X', 'POST', '-H', 'Origin: http://evil.example', `${admin}/drain`)
    expect(foreign.status).toBe(403)
    expect((await curl('-X', 'POST', '-H', 'Sec-Fetch-Site: cross-site', `${admin}/log-level?level=off`)).status).toBe(
      403,
    )
    expect((await curl(`${admin}/ready`)).status).toBe(200)
  })
})

describe('/metrics', () => {
  test('passes promtool check metrics, with traffic, failures and ejections in it', async () => {
    const scrape = await curl(`${admin}/metrics`)
    expect(scrape.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/)
    const { code, out, err } = await run('/bin/sh', [
      '-c',
      `${await obtain('promtool')} check metrics < ${scrape.file}`,
    ])
    expect({ code, said: out + err }).toEqual({ code: 0, said: '' })
    const metrics = await proxy.metrics()
    for (const flags of ['NR', 'UH', 'UF', 'DC', '-'])
      expect(metrics.value('http_requests_total', { flags })).toBeGreaterThan(0)
    expect(metrics.value('http_requests_total', { method: 'other' })).toBe(1)
    expect(metrics.value('outrigger_upstream_connect_failures_total')).toBeGreaterThan(0)
    expect(metrics.value('http_response_time_seconds_count')).toBe(metrics.value('http_requests_total'))
  })

  test('never has a raw path, however many are asked for', async () => {
    const before = (await proxy.metrics()).lines
    for (let i = 0; i < 200; i++)
      await get(port, `/item/${i}?q=${i}`, { headers: { host: i % 2 === 0 ? 'orders' : `h${i}` } })
    const after = await proxy.metrics()
    expect(after.text).not.toContain('/item')
    expect(after.lines - before).toBeLessThan(10)
  })

  test('of more than 10,000 series is whole, valid and no reason for a failure under load', async () => {
    const backends = await startBackends(2)
    const own = await freePort()
    const names = Array.from({ length: 60 }, (_, i) => `service-${i}`)
    // Loopback addresses: the same two backends under many names, and others that nobody asks for.
    const endpoints = Object.fromEntries(
      names.map((name, i) => [name, Array.from({ length: 6 }, (_, k) => `127.0.${i}.${k + 1}:${backends[0]!.port}`)]),
    )
    await using large = await startProxy({
      accessLog: 'off',
      outbound: [{ listen: `127.0.0.1:${own}` }],
      discovery: { endpoints: { ...endpoints, orders: backends.map(({ address }) => address) } },
    })
    const measure = async (meanwhile: () => Promise<void>): Promise<LoadResult> => {
      const load = startLoad({ port: own, path: '/', rate: 500, headers: { host: 'orders' } })
      await until('good answers', () => load.good() > 500)
      await meanwhile()
      await until('good answers', () => load.good() > 1000)
      return load.stop()
    }
    const quiet = await measure(async () => {})
    let tookMs = 0
    const scraped = await measure(async () => {
      for (let i = 0; i < 5; i++) {
        const began = performance.now()
        expect((await large.admin('/metrics')).status).toBe(200)
        tookMs += (performance.now() - began) / 5
        await sleep(300)
      }
    })
    expect([...quiet.failures, ...scraped.failures]).toEqual([])
    const metrics = await large.metrics()
    expect(metrics.lines).toBeGreaterThan(10_000)
    expect(metrics.value('http_requests_total')).toBe(quiet.good + scraped.good)
    const file = join(temporaryFolder(), 'scrape')
    writeFileSync(file, metrics.text)
    expect(await run('/bin/sh', ['-c', `${await obtain('promtool')} check metrics < ${file}`])).toMatchObject({
      code: 0,
      out: '',
      err: '',
    })
    const figures = ({ latencies }: LoadResult) =>
      `p50 ${percentile(latencies, 0.5).toFixed(2)} ms, p99 ${percentile(latencies, 0.99).toFixed(2)} ms`
    console.log(
      `${metrics.lines} series: ${figures(quiet)}; while scraped (${tookMs.toFixed(0)} ms each): ${figures(scraped)}`,
    )
    await Promise.all(backends.map(each => each.stop()))
  })
})
