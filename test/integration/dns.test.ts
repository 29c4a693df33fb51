import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { answerTo, queryFor, readAnswer } from '../dns/messages.ts'
import { obtain } from '../peers/obtain.ts'
import { run, temporaryFolder } from './support/child.ts'
import { startConsul } from './support/consul.ts'
import { startDnsmasq } from './support/dnsmasq.ts'
import { freePort } from './support/ports.ts'
import { startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

// The name server of a real sidecar, before real name servers and asked by clients that others wrote.

const ORDERS = '240.110.142.24'
const ORDERS_6 = 'fd12:3456:789a:1::f06e:8e18'

let dig: string
beforeAll(async () => {
  dig = await obtain('dig')
})

interface Names {
  readonly port: number
  readonly config: Readonly<Record<string, unknown>>
}

async function names(servers: readonly string[], more: Readonly<Record<string, unknown>> = {}): Promise<Names> {
  const port = await freePort()
  return {
    port,
    config: {
      outbound: [{ listen: `127.0.0.1:${await freePort()}` }],
      discovery: { endpoints: { orders: ['127.0.0.1:9'] } },
      dns: { listen: `127.0.0.1:${port}`, servers, ipv6: 'fd12:3456:789a:1::/64', ...more },
    },
  }
}

function client(port: number, timeout = 30_000): Resolver {
  const made = new Resolver({ timeout, tries: 1 })
  made.setServers([`127.0.0.1:${port}`])
  return made
}

async function digs(port: number, ...args: string[]): Promise<string> {
  return (await run(dig, ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=30', ...args])).out
}

/** A name server that answers as it is told; null: it says nothing. */
async function upstream(answer: (query: Buffer) => Buffer | null) {
  const socket = createSocket('udp4')
  const asked: Buffer[] = []
  socket.on('message', (query, { address, port }) => {
    asked.push(query)
    const reply = answer(query)
    if (reply !== null) socket.send(reply, port, address)
  })
  await new Promise<void>(done => socket.bind(0, '127.0.0.1', done))
  return { server: `127.0.0.1:${socket.address().port}`, asked, [Symbol.dispose]: () => socket.close() }
}

/** Sends datagrams from one port, and gathers what comes back. */
async function flooder(port: number) {
  const socket = createSocket('udp4')
  const answers: Buffer[] = []
  socket.on('message', bytes => answers.push(bytes))
  await new Promise<void>(done => socket.connect(port, '127.0.0.1', done))
  return { send: (bytes: Buffer) => socket.send(bytes), answers, [Symbol.dispose]: () => socket.close() }
}

test('names of services get addresses, and all others the answers of the servers behind', async () => {
  await using dnsmasq = await startDnsmasq([
    'host-record=a.test,10.0.0.1,60',
    'host-record=orders.svc.test,10.0.0.2,60',
    'auth-soa=1,host.test',
    ...Array.from(
      { length: 300 },
      (_, i) => `srv-host=_many._tcp.test,a-target-with-a-long-name-${i}.test,${i + 1},0,1`,
    ),
  ])
  const { port, config } = await names([dnsmasq.server])
  await using proxy = await startProxy(config)
  const dns = client(port)
  expect(await dns.resolve4('orders.mesh', { ttl: true })).toEqual([{ address: ORDERS, ttl: 30 }])
  expect(await dns.resolve4('orders')).toEqual([ORDERS])
  expect(await dns.resolve4('Orders.Service.Consul')).toEqual([ORDERS])
  expect(await dns.resolve6('orders.mesh')).toEqual([ORDERS_6])
  expect(await dns.reverse(ORDERS)).toEqual(['orders.mesh'])
  expect(await dns.reverse(ORDERS_6)).toEqual(['orders.mesh'])
  await expect(dns.resolve4('nobody.mesh')).rejects.toThrow('ENOTFOUND')
  await expect(dns.resolveMx('orders.mesh')).rejects.toThrow('ENODATA')
  // What a search domain makes of a name is the name of another.
  expect(await dns.resolve4('orders.svc.test')).toEqual(['10.0.0.2'])
  expect(await dns.resolve4('a.test', { ttl: true })).toEqual([{ address: '10.0.0.1', ttl: 60 }])
  await expect(dns.resolve6('a.test')).rejects.toThrow('ENODATA')
  await expect(dns.resolve4('nobody.test')).rejects.toThrow('ENOTFOUND')
  // Too long for a datagram: the client hears so, and asks again over TCP.
  expect(await dns.resolveSrv('_many._tcp.test')).toHaveLength(300)
  expect(await digs(port, '_many._tcp.test', 'SRV', '+ignore')).toMatch(/flags:[^;]* tc/)
  expect(await digs(port, 'orders.mesh', '+tcp', '+short')).toBe(`${ORDERS}\n`)
  expect(await digs(port, 'orders.mesh', '+dnssec')).toContain('flags: do; udp: 4096')
  expect(await digs(port, 'orders.mesh', '+edns=3', '+noednsnegotiation')).toContain('status: BADVERS')
  expect(await digs(port, 'mesh', 'AXFR')).toContain('Transfer failed')
  expect(await digs(port, 'nobody.mesh')).toMatch(/status: NXDOMAIN[\s\S]*\nmesh\.\s+5\s+IN\s+SOA/)
  const page = (await proxy.admin('/dns?format=text')).body
  expect(page).toMatch(new RegExp(`^orders\\.mesh +${ORDERS} +${ORDERS_6} +answered$`, 'm'))
  expect(page).toContain(dnsmasq.server)
  const metrics = await proxy.metrics()
  expect(metrics.value('outrigger_dns_queries_total', { kind: 'service', result: 'nxdomain' })).toBe(2)
  expect(metrics.value('outrigger_dns_virtual_addresses')).toBe(1)
})

test('a server that is silent holds up neither names of services nor those that another one knows', async () => {
  using silent = await upstream(() => null)
  using other = await upstream(query => answerTo(query, 0, ['10.0.0.3']))
  const { port, config } = await names([silent.server, other.server], { timeout: '2s' })
  await using _proxy = await startProxy(config)
  const dns = client(port)
  const slow = Array.from({ length: 100 }, (_, i) => dns.resolve4(`name-${i}.test`))
  expect(await dns.resolve4('orders.mesh')).toEqual([ORDERS])
  expect(new Set((await Promise.all(slow)).flat())).toEqual(new Set(['10.0.0.3']))
  // It is asked last now. Each query has an id and a port of its own, and neither is the client's.
  const before = silent.asked.length
  expect(await dns.resolve4('again.test')).toEqual(['10.0.0.3'])
  expect(silent.asked).toHaveLength(before)
  expect(new Set(other.asked.map(query => query.readUInt16BE())).size).toBeGreaterThan(90)
})

test('no server answers: SERVFAIL after the time, and at once where none listens', async () => {
  using silent = await upstream(() => null)
  const { port, config } = await names([silent.server], { timeout: '300ms' })
  await using proxy = await startProxy(config)
  await expect(client(port).resolve4('a.test')).rejects.toThrow('ESERVFAIL')
  expect((await proxy.metrics()).value('outrigger_dns_timeouts_total')).toBe(1)
  const none = await names([`127.0.0.1:${await freePort()}`], { timeout: '1h' })
  await using _other = await startProxy(none.config)
  await expect(client(none.port).resolve4('a.test')).rejects.toThrow('ESERVFAIL')
})

test('a client that floods does not keep the others from their answers', async () => {
  using slow = await upstream(query => (query.includes('quick') ? answerTo(query, 0, ['10.0.0.4']) : null))
  const { port, config } = await names([slow.server], { timeout: '30s', queries: 50, perClient: 20 })
  await using proxy = await startProxy(config)
  using one = await flooder(port)
  using two = await flooder(port)
  const dns = client(port)
  // Queries that nobody answers: from one port, and from the client that is looked at.
  for (let i = 0; i < 500; i++) one.send(queryFor(`flood-${i}.test`, 1, { id: i }))
  two.send(queryFor('patient.test', 1, { id: 7 }))
  await until('the flood is answered but for what may wait', () => one.answers.length >= 400)
  expect(await dns.resolve4('quick.test')).toEqual(['10.0.0.4'])
  expect(await dns.resolve4('orders.mesh')).toEqual([ORDERS])
  expect(one.answers.every(answer => readAnswer(answer).code === 2)).toBe(true)
  expect(two.answers).toEqual([])
  const metrics = await proxy.metrics()
  expect(metrics.value('outrigger_dns_waiting')).toBeLessThanOrEqual(21)
  expect(metrics.value('outrigger_dns_dropped_total', { reason: 'full' })).toBeGreaterThan(400)
})

test('what is no query has no effect', async () => {
  const { port, config } = await names(['127.0.0.1:9'])
  await using proxy = await startProxy(config)
  using hostile = await flooder(port)
  const answer = queryFor('orders.mesh', 1, { flags: 0x8180 })
  for (const bytes of [Buffer.from('x'), answer, Buffer.alloc(5_000), Buffer.alloc(0)]) hostile.send(bytes)
  hostile.send(queryFor('orders.mesh', 1, { id: 1, flags: 0x2800 }))
  const loop = queryFor('orders.mesh', 1, { id: 2 })
  loop[12] = 0xc0
  hostile.send(loop)
  await until('two answers', () => hostile.answers.length >= 2)
  expect(hostile.answers.map(bytes => [bytes.readUInt16BE(), bytes[3]! & 15])).toEqual([
    [1, 4],
    [2, 1],
  ])
  expect((await proxy.metrics()).value('outrigger_dns_dropped_total', { reason: 'malformed' })).toBe(4)
  // Over TCP such a client is closed, and a length that is no query's as well.
  for (const bytes of [Buffer.from([0, 1, 0x78]), Buffer.from([0xff, 0xff, 0, 0])]) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    socket.write(bytes)
    await new Promise(closed => socket.once('close', closed).resume())
  }
  expect(await client(port).resolve4('orders.mesh')).toEqual([ORDERS])
})

test('TCP connections are bounded: another one closes the one that was idle the longest', async () => {
  const { port, config } = await names(['127.0.0.1:9'], { connections: 2 })
  await using _proxy = await startProxy(config)
  const open = () => {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    const answered = new Promise<Buffer>(resolve => socket.once('data', resolve))
    const closed = new Promise(resolve => socket.once('close', resolve))
    const query = queryFor('orders.mesh')
    socket.write(Buffer.concat([Buffer.from([0, query.length]), query]))
    return { socket, answered, closed }
  }
  const [first, second] = [open(), open()]
  expect(readAnswer((await first.answered).subarray(2)).addresses).toEqual([ORDERS])
  await second.answered
  const third = open()
  expect(readAnswer((await third.answered).subarray(2)).addresses).toEqual([ORDERS])
  await Promise.race([first.closed, second.closed])
  for (const { socket } of [first, second, third]) socket.destroy()
})

test('addresses survive a restart, and another name that hashes there later', async () => {
  const state = join(temporaryFolder(), 'state')
  const { port, config } = await names(['127.0.0.1:9'])
  const file = join(state, 'virtual-addresses.json')
  const proxy = await startProxy({ ...config, state })
  await until('they are saved', () => existsSync(file))
  await proxy.stop()
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ addresses: { orders: [ORDERS, expect.any(Number)] } })
  writeFileSync(file, `{"version":1,"addresses":{"orders":["240.64.7.7",${Date.now()}],"gone":["240.64.7.8",1]}}`)
  await using again = await startProxy({ ...config, state })
  expect(await client(port).resolve4('orders.mesh')).toEqual(['240.64.7.7'])
  await expect(client(port).resolve4('gone.mesh')).rejects.toThrow('ENOTFOUND')
  expect((await again.admin('/dns?format=text')).body).toMatch(/^gone\.mesh +240\.64\.7\.8 .*kept since 1970/m)
  rmSync(state, { recursive: true })
})

test('a port that is taken is named, with its place', async () => {
  using taken = await upstream(() => null)
  const { config } = await names([])
  await expect(startProxy({ ...config, dns: { listen: taken.server } })).rejects.toThrow(
    /sidecar\.yaml:\d+:\d+: cannot listen on the name server 127\.0\.0\.1:\d+: address already in use/,
  )
})

describe('with Consul', () => {
  test('a service has an address as soon as Consul knows it, and only then', async () => {
    const consulDns = await freePort()
    await using consul = await startConsul({ dns: consulDns })
    await consul.ready()
    const register = (name: string) =>
      consul.api('PUT', '/v1/agent/service/register', { Name: name, Address: '127.0.0.1', Port: 9 })
    await register('stock')
    const { port, config } = await names([`127.0.0.1:${consulDns}`])
    await using proxy = await startProxy({
      ...config,
      discovery: { consul: { address: consul.address, firstUse: '20s' } },
    })
    const dns = client(port)
    const [address] = await dns.resolve4('stock.mesh')
    expect(address).toMatch(/^240\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./)
    expect(await dns.resolve4('stock.service.consul')).toEqual([address])
    expect(await dns.resolve4('stock')).toEqual([address])
    await until(
      'the datacenter is known',
      async () => (await dns.resolve4(`stock.service.${consul.datacenter}.consul`))[0] === address,
    )
    await expect(dns.resolve4('later.mesh')).rejects.toThrow('ENOTFOUND')
    // Consul itself is asked for what is no service here: its nodes, and the ports of instances.
    expect(await dns.resolve4(`${consul.node}.node.consul`)).toEqual(['127.0.0.1'])
    expect(await dns.resolveSrv('stock.service.consul')).toMatchObject([{ port: 9 }])
    await register('later')
    await until('it is found', async () => (await dns.resolve4('later.mesh').catch(() => [])).length === 1)
    // Consul is gone: names that are known stay, others of the domain are not denied.
    await consul.kill()
    expect(await dns.resolve4('stock.mesh')).toEqual([address])
    const { out } = await run(dig, ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=60', 'other.mesh'])
    expect(out).toContain('status: SERVFAIL')
    expect((await proxy.admin('/dns?format=json')).body).toContain('"later.mesh"')
  })
})
