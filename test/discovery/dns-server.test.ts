import { expect, onTestFinished, test } from 'vitest'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { dnsSource } from '../../proxy/discovery/dns.ts'
import { systemClock, systemRandom } from '../../proxy/system/clock.ts'
import { resolver } from '../../proxy/system/dns.ts'
import { startChild, temporaryFolder } from '../integration/support/child.ts'
import { startDnsmasq } from '../integration/support/dnsmasq.ts'
import { freePort } from '../integration/support/ports.ts'
import { until } from '../integration/support/until.ts'
import { obtain } from '../peers/obtain.ts'

/** The source as it runs, and real name servers. */
function watching(name: string, port: number | null, servers: readonly string[]) {
  let set: readonly EndpointSpec[] = []
  let trouble = ''
  const abort = new AbortController()
  onTestFinished(() => abort.abort())
  dnsSource(
    { service: 'orders', name, port, refreshMs: 30_000, servers, family: 'auto' },
    { clock: systemClock, random: systemRandom, resolver },
  ).watch(
    {
      onSet(endpoints) {
        set = endpoints
        trouble = ''
      },
      isDoubted: () => false,
      onTrouble(reason) {
        trouble = reason
      },
    },
    abort.signal,
  )
  const text = () => set.map(endpoint => `${endpoint.address}:${endpoint.port}`).join(' ')
  return {
    set: () => set,
    has: (wanted: string) => until(`${wanted}, not ${text()}`, () => text() === wanted && trouble === ''),
    inTrouble: (words: string) => until(`trouble ${words}, not ${trouble}`, () => trouble.includes(words)),
  }
}

test('records that change are noticed when their TTL is over; a dead server takes nothing away', async () => {
  await using dnsmasq = await startDnsmasq(['host-record=orders.test,10.0.0.1,1'])
  const orders = watching('orders.test', 8080, [dnsmasq.server])
  await orders.has('10.0.0.1:8080')
  await dnsmasq.restart(['host-record=orders.test,10.0.0.2,1', 'host-record=orders.test,10.0.0.3,1'])
  await orders.has('10.0.0.2:8080 10.0.0.3:8080')
  await dnsmasq.stop()
  await orders.inTrouble('no name server takes questions')
  expect(orders.set()).toHaveLength(2)
  // Scaled to nothing, as a headless service is: an answer, unlike no answer.
  await dnsmasq.restart([])
  await orders.has('')
})

test('SRV records of Consul: ports and weights of its instances', async () => {
  const [dns, http, server, lan, wan] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ]
  const ports = [
    '-dns-port',
    dns,
    '-http-port',
    http,
    '-server-port',
    server,
    '-serf-lan-port',
    lan,
    '-serf-wan-port',
    wan,
    '-grpc-port',
    -1,
    '-grpc-tls-port',
    -1,
  ]
  const consul = startChild(await obtain('consul'), [
    'agent',
    '-dev',
    '-data-dir',
    temporaryFolder(),
    ...ports.map(String),
  ])
  onTestFinished(async () => {
    consul.signal('SIGKILL')
    await consul.ended
  })
  const call = (path: string, body?: object) =>
    fetch(`http://127.0.0.1:${http}${path}`, {
      method: 'PUT',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const register = (id: string, address: string, port: number, passing: number) =>
    until(`${id} is registered`, () =>
      call('/v1/agent/service/register', {
        ID: id,
        Name: 'orders',
        Address: address,
        Port: port,
        Weights: { Passing: passing, Warning: 1 },
      }).then(
        ({ ok }) => ok,
        () => false,
      ),
    )
  await register('one', '10.0.0.1', 81, 7)
  await register('two', '10.0.0.2', 82, 1)
  const orders = watching('orders.service.consul', null, [`127.0.0.1:${dns}`])
  await orders.has('10.0.0.1:81 10.0.0.2:82')
  expect(orders.set().map(({ weight, priority }) => [weight, priority])).toEqual([
    [7, 0],
    [1, 0],
  ])
  await call('/v1/agent/service/deregister/one')
  await orders.has('10.0.0.2:82')
  await call('/v1/agent/service/deregister/two')
  await orders.has('')
})
