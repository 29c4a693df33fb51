import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ConsulSpec } from '../../../mesh-config/snapshot.ts'
import type { ConsulTrouble } from '../../../proxy/discovery/consul/answer.ts'
import { consulClient } from '../../../proxy/discovery/consul/client.ts'
import type { ConsulClient } from '../../../proxy/discovery/consul/consul-client.ts'
import { logTape } from '../../support/log-tape.ts'
import { seeded } from '../../support/random.ts'
import { consulSpec } from './registry.ts'
import { virtualTime } from './tape.ts'

// What a well-behaved Consul never does is done here by a plain HTTP server; what it does, by a real one in
// test/integration/consul-*.test.ts.

const never = new AbortController().signal
const now = { index: 0, waitMs: 0, stale: false }
const here = { datacenter: null }

let answerWith: RequestListener = (_request, response) => void response.end('[]')
let requests: IncomingMessage[] = []
let connections = 0
let server: Server
let folder = ''
const clients: ConsulClient[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-client-'))
  requests = []
  connections = 0
  answerWith = (_request, response) => void json(response, [])
  server = await listen('127.0.0.1')
})
afterEach(() => {
  for (const client of clients.splice(0)) client.close()
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

async function listen(host: string): Promise<Server> {
  const made = createServer((request, response) => {
    requests.push(request)
    answerWith(request, response)
  })
  made.on('connection', () => connections++)
  await new Promise<void>((resolve, reject) => made.once('error', reject).listen(0, host, resolve))
  return made
}

const portOf = (of: Server) => (of.address() as AddressInfo).port

function json(response: ServerResponse, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

function connect(spec: Partial<ConsulSpec> = {}) {
  const time = virtualTime()
  const log = logTape()
  const client = consulClient(
    { ...consulSpec, address: `http://127.0.0.1:${portOf(server)}`, ...spec },
    { clock: time.clock, random: seeded(1), log },
  )
  clients.push(client)
  return { client, time, log }
}

async function troubleOf(promise: Promise<unknown>): Promise<ConsulTrouble> {
  return promise.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: ConsulTrouble) => error,
  )
}

test('the question and the answer', async () => {
  answerWith = (_request, response) =>
    json(response, [1], {
      'x-consul-index': '17',
      'x-consul-knownleader': 'false',
      'x-consul-lastcontact': '250',
      'x-consul-results-filtered-by-acls': 'true',
      'x-consul-default-acl-policy': 'deny',
      'x-consul-contenthash': 'abc',
    })
  const { client } = connect({ token: 's3cret' })
  const { body, ...facts } = await client.health(
    'a/b',
    { datacenter: 'eu' },
    { index: 5, waitMs: 1234.5, stale: true },
    never,
  )
  expect(body.toString()).toBe('[1]')
  expect(facts).toEqual({
    index: 17,
    knownLeader: false,
    lastContactMs: 250,
    filtered: true,
    streamed: false,
    deniesByDefault: true,
    contentHash: 'abc',
  })
  const { pathname, searchParams } = new URL(requests[0]!.url!, 'http://x')
  expect(pathname).toBe('/v1/health/service/a%2Fb')
  expect(Object.fromEntries(searchParams)).toEqual({ index: '5', wait: '1235ms', dc: 'eu', stale: '1' })
  expect(requests[0]!.headers).toMatchObject({ 'x-consul-token': 's3cret', 'user-agent': 'outrigger' })
})

test('a streamed answer always says that there is no leader', async () => {
  answerWith = (_request, response) =>
    json(response, [1], { 'x-consul-query-backend': 'streaming', 'x-consul-knownleader': 'false' })
  expect(await connect().client.health('orders', here, now, never)).toMatchObject({ streamed: true, knownLeader: true })
})

test('without headers nothing bad is assumed, and an empty body is an empty body', async () => {
  answerWith = (_request, response) => void response.end()
  const { client } = connect()
  const { body, ...facts } = await client.services(here, now, never)
  expect(body).toHaveLength(0)
  expect(facts).toEqual({
    index: 0,
    knownLeader: true,
    lastContactMs: 0,
    filtered: false,
    streamed: false,
    deniesByDefault: false,
    contentHash: '',
  })
  expect(requests[0]!.url).toBe('/v1/catalog/services')
  expect(requests[0]!.headers).not.toHaveProperty('x-consul-token')
})

test('what is written', async () => {
  const bodies: string[] = []
  answerWith = (request, response) => {
    let text = ''
    request.on('data', chunk => {
      text += chunk
    })
    request.on('end', () => {
      bodies.push(text)
      response.end()
    })
  }
  const { client } = connect({ token: 't' })
  await client.register({ ID: 'web', Weights: { Passing: 3, Warning: 1 } }, never)
  await client.heartbeat('service:web', 'warning', 'not ready', never)
  await client.heartbeat('service:web', 'passing', 'fine', never)
  await client.deregister('web/1', never)
  expect(requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
    'PUT /v1/agent/service/register?replace-existing-checks=true',
    'PUT /v1/agent/check/warn/service%3Aweb?note=not%20ready',
    'PUT /v1/agent/check/pass/service%3Aweb?note=fine',
    'PUT /v1/agent/service/deregister/web%2F1',
  ])
  expect(JSON.parse(bodies[0]!)).toEqual({ ID: 'web', Weights: { Passing: 3, Warning: 1 } })
  for (const { headers } of requests) expect(headers['x-consul-token']).toBe('t')
})

test.each([
  [200, 'passing', 'passing'],
  [429, 'warning', 'warning'],
  [503, 'critical', 'critical'],
  [503, 'maintenance', 'maintenance'],
  [404, 'ServiceId web not found', ''],
])('the health of an instance of the agent: %i %s', async (status, text, expected) => {
  answerWith = (_request, response) => void response.writeHead(status, { 'content-type': 'text/plain' }).end(text)
  expect(await connect().client.agentHealth('web', never)).toBe(expected)
})

test('a rate limit and a proxy in between are not the health of an instance', async () => {
  answerWith = (_request, response) => void response.writeHead(429).end('rate limit exceeded, try again later')
  expect((await troubleOf(connect().client.agentHealth('critical', never))).status).toBe(429)
})

describe('what goes wrong is said for people', () => {
  const asking = async (status: number, body: string, spec: Partial<ConsulSpec> = {}) => {
    answerWith = (_request, response) => void response.writeHead(status, { 'content-type': 'text/plain' }).end(body)
    const { client } = connect(spec)
    const { message, status: seen } = await troubleOf(client.health('orders', here, now, never))
    expect(seen).toBe(status)
    return message.replace(/:\d{4,5}/, ':port')
  }

  test('a refusal names the token and the rights it lacks', async () => {
    const rights = 'lacks rights; service:read and node:read are needed, and service:write to register'
    const text = "Permission denied: token with AccessorID 'x' lacks permission 'service:read'"
    const intro = `Consul at http://127.0.0.1:port denies it (instances of orders, 403: ${text})`
    expect(await asking(403, text, { token: 't' })).toBe(`${intro}: the configured token ${rights}`)
    const tokenFile = join(folder, 'token')
    writeFileSync(tokenFile, 't')
    expect(await asking(403, text, { tokenFile })).toBe(`${intro}: the token in ${tokenFile} ${rights}`)
    expect(await asking(403, text)).toBe(`${intro}: no token is configured, and the anonymous one ${rights}`)
  })

  test('an answer that is none is one bounded line that can be printed', async () => {
    expect(await asking(500, 'No cluster leader')).toBe(
      'Consul at http://127.0.0.1:port answers 500: No cluster leader (instances of orders)',
    )
    expect(await asking(502, '')).toBe('Consul at http://127.0.0.1:port answers 502 (instances of orders)')
    const message = await asking(500, `\u001b[2J${'x'.repeat(9_000)}\nmore`)
    expect(message).toContain('answers 500: \\x1B[2Jxxx')
    expect(message.length).toBeLessThan(300)
  })

  test('too many connections of this host: where the limit is, and that fewer questions wait from now on', async () => {
    answerWith = (_request, response) =>
      void response
        .writeHead(429)
        .end('Your IP is issuing too many concurrent connections, please rate limit your calls\n')
    const { client } = connect()
    for (let i = 0; i < 100; i++) client.parking.mayPark({})
    const { message } = await troubleOf(client.health('orders', here, now, never))
    expect(message).toContain('limits.http_max_conns_per_client of the agent is shared by all on this host')
    expect(client.parking.limit()).toBe(50)
  })

  test('nobody listens', async () => {
    const { client } = connect({ address: 'http://127.0.0.1:9' })
    const { message, status } = await troubleOf(client.health('orders', here, now, never))
    expect([message, status]).toEqual([
      'Consul at http://127.0.0.1:9 refuses connections: does an agent run there? (instances of orders)',
      0,
    ])
  })

  test('no such name', async () => {
    const { client } = connect({ address: 'http://consul.invalid:8500' })
    expect((await troubleOf(client.health('orders', here, now, never))).message).toContain(
      'Consul at http://consul.invalid:8500 cannot be found by that name',
    )
  })

  test('it closes the connection instead of answering', async () => {
    answerWith = request => void request.socket.destroy()
    expect((await troubleOf(connect().client.health('orders', here, now, never))).message).toContain(
      'closed the connection',
    )
  })

  test('it closes the connection inside the answer', async () => {
    answerWith = (request, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('[')
      setTimeout(() => request.socket.destroy(), 20)
    }
    expect((await troubleOf(connect().client.health('orders', here, now, never))).message).toContain(
      'the connection broke inside the answer',
    )
  })

  test('its answer never ends', async () => {
    answerWith = (_request, response) => {
      const chunk = Buffer.alloc(1024 * 1024, 0x20)
      const more = () => {
        while (!response.destroyed && response.write(chunk));
      }
      response.on('drain', more)
      more()
    }
    expect((await troubleOf(connect().client.health('orders', here, now, never))).message).toContain(
      'the answer is larger than 32 MiB',
    )
  })

  test('it never answers', async () => {
    answerWith = () => {}
    const { client, time } = connect()
    const quick = troubleOf(client.health('orders', here, now, never))
    const waits = troubleOf(client.health('orders', here, { index: 7, waitMs: 60_000, stale: true }, never))
    while (requests.length < 2) await new Promise(done => setTimeout(done, 5))
    await time.pass(10_100, 100)
    expect((await quick).message).toMatch(/has not answered within 10 s \(instances of orders\)$/)
    let late = false
    void waits.then(() => {
      late = true
    })
    // The wait, a sixteenth that Consul may add, and time for the answer.
    await time.pass(60_000 + 3_750 - 200, 100)
    expect(late).toBe(false)
    await time.pass(300, 100)
    expect((await waits).message).toContain('has not answered within 74 s')
  })
})

describe('connections', () => {
  test('quick questions share a few; those that wait have one each', async () => {
    const held: ServerResponse[] = []
    answerWith = (request, response) =>
      void (request.url!.includes('wait=') ? held.push(response) : setTimeout(() => json(response, []), 20))
    const { client } = connect()
    const waiting = Array.from({ length: 20 }, (_, i) =>
      client.health(`s${i}`, here, { index: 1, waitMs: 60_000, stale: true }, never),
    )
    await Promise.all(Array.from({ length: 100 }, (_, i) => client.health(`q${i}`, here, now, never)))
    expect(connections).toBe(28)
    for (const response of held) json(response, [])
    await Promise.all(waiting)
    await Promise.all(Array.from({ length: 8 }, (_, i) => client.health(`q${i}`, here, now, never)))
    expect(connections).toBe(28)
  })

  test('an IPv6 address needs its brackets only where it is written', async context => {
    const other = await listen('::1').catch(() => null)
    if (other === null) return context.skip('this machine has no IPv6')
    const { client } = connect({ address: `http://[::1]:${portOf(other)}` })
    await client.health('orders', here, now, never)
    expect(requests[0]!.headers.host).toBe(`[::1]:${portOf(other)}`)
    client.close()
    other.close()
  })

  test('what is no longer wanted ends at once, before and while it is under way, and so does all when it is closed', async () => {
    answerWith = () => {}
    const { client } = connect()
    const end = new AbortController()
    const question = () =>
      troubleOf(client.health('orders', here, { index: 1, waitMs: 60_000, stale: true }, end.signal))
    const one = question()
    while (requests.length < 1) await new Promise(done => setTimeout(done, 5))
    end.abort()
    expect((await one).status).toBe(0)
    expect((await question()).message).toContain('no longer wanted')
    const two = troubleOf(client.self(never))
    while (requests.length < 2) await new Promise(done => setTimeout(done, 5))
    client.close()
    expect((await two).status).toBe(0)
    expect((await troubleOf(client.self(never))).message).toContain('no longer wanted')
    expect(client.closed.aborted).toBe(true)
    expect(requests).toHaveLength(2)
  })
})

describe('the token file', () => {
  test('is read again when it changes', async () => {
    const tokenFile = join(folder, 'token')
    writeFileSync(tokenFile, 'one\n')
    const { client, time } = connect({ token: 'not this one', tokenFile })
    await client.self(never)
    writeFileSync(tokenFile, 'another\n')
    await time.pass(1_000)
    await client.self(never)
    expect(requests.map(({ headers }) => headers['x-consul-token'])).toEqual(['one', 'another'])
  })

  test('that was never there is trouble; one that is gone is a warning', async () => {
    const tokenFile = join(folder, 'token')
    const { client, time, log } = connect({ tokenFile })
    expect((await troubleOf(client.self(never))).message).toContain('the token file of Consul cannot be read: ENOENT')
    writeFileSync(tokenFile, 'one')
    await client.self(never)
    rmSync(tokenFile)
    await time.pass(1_000)
    await client.self(never)
    await time.pass(1_000)
    await client.self(never)
    expect(requests).toHaveLength(3)
    expect(log.lines()).toHaveLength(1)
    expect(log.lines()[0]).toContain('warn the token of Consul stays as it was: its file cannot be read')
  })
})

test('what the agent says of its connections decides how many may wait', async () => {
  answerWith = (_request, response) => json(response, { DebugConfig: { HTTPMaxConnsPerClient: 40 } })
  const { client } = connect()
  await client.self(never)
  expect(client.parking.limit()).toBe(20)
})
