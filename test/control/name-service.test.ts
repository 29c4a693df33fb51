import { Resolver } from 'node:dns/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import type { DiscoverySpec, NameServerSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import { type NameService, nameService } from '../../proxy/control/name-service.ts'
import type { Unknown, VirtualAddressEntry } from '../../proxy/core/channel.ts'
import { systemClock } from '../../proxy/system/clock.ts'
import { logTape } from '../support/log-tape.ts'
import { serviceSpec, snapshotOf } from '../support/specs.ts'

// The name server between data threads that are slow and a registry that is asked: over real sockets.

const spec: NameServerSpec = {
  listen: { address: '127.0.0.1', port: 0 },
  remote: false,
  servers: [],
  domain: 'mesh',
  addresses: '240.64.0.0/10',
  ipv6: 'off',
  ttlMs: 30_000,
  timeoutMs: 4_000,
  queries: 100,
  perClient: 100,
  connections: 10,
}

const open: NameService[] = []
afterEach(async () => {
  for (const service of open.splice(0)) await service.stop()
})

async function setUp({ port = 0, isSuccessor = false } = {}) {
  const told: { put: readonly VirtualAddressEntry[]; known: (areKnown: boolean) => void }[] = []
  const asked: { service: string; answer: (why: Unknown) => void }[] = []
  const log = logTape()
  const names = nameService({
    spec: { ...spec, listen: { ...spec.listen, port } },
    folder: null,
    claim: () => Promise.resolve(''),
    know: put => new Promise(known => told.push({ put, known })),
    ask: (service, answer) => asked.push({ service, answer }),
    datacenter: () => 'dc1',
    discovery: () => ({ consul: null }) as unknown as DiscoverySpec,
    isSuccessor,
    clock: systemClock,
    log,
  })
  open.push(names)
  let reasons = await names.open(undefined)
  // A port that is free for UDP may be in use for TCP, by any test that runs meanwhile.
  for (let i = 0; port === 0 && reasons.length > 0 && i < 20; i++) reasons = await names.open(undefined)
  const dns = new Resolver({ timeout: 30_000, tries: 1 })
  dns.setServers([`127.0.0.1:${names.port()?.port ?? port}`])
  return { names, reasons, told, asked, dns, log }
}

const snapshot = (services: readonly string[], onDemandMs = 0): Snapshot => ({
  ...snapshotOf(
    services.map(name => serviceSpec(name, ['10.0.0.1:80'])),
    [],
  ),
  onDemandMs,
})

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; !isSo(); i++) {
    if (i > 6_000) throw new Error('it did not come about')
    await sleep(5)
  }
}

describe('a name', () => {
  test('is answered when every data thread knows its address, and not before', async () => {
    const { names, told, dns } = await setUp()
    names.applied(snapshot(['orders']))
    expect(told[0]!.put).toEqual([['240.110.142.24', 'orders']])
    let isAnswered = false
    const answer = dns.resolve4('orders.mesh').then(addresses => {
      isAnswered = true
      return addresses
    })
    await until(() => names.view().waiting === 1)
    expect(isAnswered).toBe(false)
    told[0]!.known(true)
    expect(await answer).toEqual(['240.110.142.24'])
    expect(names.entries()).toEqual([['240.110.142.24', 'orders']])
  })

  test('is not answered while a thread does not take it, and the thread is told again', async () => {
    const { names, told, dns, log } = await setUp()
    names.applied(snapshot(['orders']))
    told[0]!.known(false)
    await until(() => log.lines().some(line => line.includes('does not take virtual addresses')))
    const late = expect(dns.resolve4('orders.mesh')).rejects.toThrow('ESERVFAIL')
    await until(() => told.length === 2)
    told[1]!.known(false)
    await late
    const answer = dns.resolve4('orders.mesh')
    await until(() => told.length === 3)
    told[2]!.known(true)
    expect(await answer).toEqual(['240.110.142.24'])
  })

  test('is asked of the registry once it is wanted, and answered by the snapshot that has it', async () => {
    const { names, told, asked, dns } = await setUp()
    names.applied(snapshot([], 20_000))
    const answer = dns.resolve4('orders.mesh')
    await until(() => asked.length === 1)
    names.applied(snapshot(['orders'], 20_000))
    told[0]!.known(true)
    expect(await answer).toEqual(['240.110.142.24'])
    const denied = expect(dns.resolve4('nobody.mesh')).rejects.toThrow('ENOTFOUND')
    await until(() => asked.length === 2)
    asked[1]!.answer({ certain: true, reason: '' })
    await denied
    const unsure = expect(dns.resolve4('stock.mesh')).rejects.toThrow('ESERVFAIL')
    await until(() => asked.length === 3)
    asked[2]!.answer({ certain: false, reason: '' })
    await unsure
  })

  test('waits for the registry no longer than a request would', async () => {
    const { names, dns } = await setUp()
    names.applied(snapshot([], 50))
    await expect(dns.resolve4('orders.mesh')).rejects.toThrow('ESERVFAIL')
  })

  test('of a service that is gone is not answered, and its address is kept', async () => {
    const { names, told, dns } = await setUp()
    names.applied(snapshot(['orders']))
    told[0]!.known(true)
    names.applied(snapshot(['stock']))
    told[1]!.known(true)
    await expect(dns.resolve4('orders.mesh')).rejects.toThrow('ENOTFOUND')
    expect(names.view().names).toMatchObject([
      { service: 'orders', inUse: false },
      { service: 'stock', inUse: true },
    ])
    names.applied(snapshot(['orders']))
    expect(await dns.resolve4('orders.mesh')).toEqual(['240.110.142.24'])
    expect(told).toHaveLength(2)
  })
})

test('a port that is taken ends the start, but not that of a successor, which waits for it', async () => {
  const before = await setUp()
  expect(before.reasons).toEqual([])
  const { port } = before.names.port()!
  const other = await setUp({ port })
  expect(other.reasons).toEqual([expect.stringContaining('cannot listen on the name server 127.0.0.1')])
  const after = await setUp({ port, isSuccessor: true })
  expect([after.reasons, after.names.port()]).toEqual([[], null])
  before.names.applied(snapshot(['orders']))
  before.told[0]!.known(true)
  expect(await after.dns.resolve4('orders.mesh')).toEqual(['240.110.142.24'])
  after.names.applied(snapshot(['orders']))
  after.told[0]!.known(true)
  await before.names.stop()
  await until(() => after.names.port() !== null)
  expect(await after.dns.resolve4('orders.mesh')).toEqual(['240.110.142.24'])
})
