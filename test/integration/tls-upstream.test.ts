import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createSecureServer } from 'node:http2'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer, type Server } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Issued, issue } from '../support/certificates.ts'
import { certificateFiles } from './support/certificate-files.ts'
import { temporaryFolder } from './support/child.ts'
import { curl, sha256Of } from './support/curl.ts'
import { startLoad } from './support/load.ts'
import { type Nginx, startNginx } from './support/nginx.ts'
import { freePort } from './support/ports.ts'
import { outrigger, type RunningProxy, startProxy } from './support/proxy.ts'
import { rawClient } from './support/raw.ts'
import { until } from './support/until.ts'

// The running program in front of servers that speak TLS: callers speak HTTP to the sidecar, endpoints see HTTPS.

const { folder, file, pair } = certificateFiles()
const authority = issue('Test CA', null)
const server = issue('server', authority, { names: ['127.0.0.1', 'orders.internal'] })
const client = issue('web', authority, { names: ['spiffe://test/web'], usage: 'client' })

const ca = file('ca.pem', authority.cert)
const { cert, key } = pair('web', client)

const servers: Server[] = []
async function addressOf(of: Server): Promise<string> {
  servers.push(of)
  await new Promise<void>(resolve => of.listen(0, '127.0.0.1', resolve))
  return `127.0.0.1:${(of.address() as AddressInfo).port}`
}
afterAll(() => {
  for (const each of servers) each.close()
})

const own = { cert: server.cert, key: server.key }
const settings = { ca, serverName: 'orders.internal' }

interface Started extends AsyncDisposable {
  readonly proxy: RunningProxy
  readonly url: string
  readonly port: number
}

async function start(endpoint: string, tls: unknown, more: object = {}): Promise<Started> {
  const port = await freePort()
  const proxy = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
    discovery: { endpoints: { orders: [endpoint] } },
    services: { orders: { tls, ...more } },
  })
  return { proxy, port, url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() }
}

describe('nginx with TLS', () => {
  let nginx: Nginx
  let endpoint: string

  beforeAll(async () => {
    const port = await freePort()
    endpoint = `127.0.0.1:${port}`
    nginx = await startNginx({
      server: () => `
    listen ${endpoint} ssl http2;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate ${file('server.pem', server.cert)};
    ssl_certificate_key ${file('server.key', server.key)};
    ssl_client_certificate ${ca};
    ssl_verify_client optional;
    location = /who { return 200 "$server_protocol $scheme $ssl_protocol $ssl_server_name $ssl_client_verify $ssl_client_s_dn"; }`,
    })
    writeFileSync(join(nginx.www, '16m'), randomBytes(16 * 1024 * 1024))
  })
  afterAll(() => nginx.stop())

  test('HTTP/2 is agreed on, with the name and the certificate of the policy', async () => {
    await using all = await start(endpoint, { ...settings, cert, key })
    const { status, body } = await curl(`${all.url}/who`)
    expect([status, body()]).toEqual([200, 'HTTP/2.0 https TLSv1.3 orders.internal SUCCESS CN=web'])
    expect((await all.proxy.endpoints('orders'))[0]!.protocol).toBe('HTTP/2 over TLS')
  })

  test('`protocol: http` is HTTP/1.1 over TLS', async () => {
    await using all = await start(endpoint, settings, { protocol: 'http' })
    expect((await curl(`${all.url}/who`)).body()).toBe('HTTP/1.1 https TLSv1.3 orders.internal NONE ')
    expect((await all.proxy.endpoints('orders'))[0]!.protocol).toBe('HTTP/1.1 over TLS')
  })

  test.each(['http', 'http2'])('16 MiB come down whole over %s', async protocol => {
    await using all = await start(endpoint, settings, { protocol })
    expect(await (await curl(`${all.url}/16m`)).sha256()).toBe(await sha256Of(join(nginx.www, '16m')))
  })
})

describe('servers of Node', () => {
  test('HTTP/2 gets :scheme https, HTTP/1.1 the Host of the caller; both the body whole', async () => {
    const seen: string[] = []
    const h2 = createSecureServer({ ...own, allowHTTP1: true }, (request, response) => {
      const { headers } = request
      seen.push(`${request.httpVersion} ${headers[':scheme']} ${headers[':authority'] ?? headers.host}`)
      request.pipe(response)
    })
    const endpoint = await addressOf(h2 as unknown as Server)
    const body = randomBytes(300_000).toString('base64')
    const sent = file('body', body)
    for (const protocol of ['detect', 'http']) {
      await using all = await start(endpoint, settings, { protocol })
      const answer = await curl('--data-binary', `@${sent}`, '-H', 'Host: shop.example', `${all.url}/echo`)
      expect([answer.status, answer.body() === body]).toEqual([200, true])
    }
    expect(seen).toEqual(['2.0 https shop.example', '1.1 undefined shop.example'])
  })

  test('a WebSocket goes through', async () => {
    const https = createServer(own)
    https.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello')
      socket.on('data', data => socket.write(data))
      socket.on('error', () => {})
    })
    await using all = await start(await addressOf(https), settings, { protocol: 'http' })
    using caller = await rawClient(all.port)
    caller.send(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    )
    await caller.sees('hello')
    caller.send('and back')
    await caller.sees('and back')
  })

  test('a TCP service speaks TLS to its endpoint, whatever it is', async () => {
    const echo = createTlsServer(own, socket => {
      socket.on('error', () => {})
      socket.pipe(socket)
    })
    await using all = await start(await addressOf(echo), settings, { protocol: 'tcp' })
    using caller = await rawClient(all.port)
    caller.send('anything')
    await caller.sees('anything')
  })
})

describe('what is wrong is told', () => {
  test('a certificate of another authority: 503 UF with the reason, and nothing was sent', async () => {
    let requests = 0
    const https = createServer(
      issue('other', issue('Other CA', null), { names: ['orders.internal'] }),
      () => requests++,
    )
    await using all = await start(await addressOf(https), settings)
    const { status, headers, body } = await curl(`${all.url}/`)
    expect([status, headers['content-type'], requests]).toEqual([503, 'application/problem+json', 0])
    expect(body()).toContain('the TLS handshake with the endpoint failed')
    const [flight] = await all.proxy.flights()
    expect(flight).toMatchObject({ flag: 'UF', failure: 'tls-failed' })
    expect(flight!.detail).toMatch(/UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER|SELF_SIGNED/)
  })

  test('a file that is not there: the program does not start, and says where', async () => {
    const config = file(
      'wrong.yaml',
      JSON.stringify({
        admin: 'off',
        outbound: [{ listen: `127.0.0.1:${await freePort()}`, service: 'orders' }],
        discovery: { endpoints: { orders: ['127.0.0.1:1'] } },
        services: { orders: { tls: { ca: join(folder, 'nowhere.pem') } } },
      }),
    )
    const { startChild, node } = await import('./support/child.ts')
    const child = startChild(node, [outrigger, 'proxy', '-c', config], { XDG_STATE_HOME: temporaryFolder() })
    await until('its end', () => !child.running())
    expect(child.out() + child.err()).toMatch(
      /services\.orders\.tls: .*nowhere\.pem cannot be read: there is no such file/,
    )
  })
})

describe('new certificates', () => {
  test('are taken up under load without a failed request; bad ones are not, and say so once', async () => {
    const subjects = new Set<string>()
    const https = createServer(
      { ...own, ca: authority.cert, requestCert: true, rejectUnauthorized: true },
      (request, response) => {
        subjects.add(
          (request.socket as unknown as { getPeerCertificate(): { subject: { CN: string } } }).getPeerCertificate()
            .subject.CN,
        )
        response.end('ok')
      },
    )
    const rotated = pair('rotated', client)
    await using all = await start(await addressOf(https), { ...settings, ...rotated }, { protocol: 'http' })
    const load = startLoad({ port: all.port, path: '/', rate: 200 })
    await until('good answers', () => load.good() > 50)
    for (const name of ['second', 'third']) {
      const next: Issued = issue(name, authority, { names: [`spiffe://test/${name}`], usage: 'client' })
      file('rotated.pem', next.cert)
      file('rotated.key', next.key)
      await until(`requests with the certificate ${name}`, () => subjects.has(name))
    }
    file('rotated.pem', 'nothing')
    await all.proxy.said('that they stay', (out, err) =>
      /the certificates of services\.orders\.tls stay as they are/.test(out + err),
    )
    const before = load.good()
    await until('more good answers', () => load.good() > before + 50)
    const { failures } = await load.stop()
    expect(failures).toEqual(new Map())
    expect([...subjects]).toEqual(['web', 'second', 'third'])
  })

  test('the key is nowhere but in the memory of the program', async () => {
    await using all = await start('127.0.0.1:1', { ...settings, cert, key })
    const secret = client.key.split('\n')[1]!
    const pages = ['/config', '/endpoints', '/flights', '/metrics', '/explain?url=http://orders/', '/']
    for (const page of pages) expect((await all.proxy.admin(page)).body, page).not.toContain(secret)
    expect(all.proxy.out() + all.proxy.err()).not.toContain(secret)
    const home = process.env.XDG_STATE_HOME ?? folder
    for (const name of readdirSync(home, { recursive: true, encoding: 'utf8' })) {
      if (!/json$/.test(name)) continue
      expect(readFileSync(join(home, name), 'utf8'), name).not.toContain(secret)
    }
  })
})
