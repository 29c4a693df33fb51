import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Backend, startBackend } from './support/backend.ts'
import { node, run, temporaryFolder } from './support/child.ts'
import { freePort } from './support/ports.ts'
import { get, outrigger, type RunningProxy, startProxy } from './support/proxy.ts'
import { rawClient } from './support/raw.ts'
import { until } from './support/until.ts'

// Text that steers terminals, forges lines or carries markup, put into every input there is; then every output is
// looked at.

const ESC = '\x1b[31m'
const EVIL = `${ESC}\x07evil\n9.9.9.9:1  FORGED\r\u009b2J\u202e\u2066\u2028<script>alert(1)</script>"'`
/** What no output may have raw: controls but its own line ends, bidi and what is not seen, and our markup. */
const RAW = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/
/** Names that every plain object seems to have. */
const NAMES = ['constructor', 'valueof', 'tostring', 'hasownproperty']

function expectClean(text: string, where: string): void {
  expect(RAW.exec(text)?.[0].charCodeAt(0).toString(16), where).toBeUndefined()
  expect(text, where).not.toMatch(/^\s*9\.9\.9\.9:1/m)
}

/** A registry that says whatever it likes. */
async function hostileRegistry(backend: Backend): Promise<{ readonly address: string; close(): void }> {
  const instance = {
    Node: { Node: EVIL, Address: '127.0.0.1', Meta: { zone: EVIL } },
    Service: {
      ID: EVIL,
      Service: 'x',
      Address: '127.0.0.1',
      Port: backend.port,
      Tags: [EVIL, '__proto__'],
      Meta: { [EVIL]: EVIL, zone: EVIL, constructor: 'x' },
      Weights: { Passing: 1e15, Warning: 1e15 },
    },
    Checks: [{ CheckID: EVIL, Name: EVIL, Status: 'warning', Output: EVIL }],
  }
  const odd = { ...instance, Service: { ...instance.Service, Address: `evil${EVIL}.example`, ID: 'odd' } }
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const isHealth = request.url!.startsWith('/v1/health/service/')
    if (isHealth && request.url!.includes('broken')) {
      response.writeHead(500)
      return void response.end(`rpc error: ${EVIL}`)
    }
    if (isHealth && request.url!.includes('index=')) return // A blocking query: nothing changes.
    response.writeHead(isHealth ? 200 : 404, { 'x-consul-index': '7', 'content-type': 'application/json' })
    response.end(isHealth ? JSON.stringify([instance, odd]) : EVIL)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => void server.closeAllConnections(),
  }
}

let backend: Backend
let proxy: RunningProxy
let port: number
let accessLog: string
let endpointFile: string

beforeAll(async () => {
  backend = await startBackend()
  const registry = await hostileRegistry(backend)
  const folder = join(temporaryFolder(), `f${ESC}\n9.9.9.9:1`)
  mkdirSync(folder)
  accessLog = join(folder, 'access.log')
  endpointFile = join(folder, 'endpoints.json')
  writeFileSync(endpointFile, JSON.stringify([{ address: backend.address, meta: { [EVIL]: EVIL, toString: EVIL } }]))
  port = await freePort()
  const endpoints = Object.fromEntries(
    NAMES.map(name => [name, [{ address: backend.address, meta: { version: EVIL, [EVIL]: 'x' } }]]),
  )
  proxy = await startProxy({
    service: 'constructor',
    accessLog: {
      mode: 'on',
      path: accessLog,
      template:
        '%REQ(:METHOD)% %REQ(:PATH)% %REQ(USER-AGENT)% %REQ(X-EVIL)% %UPSTREAM_HOST% %UPSTREAM_CLUSTER% %ROUTE_NAME%',
    },
    outbound: [{ listen: `127.0.0.1:${port}` }],
    discovery: {
      endpoints,
      files: { listed: endpointFile, missing: join(folder, 'missing.json') },
      consul: { address: registry.address, onDemand: true, services: { fromconsul: {}, broken: {} } },
    },
    services: {
      constructor: {
        subsets: { toString: { version: EVIL }, constructor: { [EVIL]: 'x' }, hasOwnProperty: { version: 'none' } },
        hosts: ['valueof.example.com'],
        routes: [
          {
            match: { path: '/subset', headers: { 'x-evil': EVIL }, query: { constructor: EVIL } },
            to: [{ subset: 'toString' }],
          },
          { match: { path: '/status/201' }, to: [{ subset: 'toString' }] },
          { match: { path: '/nowhere' }, to: [{ subset: 'hasOwnProperty' }] },
          { name: '\u202e\u009bevil', match: { path: '/named' } },
          {},
        ],
      },
    },
  })
  return async () => {
    registry.close()
    await proxy.stop()
    await backend.stop()
  }
})

describe('names that every object seems to have', () => {
  test('are services like others: found, routed, split into subsets, counted', async () => {
    for (const name of NAMES) expect((await get(port, '/', { headers: { host: name } })).status, name).toBe(200)
    const asked = (path: string) => get(port, path, { headers: { host: 'constructor' } })
    expect((await asked('/status/201')).status).toBe(201)
    expect((await asked('/nowhere')).status).toBe(503)
    expect((await proxy.endpoints('constructor')).length).toBe(1)
    const metrics = await proxy.metrics()
    expect(metrics.value('outrigger_upstream_requests_total', { service: 'constructor' })).toBeGreaterThan(1)
  })

  test('and nothing at all where nobody gave them', async () => {
    expect((await get(port, '/', { headers: { host: '__proto__' } })).status).toBe(404)
    for (const query of ['only=constructor', 'sort=toString', '__proto__=1', 'constructor=1'])
      expect((await proxy.admin(`/endpoints?${query}`)).status, query).toBe(400)
    expect(JSON.parse((await proxy.admin('/endpoints?service=__proto__')).body)).toEqual({ services: [] })
    expect((await proxy.admin('/endpoints', { headers: { accept: 'constructor' } })).headers['content-type']).toBe(
      'application/json',
    )
    expect((await proxy.admin('/constructor')).status).toBe(404)
  })
})

describe('text that steers terminals', () => {
  beforeAll(async () => {
    await until('the registry to be heard', async () => (await proxy.endpoints('fromconsul')).length > 0)
    const latin = `\x80\x9b2J\xa0evil`
    for (const path of ['/%1b%5B31m', '/subset?constructor=x', '/named'])
      await get(port, path, {
        headers: { host: 'constructor', 'user-agent': latin, 'x-evil': latin, 'x-request-id': latin },
      })
    await get(port, '/', { headers: { host: 'nobody.example.com' } })
    using client = await rawClient(port)
    client.send(`GET /\x1b[31m HTTP/1.1\r\nHost: constructor\r\nX: \x1b\r\n\r\n`)
    expectClean((await client.sees('HTTP/1.1 400')).replaceAll('\r\n', '\n'), 'the answer to a malformed request')
  })

  const pages = [
    '/',
    '/flights',
    '/flights?failed',
    '/endpoints',
    '/config',
    '/ready',
    '/ready?verbose',
    '/live',
    '/log-level',
    '/metrics',
    '/explain?url=http://constructor/subset',
  ]
  const evil = encodeURIComponent(EVIL)
  const wrong = [
    `/${evil}`,
    `/endpoints?service=${evil}`,
    `/endpoints?zone=${evil}`,
    `/endpoints?only=${evil}`,
    `/endpoints?sort=${evil}`,
    `/endpoints?limit=${evil}`,
    `/endpoints?${evil}=1`,
    `/flights?limit=${evil}`,
    `/flights?service=${evil}`,
    `/explain?url=${evil}`,
    `/explain?url=http://x/${evil}`,
    `/explain?url=http://constructor/&method=${evil}`,
    `/explain?url=http://constructor/&header=${evil}`,
    `/explain?url=http://constructor/&header=a:${evil}`,
    `/explain?url=/&listener=${evil}`,
  ]
  test.each([...pages, ...wrong])('%s shows none of it raw, as text, JSON or HTML', async path => {
    for (const format of ['text', 'json', 'html']) {
      const { body } = await proxy.admin(`${path}${path.includes('?') ? '&' : '?'}format=${format}`)
      expectClean(body, format)
      if (format === 'html' && body.startsWith('<!doctype html>')) expect(body).not.toContain('<script>alert')
    }
  })

  test('nor does a page that changes something', async () => {
    expectClean((await proxy.admin(`/log-level?level=${evil}`, { method: 'POST' })).body, 'log-level')
  })

  test('what it is can be read all the same', async () => {
    const text = (await proxy.admin('/endpoints?service=fromconsul&format=text')).body
    expect(text).toContain('\\x1B[31m\\x07evil\\x0A9.9.9.9:1  FORGED')
    const { services } = JSON.parse((await proxy.admin('/endpoints?service=fromconsul')).body)
    expect(services[0].endpoints.find(({ address }: { address: string }) => address === backend.address)).toMatchObject(
      {
        weight: 1_000_000,
        metadata: { [EVIL]: EVIL, constructor: 'x' },
      },
    )
  })

  test('the access log and both outputs have none of it', async () => {
    await until('the log', () => readFileSync(accessLog, 'latin1').includes('/named'))
    await until('word of the file that cannot be read', () => proxy.err().includes('broken'))
    expectClean(readFileSync(accessLog, 'utf8'), 'the access log')
    expectClean(proxy.out(), 'standard output')
    expectClean(proxy.err(), 'standard error')
  })

  test('nor has what is said of a bad configuration, by the program and by its commands', async () => {
    const file = join(temporaryFolder(), `bad${ESC}\n9.9.9.9:1.yaml`)
    writeFileSync(
      file,
      JSON.stringify({
        outbound: [{ listen: EVIL, [EVIL]: 1 }],
        services: { [EVIL]: {} },
        discovery: { endpoints: { a: [EVIL] } },
        [EVIL]: EVIL,
      }),
    )
    for (const args of [
      ['proxy', '-c', file],
      ['config', 'check', file],
      ['config', 'effective', file],
      ['config', 'schema', EVIL],
      ['proxy', '-c', `${file}${ESC}`],
      ['explain', '-a', `127.0.0.1:1${ESC}`, 'http://x/'],
    ]) {
      const { out, err } = await run(node, [outrigger, ...args])
      expectClean(out + err, args.join(' '))
    }
    const good = join(temporaryFolder(), `good${ESC}.yaml`)
    writeFileSync(
      good,
      JSON.stringify({
        outbound: [{ listen: '127.0.0.1:15001' }],
        discovery: { endpoints: { constructor: [{ address: 'a:1', meta: { [EVIL]: EVIL } }] } },
      }),
    )
    for (const args of [
      ['config', 'check', good],
      ['config', 'effective', good],
      ['config', 'effective', '--json', good],
    ]) {
      const { out, err } = await run(node, [outrigger, ...args])
      expectClean(out + err, args.join(' '))
      expect(out).not.toBe('')
    }
  })

  test('an endpoint file that turns bad is named without it', async () => {
    writeFileSync(endpointFile, JSON.stringify([{ address: EVIL, [EVIL]: EVIL }]))
    await until('that it is told', () => proxy.err().includes('has no port'))
    expectClean(proxy.err(), 'standard error')
    expectClean((await proxy.admin('/ready?verbose')).body, 'ready')
    for (const format of ['text', 'json', 'html'])
      expectClean((await proxy.admin(`/endpoints?format=${format}`)).body, format)
  })
})
