import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { FlightView } from '../../proxy/core/channel.ts'
import { onPath } from '../peers/find.ts'
import { obtain } from '../peers/obtain.ts'
import { type Child, node, temporaryFolder } from './support/child.ts'
import { farServers, type Redirected, redirected } from './support/redirected.ts'
import { until } from './support/until.ts'

// Applications that know nothing of a sidecar, on a host whose connections are redirected to it, with a real Consul.

const host = await redirected(['orders', 'orders.service.consul', 'www.example.com', 'legacy'])

const listeners = (more: Readonly<Record<string, unknown>> = {}) => ({
  outbound: ['127.0.0.1:15001', '[::1]:15001'].map(listen => ({ listen, transparent: true, ...more })),
  inbound: [{ listen: '0.0.0.0:15006', transparent: true }],
})

describe('redirected connections', () => {
  const { near, far, farAddress, farAddress6, nearAddress, startSidecar } = host as Redirected
  let sidecar: Child

  const curl = (...args: string[]) => near.run('curl', ['-sS', '-m', '30', ...args])
  const flights = async () =>
    JSON.parse(await curl('http://127.0.0.1:15000/flights?format=json')).flights as FlightView[]
  const flightOf = async (path: string) => (await flights()).find(flight => flight.path === path)

  async function consul(path: string, body: unknown): Promise<void> {
    await far.run('curl', ['-sS', '-X', 'PUT', '-d', JSON.stringify(body), `http://${farAddress}:8500${path}`])
  }

  beforeAll(async () => {
    const servers = far.start(node, [farServers, farAddress, farAddress6])
    await servers.said('that it serves', out => out.includes('ready'))
    far.start(await obtain('consul'), [
      ...['agent', '-dev', '-client', '0.0.0.0', '-bind', farAddress],
      ...['-data-dir', temporaryFolder()],
    ])
    await until('Consul has a leader', async () =>
      (await far.run('curl', ['-s', `http://${farAddress}:8500/v1/status/leader`])).includes(':8300'),
    )
    for (const port of [8081, 8082])
      await consul('/v1/agent/service/register', {
        Name: 'orders',
        ID: `orders-${port}`,
        Address: farAddress,
        Port: port,
      })
    await consul('/v1/agent/service/register', { Name: 'six', ID: 'six', Address: farAddress6, Port: 8081 })
    await consul('/v1/agent/service/register', { Name: 'db', ID: 'db', Address: farAddress, Port: 3307 })
    sidecar = startSidecar({
      ...listeners(),
      discovery: { consul: { address: `http://${farAddress}:8500` } },
      services: { orders: { balancer: { type: 'round_robin' } }, six: {}, db: { protocol: 'tcp' } },
      accessLog: {
        mode: 'on',
        template: '%UPSTREAM_CLUSTER% %DOWNSTREAM_LOCAL_ADDRESS% %UPSTREAM_HOST% %REQ(:PATH)% %RESPONSE_FLAGS%\n',
      },
    })
    await until('the sidecar is ready', async () => (await curl('http://127.0.0.1:15000/ready')).includes('ready'))
  })

  test('nothing is said of experimental parts of Node', () => {
    expect(sidecar.err()).not.toContain('ExperimentalWarning')
  })

  test('curl is balanced over the instances of the service that it names', async () => {
    const ports = new Set<number>()
    for (let i = 0; i < 4; i++) ports.add(JSON.parse(await curl('http://orders:8081/curl')).port)
    expect([...ports].sort()).toEqual([8081, 8082])
    expect(await flightOf('/curl')).toMatchObject({ by: 'host', service: 'orders', flag: '-' })
  })

  test('an instance that is named by its address belongs to its service', async () => {
    const ports = new Set<number>()
    for (let i = 0; i < 4; i++) ports.add(JSON.parse(await curl(`http://${farAddress}:8081/address`)).port)
    expect([...ports].sort()).toEqual([8081, 8082])
    expect(await flightOf('/address')).toMatchObject({ by: 'address', service: 'orders' })
  })

  test('what belongs to no service goes on to where it was going, and the records say so', async () => {
    const body = JSON.parse(await curl('http://www.example.com:8090/foreign'))
    expect(body).toMatchObject({ port: 8090, host: 'www.example.com:8090', from: nearAddress })
    expect(await flightOf('/foreign')).toMatchObject({ by: 'original', service: 'PassthroughCluster' })
    await until('it is in the access log', async () =>
      sidecar.out().includes(`PassthroughCluster ${farAddress}:8090 ${farAddress}:8090 /foreign -`),
    )
    expect(await curl('http://127.0.0.1:15000/metrics')).toMatch(/http_requests_total\{.*service="PassthroughCluster"/)
  })

  test('IPv6: a service by its address, and a destination of its own', async () => {
    expect(JSON.parse(await curl(`http://[${farAddress6}]:8081/v6`)).port).toBe(8081)
    expect(await flightOf('/v6')).toMatchObject({ by: 'address', service: 'six' })
    expect(JSON.parse(await curl(`http://[${farAddress6}]:8090/v6-foreign`)).port).toBe(8090)
    expect(await flightOf('/v6-foreign')).toMatchObject({ by: 'original' })
  })

  test('Node, Python and Java clients that know nothing of it', async () => {
    const url = (name: string) => `http://orders:8081/${name}`
    const got: Record<string, string> = {
      node: await near.run(node, ['-e', `fetch('${url('node')}').then(r => r.text()).then(console.log)`]),
    }
    const python = onPath(['python3'])
    if (python !== null)
      got.python = await near.run(python, [
        '-c',
        `import urllib.request as u; print(u.urlopen('${url('python')}').read().decode())`,
      ])
    const java = join(await obtain('javac'), '../java')
    const file = join(temporaryFolder(), 'Ask.java')
    writeFileSync(
      file,
      `import java.net.*; import java.net.http.*; public class Ask { public static void main(String[] a) throws Exception {
          System.out.println(HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create("${url('java')}")).build(), HttpResponse.BodyHandlers.ofString()).body()); } }`,
    )
    got.java = await near.run(java, [file])
    for (const [name, answer] of Object.entries(got)) {
      expect(answer, name).toContain(`"url":"/${name}"`)
      expect(await flightOf(`/${name}`), name).toMatchObject({ by: 'host', service: 'orders' })
    }
  })

  const say = (to: string, port: number, word: string) =>
    near.run(node, [
      '-e',
      `const s = require('net').connect(${port}, '${to}'); s.on('data', d => { process.stdout.write(d); if (!s.said) { s.said = 1; s.write('${word}') } }); s.on('error', e => console.log(e.code))`,
    ])

  test('servers that speak first are heard: on a known port, by their service, and anywhere else', async () => {
    expect(await say(farAddress, 3306, 'a')).toBe('greeting of 3306\r\nyou said a')
    expect(await say(farAddress, 3307, 'b')).toBe('greeting of 3307\r\nyou said b')
    const all = await flights()
    expect(all.find(({ protocol, service }) => protocol === 'tcp' && service === 'db')).toMatchObject({ by: 'address' })
    expect(all.find(({ protocol, service }) => protocol === 'tcp' && service === 'PassthroughCluster')).toBeDefined()
  })

  test('redis-cli speaks to a Redis that no file mentions', async () => {
    const server = far.start(await obtain('redis-server'), [
      ...['--bind', farAddress, '--protected-mode', 'no', '--save', '', '--dir', temporaryFolder()],
    ])
    await server.said('that it serves', out => out.includes('eady to accept connections'))
    const cli = await obtain('redis-cli')
    expect(await near.run(cli, ['-h', farAddress, 'PING'])).toBe('PONG\n')
    await server.stop()
  })

  test('HTTP/2 with prior knowledge goes by the name in each request', async () => {
    expect(JSON.parse(await curl('--http2-prior-knowledge', 'http://orders:8081/h2')).url).toBe('/h2')
    expect(await flightOf('/h2')).toMatchObject({ protocol: 'h2', by: 'host', service: 'orders' })
  })

  test('silent clients and a black hole keep no other from anything', async () => {
    const crowd = near.start(node, [
      '-e',
      `const net = require('net'); let n = 0; for (let i = 0; i < 1000; i++) net.connect(${'8090'}, '${farAddress}').on('connect', () => ++n === 1000 && console.log('all')).on('error', () => {}); for (let i = 0; i < 50; i++) net.connect(80, '10.202.1.99').on('error', () => {}); setTimeout(() => {}, 600000)`,
    ])
    await crowd.said('that all are connected', out => out.includes('all'))
    for (let i = 0; i < 5; i++) expect(JSON.parse(await curl('http://www.example.com:8090/beside')).port).toBe(8090)
    await crowd.stop()
  })

  test('from elsewhere, the application is where the caller went; the port itself leads nowhere', async () => {
    const app = near.start(node, [
      '-e',
      `require('http').createServer((q, s) => s.end('app ' + q.url)).listen(3000, '0.0.0.0', () => console.log('up'))`,
    ])
    await app.said('that it serves', out => out.includes('up'))
    expect(await far.run('curl', ['-sS', `http://${nearAddress}:3000/in`])).toBe('app /in')
    expect(await flightOf('/in')).toMatchObject({ direction: 'inbound', destination: 'local_app:3000', by: 'original' })
    expect(await far.run('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', `http://${nearAddress}:15006/`])).toBe(
      '404',
    )
    // What listens on loopback only is not shown to other hosts, the admin port least of all.
    expect(
      await far.run('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', `http://${nearAddress}:15000/config`]),
    ).toBe('503')
    await app.stop()
  })

  test('explain shows the same way', async () => {
    const explain = (query: string) => curl(`http://127.0.0.1:15000/explain?format=text&${query}`)
    expect(await explain(`url=http://${farAddress}:8081/x`)).toContain(
      `orders: no service is known as "${farAddress}:8081", and ${farAddress}:8081 belongs to it`,
    )
    expect(await explain(`url=http://www.example.com/&to=${farAddress}:8090`)).toContain(
      `it goes on to where it was going`,
    )
  })
})

const unexempt = await redirected([], false)

describe('a sidecar whose own connections are redirected too', () => {
  test('cuts the circle, and says what to do', async () => {
    const { near, far, farAddress, farAddress6, startSidecar } = unexempt as Redirected
    const servers = far.start(node, [farServers, farAddress, farAddress6])
    await servers.said('that it serves', out => out.includes('ready'))
    const sidecar = startSidecar(listeners())
    await until('the sidecar is ready', async () =>
      (await near.run('curl', ['-sS', 'http://127.0.0.1:15000/ready'])).includes('ready'),
    )
    const status = ['-sS', '-m', '30', '-o', '/dev/null', '-w', '%{http_code}']
    expect(await near.run('curl', [...status, `http://${farAddress}:8090/`])).toMatch(/^50[38]/)
    await until('it is said', async () => `${sidecar.out()}${sidecar.err()}`.includes('exempt its user'))
  })
})
