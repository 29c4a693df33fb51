import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { node, run, startChild, temporaryFolder } from '../integration/support/child.ts'
import { outrigger } from '../integration/support/proxy.ts'
import { until } from '../integration/support/until.ts'
import { obtain } from '../peers/obtain.ts'

// The resolvers that applications use, in a network namespace of their own whose resolv.conf names the sidecar as
// Kubernetes would: with search domains and ndots:5. It needs root, as `npm run test:long` has it in CI.

const IP = await obtain('ip')
const SPACE = 'outrigger-dns-test'
const RESOLV_CONF = `/etc/netns/${SPACE}`
const ORDERS = '240.110.142.24'

const inSpace = async (...command: string[]) => {
  const { out, err, ...how } = await run(IP, ['netns', 'exec', SPACE, ...command])
  if (out === '') throw new Error(`${command.join(' ')}: ${JSON.stringify(how)} ${err}`)
  return out
}

beforeAll(async () => {
  await run(IP, ['netns', 'add', SPACE])
  await run(IP, ['-n', SPACE, 'link', 'set', 'lo', 'up'])
  // glibc asks for IPv4 addresses where the machine has one.
  await run(IP, ['-n', SPACE, 'address', 'add', '10.9.9.9/32', 'dev', 'lo'])
  await run(IP, ['-n', SPACE, 'route', 'add', '240.64.0.0/10', 'dev', 'lo'])
  mkdirSync(RESOLV_CONF, { recursive: true })
  writeFileSync(
    join(RESOLV_CONF, 'resolv.conf'),
    'nameserver 127.0.0.1\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n',
  )
})
afterAll(async () => {
  await run(IP, ['netns', 'del', SPACE])
  rmSync(RESOLV_CONF, { recursive: true })
})

test('glibc, Python, Node and dig find services, and what search domains have comes first', async () => {
  const folder = temporaryFolder()
  const names = join(folder, 'dnsmasq.conf')
  const file = join(folder, 'sidecar.yaml')
  const records = ['host-record=stock.default.svc.cluster.local,10.96.0.7', 'host-record=a.test,10.0.0.1']
  const settings = ['no-resolv', 'no-hosts', 'bind-interfaces', 'listen-address=127.0.0.1', 'port=5300', 'user=root']
  writeFileSync(names, [...settings, 'pid-file', 'local=/cluster.local/', 'local=/test/', ...records, ''].join('\n'))
  writeFileSync(
    file,
    `admin: 127.0.0.1:15000
outbound: [{ listen: 127.0.0.1:15001 }]
discovery: { endpoints: { orders: ['127.0.0.1:9'], stock: ['127.0.0.1:9'] } }
dns: { listen: 127.0.0.1:53, servers: ['127.0.0.1:5300'], ipv6: 'off' }
state: off
`,
  )
  const inside = ['netns', 'exec', SPACE]
  const program = [await obtain('dnsmasq'), '--keep-in-foreground', '--log-facility=-', `--conf-file=${names}`]
  await using dnsmasq = startChild(IP, [...inside, ...program])
  await until('dnsmasq is there', () => dnsmasq.err().includes('started'))
  await using proxy = startChild(IP, [...inside, node, outrigger, 'proxy', '-c', file])
  await until('the sidecar is ready', () => /^dns /m.test(proxy.out()))
  expect(await inSpace('getent', 'ahostsv4', 'orders')).toMatch(new RegExp(`^${ORDERS} +STREAM orders$`, 'm'))
  expect(await inSpace('getent', 'ahostsv4', 'orders.mesh')).toContain(ORDERS)
  expect(await inSpace('getent', 'ahosts', 'orders.service.consul')).toContain(ORDERS)
  // Kubernetes knows `stock`: its answer counts, and the sidecar is not asked for the bare name.
  expect(await inSpace('getent', 'ahostsv4', 'stock')).toContain('10.96.0.7')
  expect(await inSpace('getent', 'ahostsv4', 'stock.mesh')).toMatch(/^240\./)
  expect(await inSpace('getent', 'ahostsv4', 'a.test')).toContain('10.0.0.1')
  expect(await inSpace('getent', 'hosts', ORDERS)).toContain('orders.mesh')
  const python = 'import socket; print(socket.getaddrinfo("orders", 80, type=socket.SOCK_STREAM)[0][4])'
  expect(await inSpace('python3', '-c', python)).toBe(`('${ORDERS}', 80)\n`)
  const script = 'require("dns").lookup("orders", (error, address) => console.log(error, address))'
  expect(await inSpace(node, '-e', script)).toBe(`null ${ORDERS}\n`)
  expect(await inSpace(await obtain('dig'), '+short', '+search', 'orders')).toBe(`${ORDERS}\n`)
})
