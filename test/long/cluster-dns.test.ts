import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Child, startChild, temporaryFolder } from '../integration/support/child.ts'
import { startLoad } from '../integration/support/load.ts'
import { freePort } from '../integration/support/ports.ts'
import { get, startProxy } from '../integration/support/proxy.ts'
import { until } from '../integration/support/until.ts'
import { obtain } from '../peers/obtain.ts'
import { type Cluster, startCluster } from './support/cluster.ts'
import { ownAddress, serviceObject, sliceObject } from './support/cluster-objects.ts'

/** Headless Services by the name server of a cluster: CoreDNS with its kubernetes plugin, and a real API server. */

let cluster: Cluster
let coredns: Child
let dnsAt: string
const backends: Server[] = []

beforeAll(async () => {
  cluster = await startCluster()
  await cluster.makeNamespace('shop')
  const port = await freePort()
  dnsAt = `127.0.0.1:${port}`
  const corefile = join(temporaryFolder(), 'Corefile')
  writeFileSync(
    corefile,
    `cluster.local:${port} {
  bind 127.0.0.1
  errors
  kubernetes cluster.local {
    kubeconfig ${cluster.kubeconfig} admin
    ttl 1
  }
}
`,
  )
  coredns = startChild(await obtain('coredns'), ['-conf', corefile])
  await coredns.said('a name server that runs', out => out.includes('CoreDNS-'))
})

afterAll(async () => {
  for (const backend of backends) backend.close()
  await coredns?.stop()
  await cluster?.[Symbol.asyncDispose]()
})

async function backend(): Promise<number> {
  const server = createServer((_request, response) => {
    response.end(String((server.address() as AddressInfo).port))
  })
  backends.push(server)
  await new Promise<void>(resolve => server.listen(0, '0.0.0.0', resolve))
  return (server.address() as AddressInfo).port
}

const headless = (name: string) => serviceObject('shop', name, [{ name: 'http', port: 80 }], { clusterIP: 'None' })
const slice = (service: string, port: number, addresses: readonly string[], ready = true) =>
  sliceObject(
    'shop',
    service,
    `${service}-${port}`,
    [{ name: 'http', port }],
    addresses.map(address => ({ address, conditions: { ready } })),
  )

test('SRV records of a headless Service bring ports: it is scaled up and down under load, and no request fails', async () => {
  const [one, two, three] = (await Promise.all([backend(), backend(), backend()])) as [number, number, number]
  await cluster.apply(headless('db'), slice('db', one, [ownAddress()]), slice('db', two, [ownAddress()]))
  const port = await freePort()
  await using proxy = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'db' }],
    discovery: { dns: { db: { name: '_http._tcp.db.shop.svc.cluster.local', servers: [dnsAt], refresh: '1s' } } },
  })
  const ports = async () => (await proxy.endpoints('db')).map(({ address }) => Number(address.split(':')[1])).sort()
  await until('that both are known', async () => String(await ports()) === String([one, two].sort()))
  const load = startLoad({ port, path: '/', rate: 50 })
  await cluster.apply(slice('db', three, [ownAddress()]))
  await until('that the third is known', async () => (await ports()).length === 3)
  await cluster.apply(slice('db', one, [ownAddress()], false))
  await until('that the first is out', async () => String(await ports()) === String([two, three].sort()))
  await cluster.must('delete', 'endpointslice', `db-${one}`, `db-${two}`, '-n', 'shop')
  await until('that one is left', async () => String(await ports()) === String([three]))
  const { failures, good } = await load.stop()
  expect([...failures]).toEqual([])
  expect(good).toBeGreaterThan(20)
})

test('A records of a headless Service are endpoints at the port that the file says', async () => {
  const own = await backend()
  await cluster.apply(headless('cache'), slice('cache', own, [ownAddress()]))
  const port = await freePort()
  await using proxy = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'cache' }],
    discovery: { dns: { cache: { name: `cache.shop.svc.cluster.local:${own}`, servers: [dnsAt], refresh: '1s' } } },
  })
  await until('that it serves', async () => (await get(port, '/')).body === String(own))
  await cluster.apply(slice('cache', own, [ownAddress(), '10.78.9.1', '10.78.9.2']))
  await until('that all are known', async () => (await proxy.endpoints('cache')).length === 3)
  await cluster.apply(slice('cache', own, [ownAddress()]))
  await until('that one is left', async () => (await proxy.endpoints('cache')).length === 1)
})
