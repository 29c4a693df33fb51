import { spawn } from 'node:child_process'
import { createHash, type Hash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { obtain } from '../peers/obtain.ts'
import { type Child, run, startChild, temporaryFolder } from './support/child.ts'
import { curl } from './support/curl.ts'
import { freePort } from './support/ports.ts'
import { type RunningProxy, startProxy } from './support/proxy.ts'
import { until, within } from './support/until.ts'

// TCP through the program that users run, with other people's programs at both ends. One proxy for all of it.

const servers: Server[] = []
const children: Child[] = []
let proxy: RunningProxy
let folder: string
let cli: string
const ports = { redis: 0, echo: 0, greeter: 0, app: 0, detect: 0, shared: 0 }
let redis: { readonly port: number; readonly child: Child }[]

async function serve(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    socket.on('error', () => {})
    onSocket(socket)
  })
  servers.push(server)
  const port = await freePort()
  await new Promise<void>(done => server.listen(port, '127.0.0.1', done))
  return port
}

/** A certificate for one name, made by openssl; and a server that says which it is. */
async function serveTls(name: string): Promise<number> {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
  const made = await run(await obtain('openssl'), [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, '-keyout', key, '-out', cert],
  ])
  expect(made.code, made.err).toBe(0)
  const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, socket => {
    socket.on('error', () => {})
    socket.once('data', () =>
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\nConnection: close\r\n\r\n${name}`),
    )
  })
  servers.push(server)
  const port = await freePort()
  await new Promise<void>(done => server.listen(port, '127.0.0.1', done))
  return port
}

beforeAll(async () => {
  folder = temporaryFolder()
  const program = await obtain('redis-server')
  cli = await obtain('redis-cli')
  redis = await Promise.all(
    [0, 1].map(async () => {
      const port = await freePort()
      const child = startChild(program, [
        '--port',
        `${port}`,
        '--save',
        '',
        '--appendonly',
        'no',
        '--bind',
        '127.0.0.1',
        '--dir',
        temporaryFolder(),
      ])
      children.push(child)
      await child.said('that it is ready', out => out.includes('Ready to accept connections'))
      return { port, child }
    }),
  )
  const echo = await serve(socket => void socket.pipe(socket))
  const greeter = await serve(socket => {
    socket.write('220 ready\r\n')
    socket.once('data', () => socket.end('221 bye\r\n'))
  })
  const [one, two] = [await serveTls('one.example.com'), await serveTls('two.example.com')]
  for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort()
  const at = (port: number) => `127.0.0.1:${port}`
  proxy = await startProxy({
    inbound: [{ listen: at(ports.app), forward: at(echo), application: { protocol: 'tcp' } }],
    outbound: [
      { listen: at(ports.redis), service: 'cache' },
      { listen: at(ports.echo), service: 'echo' },
      { listen: at(ports.greeter), service: 'greeter' },
      { listen: at(ports.detect), service: 'one', protocol: 'detect', timeouts: { detect: '300ms' } },
      { listen: at(ports.shared), protocol: 'detect', timeouts: { detect: '1s' } },
    ],
    discovery: {
      endpoints: {
        cache: redis.map(({ port }) => at(port)),
        echo: [at(ports.app)],
        greeter: [at(greeter)],
        one: [at(one)],
        two: [at(two)],
      },
    },
    services: {
      cache: { protocol: 'tcp', outliers: { consecutiveGatewayFailures: 1 } },
      echo: { protocol: 'tcp' },
      greeter: { protocol: 'tcp' },
      one: { hosts: ['one.example.com'] },
      two: { hosts: ['two.example.com'] },
    },
    accessLog: {
      mode: 'on',
      template: '%PROTOCOL% %UPSTREAM_CLUSTER% %REQUESTED_SERVER_NAME% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT%',
    },
  })
}, 300_000)

afterAll(async () => {
  await proxy?.stop()
  for (const server of servers) server.close()
  await Promise.all(children.map(child => child.stop()))
})

describe('Redis through a tunnel', () => {
  const ask = (...args: string[]) => run(cli, ['-h', '127.0.0.1', '-p', `${ports.redis}`, ...args])

  test('commands, a pipeline, and a value of 8 MiB', async () => {
    expect((await ask('ping')).out.trim()).toBe('PONG')
    // All on one connection, so on one of the two.
    const piped = spawn(cli, ['-p', `${ports.redis}`, '--pipe'], { stdio: ['pipe', 'pipe', 'inherit'] })
    let out = ''
    piped.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    const value = 'x'.repeat(8 * 1024 * 1024)
    for (let i = 0; i < 2000; i++)
      piped.stdin.write(`*3\r\n$3\r\nSET\r\n$${`key${i}`.length}\r\nkey${i}\r\n$1\r\n1\r\n`)
    piped.stdin.end(`*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$${value.length}\r\n${value}\r\n`)
    await once(piped, 'close')
    expect(out).toContain('errors: 0, replies: 2001')
    const lengths = await Promise.all(redis.map(({ port }) => run(cli, ['-p', `${port}`, 'strlen', 'big'])))
    expect(lengths.map(({ out: text }) => text.trim()).sort()).toEqual(['0', `${value.length}`])
  })

  test('one of two is killed: callers go to the other at once, and it is ejected', async () => {
    await redis[0]!.child.stop()
    for (let i = 0; i < 12; i++) expect((await ask('ping')).out.trim()).toBe('PONG')
    const [gone, kept] = await proxy.endpoints('cache')
    expect([gone!.state, kept!.state]).toEqual(['ejected', 'admitting'])
    const flights = (await proxy.flights()).filter(({ service }) => service === 'cache')
    expect(
      flights.some(
        ({ attempts, flag }) => attempts.length === 2 && attempts[0]!.failure === 'connect-refused' && flag === '-',
      ),
    ).toBe(true)
  })
})

/** Sends so many bytes and ends; resolves with the digests of what was sent and what came back. */
function pour(
  port: number,
  bytes: number,
): Promise<{ readonly sent: string; readonly received: string; readonly count: number }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    const [sent, received]: [Hash, Hash] = [createHash('sha1'), createHash('sha1')]
    const block = Buffer.allocUnsafe(1_000_003)
    for (let i = 0; i < block.length; i++) block[i] = (i * 31 + (i >> 7)) & 255
    let left = bytes
    let count = 0
    const go = () => {
      while (left > 0) {
        const chunk = block.subarray(0, Math.min(left, block.length))
        left -= chunk.length
        sent.update(chunk)
        if (!socket.write(chunk)) return void socket.once('drain', go)
      }
      socket.end()
    }
    socket.on('connect', go)
    socket.on('data', (chunk: Buffer) => {
      received.update(chunk)
      count += chunk.length
    })
    socket.on('end', () => {
      socket.destroy()
      resolve({ sent: sent.digest('hex'), received: received.digest('hex'), count })
    })
    socket.on('error', reject)
  })
}

describe('bytes', () => {
  test('128 MiB there and back through two hops of it, half-closed behind the last byte', async () => {
    const bytes = 128 * 1024 * 1024
    const { sent, received, count } = await within('all bytes are back', pour(ports.echo, bytes))
    expect([count, received]).toEqual([bytes, sent])
    await until(
      'both tunnels are in the log',
      () => proxy.out().match(new RegExp(`TCP (echo|local_app:\\d+) - - ${bytes} ${bytes}`, 'g'))?.length === 2,
    )
    const metrics = await proxy.metrics()
    expect(metrics.value('outrigger_upstream_tcp_sent_bytes_total', { service: 'echo' })).toBe(bytes)
    expect(metrics.value('outrigger_tcp_connections_active', { service: 'echo' })).toBe(0)
    // Nothing of it was held.
    expect(await proxy.rss()).toBeLessThan(250)
  })

  test('a hundred at a time', async () => {
    const all = await within(
      'all bytes are back',
      Promise.all(Array.from({ length: 100 }, (_, i) => pour(ports.app, 50_000 + i * 3001))),
    )
    for (const { sent, received } of all) expect(received).toBe(sent)
  })

  test('a server that speaks first', async () => {
    const socket = connect(ports.greeter, '127.0.0.1').setEncoding('latin1')
    let text = ''
    socket.on('data', (more: string) => {
      text += more
    })
    await until('the greeting', () => text === '220 ready\r\n')
    socket.write('QUIT\r\n')
    await within('the end', once(socket, 'close'))
    expect(text).toBe('220 ready\r\n221 bye\r\n')
  })
})

describe('TLS by its server name', () => {
  const https = (name: string) =>
    curl('-k', '--resolve', `${name}:${ports.shared}:127.0.0.1`, `https://${name}:${ports.shared}/`)

  test('two services behind one port, and their own certificates at the other end', async () => {
    for (const name of ['one.example.com', 'two.example.com']) {
      const cert = join(folder, `${name}.crt`)
      const answer = await curl(
        '--cacert',
        cert,
        '--resolve',
        `${name}:${ports.shared}:127.0.0.1`,
        `https://${name}:${ports.shared}/`,
      )
      expect([answer.exit, answer.status, answer.body()]).toEqual([0, 200, name])
    }
    await until('the log', () => proxy.out().includes('TCP two two.example.com '))
  })

  test('a name nobody knows: the caller is told which it was', async () => {
    const { exit, log } = await https('three.example.com')
    expect(exit).toBe(35)
    expect(log).toMatch(/unrecognized.name/)
    await until('the log', () => proxy.out().includes('TCP - three.example.com NR 0 0'))
  })

  test('plain HTTP on the same port, and TLS on a port for HTTP', async () => {
    const { status } = await curl('-H', 'Host: nobody', `http://127.0.0.1:${ports.shared}/`)
    expect(status).toBe(404)
    const one = await curl(
      '-k',
      '--resolve',
      `one.example.com:${ports.detect}:127.0.0.1`,
      `https://one.example.com:${ports.detect}/`,
    )
    expect([one.status, one.body()]).toEqual([200, 'one.example.com'])
  })
})

test('a thousand callers that say one byte of a ClientHello and stop: others are served, and they are gone in time', async () => {
  const stuck = Array.from({ length: 1000 }, () => {
    const socket = connect(ports.shared, '127.0.0.1', () => socket.write(Buffer.from([0x16])))
    return socket.on('error', () => {}).resume()
  })
  const closed = Promise.all(stuck.map(socket => new Promise(done => socket.once('close', done))))
  const { status } = await curl('-H', 'Host: nobody', `http://127.0.0.1:${ports.shared}/`)
  expect(status).toBe(404)
  await within('they are closed', closed)
  const metrics = await proxy.metrics()
  expect(metrics.value('outrigger_detection_timeouts_total')).toBe(1000)
  expect(await proxy.rss()).toBeLessThan(250)
})

// Last: the proxy does not come back.
test('a drain lets a tunnel run until its time is over, and ends it then', async () => {
  const socket = connect({ host: '127.0.0.1', port: ports.app, allowHalfOpen: true }).setEncoding('latin1')
  let text = ''
  socket.on('data', (more: string) => {
    text += more
  })
  socket.write('before')
  await until('an echo', () => text === 'before')
  proxy.signal('SIGTERM')
  await until('the port is closed', () => refuses(ports.app))
  socket.write(' and during')
  await until('an echo', () => text === 'before and during')
  await within('the end', once(socket, 'end'))
  socket.destroy()
  expect((await proxy.ended).code).toBe(0)
})

function refuses(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(false)
    })
    socket.on('error', () => resolve(true))
  })
}
