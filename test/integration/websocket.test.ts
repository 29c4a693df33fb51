import { randomBytes } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import { type ClientHttp2Session, connect } from 'node:http2'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { curl } from './support/curl.ts'
import { startEnvoy } from './support/envoy.ts'
import { startNginx } from './support/nginx.ts'
import { freePort } from './support/ports.ts'
import { get, type RunningProxy, startProxy } from './support/proxy.ts'
import { until, within } from './support/until.ts'
import { type Chat, type ChatServer, chatOver1, chatOver2, startChat, startChat2 } from './support/websockets.ts'

// WebSockets through the program that users run: ws, Node's own WebSocket and node:http2 at its two ends.

let proxy: RunningProxy
const chats: { one: ChatServer; two: ChatServer } = {} as never
const ports = { one: 0, two: 0 }
let session: { one: ClientHttp2Session; two: ClientHttp2Session }

const configOf = (own: typeof ports, more: object = {}) => ({
  outbound: [
    { listen: `127.0.0.1:${own.one}`, service: 'one' },
    { listen: `127.0.0.1:${own.two}`, service: 'two' },
  ],
  discovery: { endpoints: { one: [chats.one.address], two: [chats.two.address] } },
  services: { two: { protocol: 'http2' } },
  ...more,
})

beforeAll(async () => {
  chats.one = await startChat()
  chats.two = await startChat2()
  ports.one = await freePort()
  ports.two = await freePort()
  proxy = await startProxy(configOf(ports, { accessLog: 'on' }))
  session = { one: connect(`http://127.0.0.1:${ports.one}`), two: connect(`http://127.0.0.1:${ports.two}`) }
})
afterAll(() => {
  for (const each of Object.values(session)) each.destroy()
  for (const each of Object.values(chats)) each.stop()
})

const callers = {
  'HTTP/1.1': (to: keyof typeof ports, path?: string) => chatOver1(ports[to], path),
  'HTTP/2': (to: keyof typeof ports, path?: string) => chatOver2(session[to], to, path),
}
const ways = (['HTTP/1.1', 'HTTP/2'] as const).flatMap(down =>
  (['one', 'two'] as const).map(to => [down, to === 'one' ? 'HTTP/1.1' : 'HTTP/2', to] as const),
)

/** Sends it, in so many fragments, and resolves when all of it has come back. */
function echo(socket: EventEmitter & Pick<Chat, 'send' | 'close'>, message: Buffer, fragments = 1): Promise<void> {
  return new Promise((done, failed) => {
    const size = Math.ceil(message.length / fragments)
    const wrong = (code: number) => failed(new Error(`closed with ${code}`))
    socket.once('close', wrong)
    socket.once('message', (data: Buffer) => {
      socket.off('close', wrong)
      if (data.equals(message)) done()
      else failed(new Error('another message came back'))
    })
    for (let i = 0; i < fragments; i++)
      socket.send(message.subarray(i * size, (i + 1) * size), { binary: true, fin: i === fragments - 1 })
  })
}

function closed(socket: EventEmitter & Pick<Chat, 'send' | 'close'>): Promise<number> {
  return new Promise(done => socket.once('close', (code: number) => done(code)))
}

describe.each(ways)('from %s to %s', (down, up, to) => {
  test('messages come back whole, and both ends close with the code that was said', async () => {
    const before = chats[to].codes.length
    const socket = await callers[down](to)
    for (const [size, fragments] of [
      [1, 1],
      [300, 3],
      [70_000, 1],
      [1_000_000, 7],
    ] as const)
      await within(`an echo of ${size}`, echo(socket, randomBytes(size), fragments))
    expect(chats[to].asked.at(-1)).toBe(up === 'HTTP/1.1' ? 'GET websocket' : 'CONNECT websocket')
    const end = closed(socket)
    socket.close(4001, 'enough')
    expect(await within('the close', end)).toBe(4001)
    await until('the close at the endpoint', () => chats[to].codes.length > before)
    expect(chats[to].codes.at(-1)).toBe(4001)
    await until('the flight', async () =>
      (await proxy.flights()).some(
        ({ status, flag, bytesIn }) => status === 101 && flag === '-' && bytesIn > 1_000_000,
      ),
    )
  })

  test('a refusal reaches the caller', async () => {
    await expect(callers[down](to, '/refuse')).rejects.toThrow(/401/)
  })
})

test("Node's own WebSocket, beside ordinary requests on the same port", async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${ports.two}/chat`)
  const heard = new Promise(done => {
    socket.onmessage = ({ data }) => done(data)
  })
  await new Promise(opened => {
    socket.onopen = opened
  })
  socket.send('hello')
  expect(await within('the echo', heard)).toBe('hello')
  expect((await get(ports.two, '/')).body).toBe('a page')
  const metrics = await proxy.metrics()
  expect(
    metrics.value('outrigger_tunnels_active', { upgrade: 'websocket', listener: `outbound 127.0.0.1:${ports.two}` }),
  ).toBe(1)
  const end = new Promise<CloseEvent>(done => {
    socket.onclose = done
  })
  socket.close(1000)
  expect(await within('the close', end)).toMatchObject({ code: 1000, wasClean: true })
  await until('no tunnel', async () => (await proxy.metrics()).value('outrigger_tunnels_active') === 0)
})

test('fifty at once: messages of all sizes, in pieces, both ways', async () => {
  const sizes = [0, 5, 125, 126, 1000, 65_535, 65_536, 200_000]
  const sockets = await Promise.all(
    Array.from({ length: 50 }, (_, i) => callers[i % 2 === 0 ? 'HTTP/1.1' : 'HTTP/2'](i % 4 < 2 ? 'one' : 'two')),
  )
  let bytes = 0
  const talk = async (socket: EventEmitter & Pick<Chat, 'send' | 'close'>, seed: number) => {
    for (let i = 0; i < 12; i++) {
      const message = randomBytes(sizes[(seed + i) % sizes.length]!)
      await echo(socket, message, 1 + ((seed + i) % 4))
      bytes += message.length
    }
    const end = closed(socket)
    socket.close(1000)
    expect(await end).toBe(1000)
  }
  await within('all to be said', Promise.all(sockets.map(talk)))
  expect(bytes).toBeGreaterThan(20_000_000)
  await until('no tunnel', async () => (await proxy.metrics()).value('outrigger_tunnels_active') === 0)
  expect((await proxy.metrics()).value('outrigger_upstream_requests_active')).toBe(0)
  expect(await proxy.rss()).toBeLessThan(300)
})

test.each(['envoy', 'nginx'] as const)('through %s behind the proxy', async name => {
  const front =
    name === 'envoy'
      ? await startEnvoy(chats.one.port, 100)
      : await startNginx({
          server: () =>
            `location / { proxy_pass http://${chats.one.address}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }`,
        })
  const port = await freePort()
  await using own = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'front' }],
    discovery: { endpoints: { front: [front.address] } },
    services: { front: { protocol: name === 'envoy' ? 'http2' : 'http' } },
  })
  const multiplexed = connect(`http://127.0.0.1:${port}`)
  const before = chats.one.codes.length
  for (const socket of [await chatOver1(port), await chatOver2(multiplexed, 'front')]) {
    await within('an echo', echo(socket, randomBytes(300_000), 3))
    const end = closed(socket)
    socket.close(4002)
    expect(await within('the close', end)).toBe(4002)
  }
  await until('both closes at the endpoint', () => chats.one.codes.length === before + 2)
  expect(chats.one.codes.slice(before)).toEqual([4002, 4002])
  await until(
    'two flights without a flag',
    async () => (await own.flights()).filter(({ status, flag }) => status === 101 && flag === '-').length === 2,
  )
  multiplexed.destroy()
  await front.stop()
})

test('curl goes through a tunnel by CONNECT, over both versions of HTTP to the proxy, and only where it may', async () => {
  const port = await freePort()
  await using egress = await startProxy({
    ...configOf({ one: await freePort(), two: await freePort() }),
    outbound: [{ listen: `127.0.0.1:${port}`, connect: { hosts: [chats.one.address] } }],
    accessLog: 'on',
  })
  const through = (url: string) => curl('--proxytunnel', '--proxy', `http://127.0.0.1:${port}`, '--noproxy', '', url)
  const [named, service, refused] = [
    await through(`http://${chats.one.address}/`),
    await through('http://one/'),
    await through(`http://127.0.0.1:${egress.adminPort}/config`),
  ]
  expect([named.status, named.body(), service.status, service.body()]).toEqual([200, 'a page', 200, 'a page'])
  expect(service.log).toContain('CONNECT one:80')
  expect(refused.log).toMatch(/CONNECT tunnel failed, response 404/)
  const metrics = await egress.metrics()
  expect(
    metrics.value('http_requests_total', { method: 'CONNECT', service: `connect:${chats.one.address}`, status: '200' }),
  ).toBe(1)
  expect(metrics.value('http_requests_total', { method: 'CONNECT', service: 'one', status: '200' })).toBe(1)

  const multiplexed = connect(`http://127.0.0.1:${port}`)
  const stream = multiplexed.request({ ':method': 'CONNECT', ':authority': 'one:80' })
  stream.end('GET / HTTP/1.0\r\nHost: one\r\n\r\n')
  let answer = ''
  for await (const chunk of stream) answer += String(chunk)
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*a page$/)
  multiplexed.destroy()
})

test('at the end of a drain both ends are told 1001, whatever they speak, and the proxy ends in order', async () => {
  const own = { one: await freePort(), two: await freePort() }
  await using leaving = await startProxy(configOf(own, { drain: { delay: '0s', timeout: '2s' } }))
  const before = [chats.one.codes.length, chats.two.codes.length]
  const plain = new WebSocket(`ws://127.0.0.1:${own.one}/chat`)
  const end = new Promise<CloseEvent>(done => {
    plain.onclose = done
  })
  await new Promise(opened => {
    plain.onopen = opened
  })
  const multiplexed = connect(`http://127.0.0.1:${own.two}`)
  const others = [await chatOver1(own.one), await chatOver1(own.two), await chatOver2(multiplexed, 'two')]
  const ends = others.map(closed)
  leaving.signal('SIGTERM')
  // Until then they go on.
  await echo(others[0]!, randomBytes(1000))
  expect(await within('the close', end)).toMatchObject({ code: 1001, wasClean: true })
  expect(await within('the others', Promise.all(ends))).toEqual([1001, 1001, 1001])
  expect(await leaving.ended).toEqual({ code: 0, signal: null })
  await until(
    'the endpoints to know',
    () => chats.one.codes.length - before[0]! + chats.two.codes.length - before[1]! === 4,
  )
  expect([...chats.one.codes.slice(before[0]), ...chats.two.codes.slice(before[1])]).toEqual([1001, 1001, 1001, 1001])
  multiplexed.destroy()
})
