import { createServer as createPlainServer, type Server, type Socket } from 'node:net'
import { createServer, type TlsOptions as ServerOptions, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import type { TlsOptions, Wire } from '../../proxy/core/wire.ts'
import { tlsDial } from '../../proxy/system/tls-wire.ts'
import { issue } from '../support/certificates.ts'

const HOUR = 3_600_000
const authority = issue('Test CA', null)
const other = issue('Other CA', null)
const good = issue('server', authority, { names: ['127.0.0.1', 'orders.internal'] })

const options = (over: Partial<TlsOptions> = {}): TlsOptions => ({
  ca: authority.cert,
  cert: null,
  key: null,
  serverName: null,
  minVersion: '1.2',
  alpn: [],
  ...over,
})

const servers: Server[] = []
const sockets: Socket[] = []
const wires: Wire[] = []

afterEach(() => {
  for (const wire of wires.splice(0)) wire.destroy()
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

async function portOf(server: Server): Promise<number> {
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as { port: number }).port
}

function secure(given: ServerOptions, onSocket: (socket: TLSSocket) => void = () => {}): Promise<number> {
  const server = createServer({ cert: good.cert, key: good.key, ...given }, socket => {
    sockets.push(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  server.on('tlsClientError', () => {})
  return portOf(server)
}

/** The wire, or why there is none. */
function dialTo(port: number, given: TlsOptions, dial = tlsDial(given)): Promise<Wire | string> {
  return new Promise(resolve => {
    dial('127.0.0.1', port, {
      connected(wire) {
        wires.push(wire)
        resolve(wire)
      },
      failed: resolve,
    })
  })
}

test('the peer of a connection says what its handshake agreed on', async () => {
  const port = await secure({ ALPNProtocols: ['h2', 'http/1.1'] })
  const wire = (await dialTo(port, options({ alpn: ['h2', 'http/1.1'] }))) as Wire
  expect(wire.peer).toMatchObject({ address: '127.0.0.1', port, tls: 'TLSv1.3', alpn: 'h2' })
  const without = (await dialTo(port, options())) as Wire
  expect(without.peer.alpn).toBeUndefined()
})

test('a session is resumed in the next handshake with the same endpoint', async () => {
  const resumed: boolean[] = []
  const port = await secure({}, socket => {
    resumed.push(socket.isSessionReused())
    socket.write('hello')
  })
  const dial = tlsDial(options())
  for (let i = 0; i < 2; i++) {
    const wire = (await dialTo(port, options(), dial)) as Wire
    await new Promise<void>(resolve => {
      wire.handler = { bytes: () => resolve(), drained() {}, ended() {}, closed() {} }
    })
  }
  expect(resumed).toEqual([false, true])
})

test('the name in the certificate is that of `serverName`, which the endpoint is asked for', async () => {
  const asked: unknown[] = []
  const port = await secure({}, socket => asked.push(socket.servername))
  expect(await dialTo(port, options({ serverName: 'orders.internal' }))).toBeTypeOf('object')
  expect(await dialTo(port, options({ serverName: '127.0.0.1' }))).toBeTypeOf('object')
  await expect.poll(() => asked).toEqual(['orders.internal', false])
})

test('an endpoint that asks for a certificate gets that of the service', async () => {
  const client = issue('web', authority, { names: ['spiffe://test/web'], usage: 'client' })
  const names: string[] = []
  const port = await secure({ requestCert: true, rejectUnauthorized: true, ca: authority.cert }, socket =>
    names.push(String(socket.getPeerCertificate().subjectaltname)),
  )
  expect(await dialTo(port, options({ cert: client.cert, key: client.key, minVersion: '1.3' }))).toBeTypeOf('object')
  await expect.poll(() => names).toEqual(['URI:spiffe://test/web'])
})

describe('no connection comes of', () => {
  const cases: readonly (readonly [string, ServerOptions, Partial<TlsOptions>, RegExp])[] = [
    [
      'a certificate of another authority',
      {},
      { ca: other.cert },
      /UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED|UNABLE_TO_GET_ISSUER/,
    ],
    ['one that signed itself', issue('self', null, { names: ['127.0.0.1'] }), {}, /SELF_SIGNED_CERT/],
    [
      'one that has expired',
      issue('late', authority, { names: ['127.0.0.1'], from: -2 * HOUR, until: -HOUR }),
      {},
      /CERT_HAS_EXPIRED/,
    ],
    [
      'one that is not valid yet',
      issue('early', authority, { names: ['127.0.0.1'], from: HOUR, until: 2 * HOUR }),
      {},
      /CERT_NOT_YET_VALID/,
    ],
    ['one for another name', {}, { serverName: 'stock.internal' }, /ERR_TLS_CERT_ALTNAME_INVALID.*stock\.internal/],
    [
      'one of clients only',
      issue('client', authority, { names: ['127.0.0.1'], usage: 'client' }),
      {},
      /INVALID_PURPOSE/,
    ],
    [
      'an authority that the system does not know',
      {},
      { ca: null },
      /UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED|UNABLE_TO_GET_ISSUER/,
    ],
    ['an older version of TLS than wanted', { maxVersion: 'TLSv1.2' }, { minVersion: '1.3' }, /alert protocol version/],
    ['no protocol in common', { ALPNProtocols: ['h2'] }, { alpn: ['http/1.1'] }, /no application protocol/],
  ]

  test.each(cases)('%s', async (_name, server, client, reason) => {
    const port = await secure(server)
    const found = await dialTo(port, options(client))
    expect(found).toMatch(/^TLS: /)
    expect(found).toMatch(reason)
  })

  test('an endpoint that does not speak TLS', async () => {
    const port = await portOf(
      createPlainServer(socket => {
        sockets.push(socket)
        socket.on('error', () => {})
        socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')
      }),
    )
    expect(await dialTo(port, options())).toBe('TLS: the endpoint does not speak TLS')
  })

  test('an endpoint that closes in the handshake', async () => {
    const port = await portOf(createPlainServer(socket => socket.destroy()))
    expect(await dialTo(port, options())).toBe('TLS: the endpoint closed the connection during the handshake')
  })

  test('nobody at the port', async () => {
    const server = createPlainServer()
    const port = await portOf(server)
    await new Promise(resolve => server.close(resolve))
    expect(await dialTo(port, options())).toBe('ECONNREFUSED')
  })
})

test('a handshake that is given up tells nobody, and its connection is closed', async () => {
  const closed = Promise.withResolvers<void>()
  const began = Promise.withResolvers<void>()
  const port = await portOf(
    createPlainServer(socket => {
      sockets.push(socket)
      socket.on('data', () => began.resolve())
      socket.on('error', () => {})
      socket.on('close', () => closed.resolve())
    }),
  )
  const told: string[] = []
  const cancel = tlsDial(options())('127.0.0.1', port, {
    connected: () => told.push('connected'),
    failed: code => told.push(code),
  })
  await began.promise
  cancel()
  await closed.promise
  expect(told).toEqual([])
})

test('certificates that make no sense are refused at once', () => {
  expect(() => tlsDial(options({ ca: 'nonsense' }))).not.toThrow()
  expect(() => tlsDial(options({ cert: 'nonsense', key: 'nonsense' }))).toThrow()
})
