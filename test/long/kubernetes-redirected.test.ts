import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FlightView } from '../../proxy/core/channel.ts'
import { node, root } from '../integration/support/child.ts'
import { farServers, redirected } from '../integration/support/redirected.ts'
import { until } from '../integration/support/until.ts'
import { type Cluster, startCluster } from './support/cluster.ts'
import { serviceObject, sliceObject } from './support/cluster-objects.ts'
import { type Relay, startRelay } from './support/relay.ts'

/** Unchanged applications that connect to the ClusterIP of a Service, which no machine has: a real API server says what it means. */

const { near, far, farAddress, farAddress6, put, startSidecar, wayIn } = await redirected(['www.example.com'])
let cluster: Cluster
let relay: Relay

const curl = (...args: string[]) => near.run('curl', ['-sS', '-m', '30', ...args])
const ipOf = (name: string) => cluster.must('get', 'service', name, '-n', 'shop', '-o', 'jsonpath={.spec.clusterIP}')

beforeAll(async () => {
  const servers = far.start(node, [farServers, farAddress, farAddress6])
  await servers.said('that it serves', out => out.includes('ready'))
  cluster = await startCluster()
  const { ours } = await wayIn()
  relay = await startRelay(Number(new URL(cluster.server).port), ours)
  await cluster.makeNamespace('shop')
  await cluster.must('apply', '-f', join(root, 'deploy/kubernetes/discovery.yaml'))
  const group = '--group=system:serviceaccounts:shop'
  await cluster.must('create', 'rolebinding', 'd', '-n', 'shop', '--clusterrole=outrigger-discovery', group)
  const port = (name: string, number: number) => [{ name, port: number }]
  const endpoints = [{ address: farAddress }]
  await cluster.apply(
    serviceObject('shop', 'orders', [...port('http', 80), ...port('admin', 9090)]),
    sliceObject('shop', 'orders', 'orders-a', [...port('http', 8081), ...port('admin', 8090)], endpoints),
    sliceObject('shop', 'orders', 'orders-b', port('http', 8082), endpoints),
    serviceObject('shop', 'db', port('mysql', 3306)),
    sliceObject('shop', 'db', 'db-a', port('mysql', 3307), endpoints),
  )
  const account = await cluster.serviceAccount('shop', 'default')
  const [tokenFile, ca] = ['token', 'ca.crt'].map(name => put(name, readFileSync(join(account, name), 'utf8')))
  startSidecar({
    outbound: ['127.0.0.1:15001', '[::1]:15001'].map(listen => ({ listen, transparent: true })),
    discovery: {
      kubernetes: {
        address: `https://${ours}:${relay.port}`,
        tokenFile,
        tls: { ca, serverName: 'localhost' },
        namespace: 'shop',
      },
    },
    services: { orders: { balancer: { type: 'round_robin' } } },
  })
  await until('the sidecar is ready', async () => (await curl('http://127.0.0.1:15000/ready')).includes('ready'))
})

afterAll(async () => {
  relay?.close()
  await cluster?.[Symbol.asyncDispose]()
})

async function flightOf(path: string): Promise<FlightView | undefined> {
  const { flights } = JSON.parse(await curl('http://127.0.0.1:15000/flights?format=json')) as { flights: FlightView[] }
  return flights.find(flight => flight.path === path)
}

test('a ClusterIP belongs to its Service and is balanced; each port is one of its own', async () => {
  const ip = await ipOf('orders')
  const ports = new Set<number>()
  for (let i = 0; i < 4; i++) ports.add(JSON.parse(await curl(`http://${ip}/by-address`)).port)
  expect([...ports].sort()).toEqual([8081, 8082])
  expect(await flightOf('/by-address')).toMatchObject({ by: 'address', service: 'orders' })
  expect(JSON.parse(await curl(`http://${ip}:9090/admin`)).port).toBe(8090)
  expect(await flightOf('/admin')).toMatchObject({ service: 'orders:9090' })
})

test('a name of the cluster counts before the address, with its port', async () => {
  const host = 'orders.shop.svc.cluster.local'
  const ip = await ipOf('orders')
  const resolve = (port: number) => ['--resolve', `${host}:${port}:${ip}`]
  expect(JSON.parse(await curl(...resolve(80), `http://${host}/name`)).host).toBe(host)
  expect(await flightOf('/name')).toMatchObject({ by: 'host', service: 'orders' })
  expect(JSON.parse(await curl(...resolve(9090), `http://${host}:9090/port`)).port).toBe(8090)
})

test('a server that speaks first is found by its ClusterIP alone, at the first connection', async () => {
  const script = `
    const socket = require('node:net').connect(3306, '${await ipOf('db')}', () => socket.write('a'))
    socket.on('data', bytes => process.stdout.write(bytes))`
  expect(await near.run(node, ['-e', script])).toBe('greeting of 3307\r\nyou said a')
})

test('what is no Service goes on to where it was going', async () => {
  expect(JSON.parse(await curl(`http://[${farAddress6}]:8090/away`)).port).toBe(8090)
  expect(await flightOf('/away')).toMatchObject({ by: 'original' })
})
