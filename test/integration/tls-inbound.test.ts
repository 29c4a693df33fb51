import { createHash } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { type AddressInfo, connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Issued, issue } from '../support/certificates.ts'
import { certificateFiles } from './support/certificate-files.ts'
import { curl } from './support/curl.ts'
import { startLoad } from './support/load.ts'
import { freePort } from './support/ports.ts'
import { type RunningProxy, startProxy } from './support/proxy.ts'
import { rawClient } from './support/raw.ts'
import { until } from './support/until.ts'

// Callers speak TLS to the running program: those of others, and another sidecar.

const HOUR = 3_600_000
/** RFC 6455 section 1.3. */
const WEBSOCKET = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const { folder, file, pair } = certificateFiles()
const authority = issue('Test CA', null)
const server = issue('orders', authority, { names: ['127.0.0.1', 'spiffe://test/orders'] })
const client = issue('web', authority, { names: ['spiffe://test/web'], usage: 'client' })

const ca = file('ca.pem', authority.cert)
const own = pair('orders', server)
const web = pair('web', client)

let application: Server
let forward: string
/** Of the last request. */
let seen: IncomingHttpHeaders = {}

beforeAll(async () => {
  application = createServer((request, response) => {
    seen = request.headers
    request.resume().on('end', () => response.end(`hello over ${request.httpVersion}`))
  })
  application.on('upgrade', (request, socket) => {
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${WEBSOCKET}`).digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\nhello`,
    )
    socket.on('data', data => socket.write(data)).on('error', () => {})
  })
  await new Promise<void>(resolve => application.listen(0, '127.0.0.1', resolve))
  forward = `127.0.0.1:${(application.address() as AddressInfo).port}`
})
afterAll(() => {
  application.closeAllConnections()
  application.close()
})

interface Started extends AsyncDisposable {
  readonly proxy: RunningProxy
  readonly port: number
}

async function start(tls: object, more: object = {}, listener: object = {}): Promise<Started> {
  const port = await freePort()
  const inbound = [{ listen: `127.0.0.1:${port}`, forward, tls: { ...own, ...tls }, ...listener }]
  const proxy = await startProxy({ service: 'orders', inbound, accessLog: 'on', ...more })
  return { proxy, port, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() }
}

const https = ({ port }: Started, ...more: string[]) => curl('--cacert', ca, ...more, `https://127.0.0.1:${port}/`)

/** What became of each connection, by the metric. */
async function results({ proxy }: Started): Promise<Record<string, number>> {
  const { body } = await proxy.admin('/metrics')
  const lines = [...body.matchAll(/^outrigger_downstream_tls_total\{.*result="(\w+)".*\} (\d+)/gm)]
  return Object.fromEntries(lines.map(([, result, count]) => [result, Number(count)]))
}

describe('a listener with TLS', () => {
  test.each(['--http1.1', '--http2'])('serves curl %s, and tells the application', async version => {
    await using all = await start({})
    const { status, body, log } = await https(all, version, '-v')
    expect([status, body()]).toEqual([200, 'hello over 1.1'])
    expect(log).toContain(version === '--http2' ? 'server accepted h2' : 'server accepted http/1.1')
    expect(seen['x-forwarded-proto']).toBe('https')
  })

  test('refuses plain callers where it is strict, and says so', async () => {
    await using all = await start({})
    expect((await curl(`http://127.0.0.1:${all.port}/`)).status).toBe(0)
    expect((await https(all)).status).toBe(200)
    expect(await results(all)).toEqual({ refused: 1, tls: 1 })
    expect((await all.proxy.flights()).map(({ failure }) => failure)).toContain('tls-required')
  })

  test('serves them as well where it is permissive, and counts them', async () => {
    await using all = await start({ mode: 'permissive' })
    expect((await curl('-H', 'x-forwarded-client-cert: Hash=00', `http://127.0.0.1:${all.port}/`)).status).toBe(200)
    expect([seen['x-forwarded-proto'], seen['x-forwarded-client-cert']]).toEqual(['http', undefined])
    expect((await https(all)).status).toBe(200)
    expect(await results(all)).toEqual({ plain: 1, tls: 1 })
  })

  test('carries anything where the application speaks TCP', async () => {
    await using all = await start({}, {}, { application: { protocol: 'tcp' } })
    expect((await https(all, '--http1.1')).body()).toBe('hello over 1.1')
  })

  test.each([1, 2])('resumes sessions, also with another of %d data threads', async workers => {
    await using all = await start({ clientCa: ca }, { workers })
    let session: Buffer | undefined
    const resumed: boolean[] = []
    for (let i = 0; i < 8; i++) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const socket: TLSSocket = connect({
        port: all.port,
        host: '127.0.0.1',
        ca: authority.cert,
        cert: client.cert,
        key: client.key,
        ...(session === undefined ? {} : { session }),
      })
      socket.on('session', next => {
        session = next
      })
      socket.on('error', reject)
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      socket.resume().on('end', resolve)
      await promise
      resumed.push(socket.isSessionReused())
      expect(seen['x-forwarded-client-cert']).toContain('URI=spiffe://test/web')
    }
    expect(resumed).toEqual([false, ...Array.from({ length: 7 }, () => true)])
  })
})

describe('callers with a certificate', () => {
  test('are named to the application, whatever they say of themselves', async () => {
    await using all = await start({ clientCa: ca })
    const { status } = await https(all, '--cert', web.cert, '--key', web.key, '-H', 'X-Forwarded-Client-Cert: Hash=00')
    expect(status).toBe(200)
    expect(seen['x-forwarded-client-cert']).toMatch(/^Hash=[0-9a-f]{64};Subject="CN=web";URI=spiffe:\/\/test\/web$/)
  })

  const names = { names: ['spiffe://test/web'], usage: 'client' as const }
  const other = issue('Other CA', null)
  const wrong: readonly (readonly [string, Issued | null, RegExp])[] = [
    ['none', null, /showed no certificate/],
    ['one of another authority', issue('web', other, names), /UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER/],
    ['one that signed itself', issue('web', null, names), /SELF_SIGNED_CERT/],
    ['one that has expired', issue('web', authority, { ...names, from: -2 * HOUR, until: -HOUR }), /CERT_HAS_EXPIRED/],
    ['one that is not valid yet', issue('web', authority, { ...names, from: HOUR, until: 2 * HOUR }), /NOT_YET_VALID/],
    ['one of servers only', issue('web', authority, { ...names, usage: 'server' }), /INVALID_PURPOSE/],
  ]

  test('are refused with any other, with the reason, and nothing reaches the application', async () => {
    await using all = await start({ clientCa: ca })
    seen = {}
    const told = 'DPE tls-handshake-failed'
    for (const [name, shown, reason] of wrong) {
      const given = shown === null ? [] : ['--cert', pair('wrong', shown).cert, '--key', join(folder, 'wrong.key')]
      const answer = await https(all, ...given)
      expect(answer.exit, name).not.toBe(0)
      expect(answer.status, name).toBe(0)
      await until(`why ${name} was refused`, async () => {
        const flights = await all.proxy.flights()
        return flights.some(({ flag, failure, detail }) => `${flag} ${failure}` === told && reason.test(detail))
      })
    }
    expect(seen).toEqual({})
    expect(await results(all)).toEqual({ failed: wrong.length })
  })
})

describe('two sidecars', () => {
  const settings = { ca, serverName: 'spiffe://test/orders', ...web }

  async function both(tls: object = settings, policy: object = {}) {
    const far = await start({ clientCa: ca })
    const port = await freePort()
    const near = await startProxy({
      service: 'web',
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
      discovery: { endpoints: { orders: [`127.0.0.1:${far.port}`] } },
      services: { orders: { tls, ...policy } },
    })
    return {
      far,
      near,
      port,
      url: `http://127.0.0.1:${port}/`,
      async [Symbol.asyncDispose]() {
        await near[Symbol.asyncDispose]()
        await far[Symbol.asyncDispose]()
      },
    }
  }

  test('know each other by SPIFFE ID, and speak HTTP/2', async () => {
    await using all = await both()
    expect((await curl(all.url)).body()).toBe('hello over 1.1')
    expect(seen['x-forwarded-client-cert']).toContain('URI=spiffe://test/web')
    expect((await all.near.endpoints('orders'))[0]!.protocol).toBe('HTTP/2 over TLS')
  })

  test('an endpoint with another SPIFFE ID gets nothing', async () => {
    await using all = await both({ ...settings, serverName: 'spiffe://test/stock' })
    seen = {}
    expect((await curl(all.url)).status).toBe(503)
    const [flight] = await all.near.flights()
    expect(flight).toMatchObject({ failure: 'tls-failed' })
    expect(flight!.detail).toContain('the certificate has spiffe://test/orders, and not spiffe://test/stock')
    expect(seen).toEqual({})
  })

  test('a WebSocket goes through both', async () => {
    await using all = await both()
    using caller = await rawClient(all.port)
    caller.send(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    )
    await caller.sees('hello')
    caller.send('and back')
    await caller.sees('and back')
  })

  test('certificates and the authority are replaced on both sides under load, and no request fails', async () => {
    await using all = await both({ ...settings, ...pair('web', client) })
    const load = startLoad({ port: all.port, path: '/', rate: 200 })
    await until('good answers', () => load.good() > 50)
    const next = issue('Next CA', null)
    const uris = new Set<string>()
    const more = async () => {
      const before = load.good()
      await until('more good answers', () => load.good() > before + 100)
      uris.add(/Hash=(\w{8})/.exec(String(seen['x-forwarded-client-cert']))![1]!)
    }
    await more()
    // First both trust the new authority, then each shows a certificate of it, then the old one goes.
    file('ca.pem', authority.cert + next.cert)
    await more()
    pair('orders', issue('orders', next, { names: ['127.0.0.1', 'spiffe://test/orders'] }))
    await more()
    pair('web', issue('web', next, { names: ['spiffe://test/web'], usage: 'client' }))
    await until('the new certificate of the caller', async () => {
      await more()
      return uris.size === 2
    })
    file('ca.pem', next.cert)
    await more()
    const { failures } = await load.stop()
    expect(failures).toEqual(new Map())
    file('ca.pem', authority.cert)
    pair('orders', server)
    pair('web', client)
  })
})

describe('bad neighbours', () => {
  const hello = async (port: number, options: ConnectionOptions = {}): Promise<Buffer> => {
    // The first flight of a client, as bytes.
    const { promise, resolve } = Promise.withResolvers<Buffer>()
    const sink = (await import('node:net')).createServer(socket => {
      socket.on('error', () => {})
      socket.once('data', data => {
        resolve(data as Buffer)
        socket.destroy()
      })
    })
    await new Promise<void>(ready => sink.listen(0, '127.0.0.1', ready))
    connect({ port: (sink.address() as AddressInfo).port, host: '127.0.0.1', ...options }).on('error', () => {})
    const bytes = await promise
    sink.close()
    expect(port).toBeGreaterThan(0)
    return bytes
  }

  test('a ClientHello that comes byte by byte is served as any other', async () => {
    await using all = await start({})
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const slow = connectTcp(all.port, '127.0.0.1').setNoDelay(true)
    const { Duplex } = await import('node:stream')
    const drip = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        for (const byte of chunk) slow.write(Buffer.of(byte))
        done()
      },
    })
    slow.on('data', data => drip.push(data))
    const socket = connect({ socket: drip, ca: authority.cert, servername: '', checkServerIdentity: () => undefined })
    socket.on('error', reject)
    socket.on('secureConnect', () => resolve(socket.getProtocol()!))
    expect(await promise).toBe('TLSv1.3')
    slow.destroy()
  })

  test('handshakes that are never finished, and garbage, hold up nobody and leave nothing behind', async () => {
    await using all = await start({}, {}, { timeouts: { head: '1s' } })
    const first = await hello(all.port)
    const bad = [
      first.subarray(0, 1),
      first.subarray(0, 5),
      first.subarray(0, first.length - 1),
      first,
      Buffer.concat([Buffer.of(0x16, 3, 1, 0xff, 0xff), Buffer.alloc(70_000)]),
      Buffer.concat(Array.from({ length: 50 }, () => Buffer.of(0x16, 3, 3, 0, 0))),
      Buffer.concat([first, Buffer.of(0x15, 3, 3, 0, 2, 2, 40)]),
    ]
    const sockets = Array.from({ length: 700 }, (_, i) => {
      const socket = connectTcp(all.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(bad[i % bad.length]!)
      if (i % 3 === 0) socket.end()
      return socket.resume()
    })
    const took = performance.now()
    const answer = await https(all)
    expect(answer.body()).toBe('hello over 1.1')
    expect(performance.now() - took).toBeLessThan(5_000)
    await until('all of them are over', async () => {
      const metrics = await all.proxy.metrics()
      return metrics.value('outrigger_downstream_connections_active') === 0
    })
    for (const socket of sockets) socket.destroy()
    expect((await https(all)).status).toBe(200)
  })
})
