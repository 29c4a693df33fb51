import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import * as h2 from '../../proxy/codec/h2/frame.ts'
import {
  data,
  frame,
  get,
  headers,
  hello,
  literals,
  parseFrames,
  ping,
  post,
  requestFields,
  reset,
  settings,
  uint32,
  windowUpdate,
} from '../codec/h2/support/frames.ts'
import { type Backend, startBackend } from './support/backend.ts'
import { freePort } from './support/ports.ts'
import { type RunningProxy, startProxy } from './support/proxy.ts'
import { until, within } from './support/until.ts'

// Attacks on a running proxy, each for a bounded number of rounds: the attacker is cut, memory stays, and another
// caller is served all the while. What each guard counts is in test/codec/h2/attacks.test.ts.

const ROUNDS = 20_000
/** A tenth of what attackers ask for at once. */
const MAX_GROWTH_MIB = 120

let backend: Backend
let proxy: RunningProxy
let port: number
/** The same with a short idle timeout. */
let hasty: number
let rssBefore: number

beforeAll(async () => {
  backend = await startBackend()
  ;[port, hasty] = [await freePort(), await freePort()]
  proxy = await startProxy({
    outbound: [
      { listen: `127.0.0.1:${port}`, service: 'orders' },
      { listen: `127.0.0.1:${hasty}`, service: 'orders', timeouts: { idle: '300ms' } },
    ],
    discovery: { endpoints: { orders: [backend.address] } },
    accessLog: 'off',
  })
  await Promise.all(Array.from({ length: 2000 }, () => bystander.ask()))
  rssBefore = await proxy.rss()
})
afterAll(async () => {
  await proxy.stop()
  await backend.stop()
})

/** Another caller, which asks one request after the other. */
const bystander = {
  session: null as ClientHttp2Session | null,
  asking: false,
  answered: 0,
  failed: 0,
  loop: Promise.resolve(),
  ask(): Promise<number> {
    this.session ??= connectHttp2(`http://127.0.0.1:${port}`).on('error', () => {})
    const stream = this.session.request({ ':authority': 'orders', ':path': '/' })
    return new Promise(resolve => {
      let status = 0
      stream.on('response', got => {
        status = Number(got[':status'])
      })
      stream.on('error', () => {})
      stream.on('close', () => resolve(status))
      stream.resume()
    })
  },
  async run() {
    while (this.asking) {
      if ((await this.ask()) === 200) this.answered++
      else this.failed++
    }
  },
}

beforeEach(() => {
  bystander.asking = true
  bystander.answered = 0
  bystander.loop = bystander.run()
})
afterEach(async () => {
  bystander.asking = false
  await within('the last answer of the bystander', bystander.loop)
  expect(bystander.answered).toBeGreaterThan(0)
  expect(bystander.failed).toBe(0)
  expect((await proxy.rss()) - rssBefore).toBeLessThan(MAX_GROWTH_MIB)
})
afterAll(() => bystander.session?.destroy())

/**
 * Sends rounds, as fast as they are taken, until the proxy ends the connection; what its GOAWAY said, empty when the
 * end was too sudden to read it.
 */
async function attack(round: (i: number) => Buffer, rounds = ROUNDS): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  let isCut = false
  const over = () => {
    isCut = true
  }
  socket.on('error', over).on('close', over).on('end', over)
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.write(hello)
  for (let i = 0; i < rounds && !isCut; ) {
    const batch: Buffer[] = []
    for (const end = Math.min(rounds, i + 100); i < end; i++) batch.push(round(i))
    if (!socket.write(Buffer.concat(batch)))
      await Promise.race([
        new Promise(resolve => socket.once('drain', resolve)),
        new Promise(resolve => socket.once('close', resolve)),
      ])
    await new Promise(resolve => setImmediate(resolve))
  }
  await until('the end of the attacker', () => isCut)
  socket.destroy()
  return goawayOf(Buffer.concat(chunks))
}

function goawayOf(bytes: Buffer): string {
  let whole = 0
  while (whole + 9 <= bytes.length && whole + 9 + bytes.readUIntBE(whole, 3) <= bytes.length)
    whole += 9 + bytes.readUIntBE(whole, 3)
  const last = parseFrames(bytes.subarray(0, whole)).findLast(({ type }) => type === h2.GOAWAY)
  return last === undefined
    ? ''
    : `${h2.errorName(last.payload.readUInt32BE(4))}: ${last.payload.toString('latin1', 8)}`
}

const trips = async (guard: string) =>
  (await proxy.metrics()).value('outrigger_http2_guard_trips_total', { side: 'downstream', guard })

describe('floods: the attacker gets a GOAWAY that says why, and the guard counts it', () => {
  test.each<[string, string, (i: number) => Buffer]>([
    ['rapid reset (CVE-2023-44487)', 'resets', i => Buffer.concat([get(2 * i + 1), reset(2 * i + 1, h2.CANCEL)])],
    ['made you reset (CVE-2025-8671)', 'resets', i => Buffer.concat([get(2 * i + 1), windowUpdate(2 * i + 1, 0)])],
    ['PING', 'chatter', () => ping()],
    ['SETTINGS', 'chatter', i => settings(4, i)],
    ['PRIORITY', 'chatter', () => frame(h2.PRIORITY, 0, 1, Buffer.concat([uint32(3), Buffer.from([1])]))],
    ['WINDOW_UPDATE of one byte', 'chatter', () => windowUpdate(0, 1)],
    ['empty DATA', 'chatter', i => (i === 0 ? post(1, 'x-path', '1') : data(1, ''))],
    ['empty CONTINUATION', 'continuations', i => frame(i === 0 ? h2.HEADERS : h2.CONTINUATION, 0, 1)],
    ['full CONTINUATION', 'head-bytes', i => frame(i === 0 ? h2.HEADERS : h2.CONTINUATION, 0, 1, Buffer.alloc(16_384))],
  ])('%s', async (_name, guard, round) => {
    const before = await trips(guard)
    const goaway = await attack(round)
    if (goaway !== '') expect(goaway).toMatch(/^ENHANCE_YOUR_CALM: \w/)
    expect(await trips(guard)).toBe(before + 1)
  })
})

/** How many requests were answered 431 so far. */
const tooLarge = async () => (await proxy.metrics()).value('http_requests_total', { status: '431' })

test('a head of references to one large entry (HPACK bomb) is answered 431 as often as it comes', async () => {
  const before = await tooLarge()
  const entry = Buffer.concat([Buffer.from([0x40, 1, 0x78, 0x7f, 0xbd, 0x1d]), Buffer.alloc(3900, 'v')])
  const fields = literals(...requestFields())
  const block = (id: number, ...parts: Buffer[]) =>
    frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, id, Buffer.concat([fields, ...parts]))
  const bomb = Buffer.alloc(16_000, 0xbe)
  // 16,000 references to 3,900 bytes, 300 times: 19 GB, were they unpacked. Then an end, so that it is over.
  const goaway = await attack(
    i => (i === 0 ? block(1, entry) : i < 300 ? block(2 * i + 1, bomb) : frame(h2.DATA, 0, 0)),
    301,
  )
  expect(goaway).toMatch(/^PROTOCOL_ERROR: DATA on stream 0/)
  expect(await tooLarge()).toBeGreaterThan(before + 200)
})

test('a list of fields beyond the limit is answered 431', async () => {
  const before = await tooLarge()
  const many = Array.from({ length: 300 }, (_, i) => [`x-${i}`, 'v'.repeat(40)]).flat()
  await attack(i => (i < 50 ? headers(2 * i + 1, true, ...requestFields(...many)) : frame(h2.DATA, 0, 0)), 51)
  expect(await tooLarge()).toBe(before + 50)
})

describe('slow readers', () => {
  const large = (i: number) =>
    headers(2 * i + 1, true, ':method', 'GET', ':scheme', 'http', ':path', '/bytes/5000000', ':authority', 'orders')
  const wideOpen = Buffer.concat([hello, settings(4, 0x7fff_ffff), windowUpdate(0, 0x7000_0000)])

  test.each([
    ['one that asks for 200 large answers and gives no window', 1, 200, Buffer.concat([hello, settings(4, 0)])],
    ['ten that ask for twenty each with windows wide open, and read nothing', 10, 20, wideOpen],
  ])('%s', async (_name, connections, requests, first) => {
    const sockets = Array.from({ length: connections }, () =>
      connect(port, '127.0.0.1')
        .on('error', () => {})
        .pause(),
    )
    for (const socket of sockets)
      socket.write(Buffer.concat([first, ...Array.from({ length: requests }, (_, i) => large(i))]))
    await until(
      'all are under way',
      async () => (await proxy.metrics()).value('outrigger_upstream_requests_active') >= 0.8 * connections * requests,
    )
    bystander.answered = 0
    await until('others are served meanwhile', () => bystander.answered > 20)
    expect((await proxy.rss()) - rssBefore).toBeLessThan(MAX_GROWTH_MIB)
    for (const socket of sockets) socket.destroy()
    await until(
      'what they asked for is given up',
      async () => (await proxy.metrics()).value('outrigger_upstream_requests_active') <= 1,
    )
  })

  test('an answer of which nothing is taken is given up after the idle time', async () => {
    const before = await trips('stalled')
    const socket = connect(hasty, '127.0.0.1').on('error', () => {})
    socket.resume()
    socket.write(Buffer.concat([hello, settings(4, 0), get(1)]))
    await until('the stalled stream is reset', async () => (await trips('stalled')) > before)
    socket.destroy()
  })
})

test('connections that begin and say no more do not last', async () => {
  const sockets = Array.from({ length: 200 }, () => connect(hasty, '127.0.0.1').on('error', () => {}))
  let over = 0
  for (const socket of sockets) {
    socket.resume().on('close', () => over++)
    socket.write(hello)
  }
  await until('all are closed', () => over === sockets.length)
})
