import { copyFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { agentZone } from '../../proxy/discovery/consul/agent.ts'
import { temporaryFolder } from './support/child.ts'
import { type ConsulAgent, consulTls, startConsul, type TlsFiles } from './support/consul.ts'
import { deps, ours } from './support/consul-source.ts'
import { until } from './support/until.ts'

// Who may see what, and who may ask at all: a real Consul that denies by default, and one that speaks TLS with
// certificates on both sides.

const MANAGEMENT = '11111111-2222-3333-4444-555555555555'

describe('tokens', () => {
  let consul: ConsulAgent
  beforeAll(async () => {
    const config = {
      acl: { enabled: true, default_policy: 'deny', tokens: { initial_management: MANAGEMENT, agent: MANAGEMENT } },
    }
    consul = await startConsul({ config, token: MANAGEMENT })
    await consul.ready()
    for (const [id, port] of Object.entries({ o1: 9001, o2: 9002 }))
      await consul.api('PUT', '/v1/agent/service/register', { Name: 'orders', ID: id, Port: port })
    // On a node that some may not read.
    await consul.api('PUT', '/v1/catalog/register', {
      Node: 'vault',
      Address: '10.0.0.7',
      Service: { ID: 'o3', Service: 'orders', Port: 9003 },
    })
  })
  afterAll(() => consul.stop())

  let count = 0
  /** A token with these rules. */
  async function token(rules: string): Promise<{ readonly secret: string; readonly id: string }> {
    const name = `policy-${++count}`
    await consul.api('PUT', '/v1/acl/policy', { Name: name, Rules: rules })
    const made = (await consul.api('PUT', '/v1/acl/token', { Policies: [{ Name: name }] })) as {
      SecretID: string
      AccessorID: string
    }
    return { secret: made.SecretID, id: made.AccessorID }
  }

  const all = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'

  function replace(file: string, text: string): void {
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }

  test('without a token, where everything is denied, nothing is believed to be gone', async () => {
    using mesh = ours(consul)
    const orders = mesh.watch('orders')
    expect(await orders.troubled(/./)).toContain(
      'Consul shows no instance of orders: without a token it denies everything; set discovery.consul.token or tokenFile',
    )
    expect(orders.latest()).toBe(null)
  })

  test.each([
    ['nothing', 'key_prefix "x" { policy = "read" }'],
    ['services but no nodes', 'service_prefix "" { policy = "read" }'],
    ['nodes but not this service', 'node_prefix "" { policy = "read" } service "web" { policy = "read" }'],
  ])('a token that may read %s: trouble, not an empty set', async (_what, rules) => {
    using mesh = ours(consul, { token: (await token(rules)).secret })
    const orders = mesh.watch('orders')
    expect(await orders.troubled(/./)).toContain(
      'Consul holds back instances of orders: the token lacks service:read for it, or node:read for their nodes',
    )
    expect(orders.latest()).toBe(null)
  })

  test('a token that Consul does not know is named', async () => {
    using mesh = ours(consul, { token: '99999999-0000-0000-0000-000000000000' })
    const text = await mesh.watch('orders').troubled(/./)
    expect(text).toContain(
      'denies it (instances of orders, 403: ACL not found): the configured token lacks rights; service:read and node:read are needed',
    )
  })

  test('a token in a file is replaced while it is in use; one that can see less loses nothing', async () => {
    const tokenFile = join(temporaryFolder(), 'token')
    const [good, blind, half, next] = [
      await token(all),
      await token('key_prefix "x" { policy = "read" }'),
      await token('service "orders" { policy = "read" } node "server-1" { policy = "read" }'),
      await token(all),
    ]
    writeFileSync(tokenFile, blind.secret)
    using mesh = ours(consul, { tokenFile, waitMs: 1_000 })
    const orders = mesh.watch('orders')
    await orders.troubled(/holds back instances of orders/)
    replace(tokenFile, `${good.secret}\n`)
    await orders.reads('9003, 9001, 9002')
    replace(tokenFile, half.secret)
    await until('it sees less', () => orders.inTrouble())
    expect(orders.said.at(-1)).toContain('holds back instances of orders')
    replace(tokenFile, next.secret)
    await until('it sees all again', () => !orders.inTrouble())
    // Revoked while a question waits.
    await consul.api('DELETE', `/v1/acl/token/${next.id}`)
    await until('it is refused', () => orders.inTrouble())
    expect(orders.said.at(-1)).toContain(`the token in ${tokenFile} lacks rights`)
    replace(tokenFile, good.secret)
    await until('it is believed again', () => !orders.inTrouble())
    expect(new Set(orders.said.filter(line => !line.startsWith('trouble')))).toEqual(new Set(['9003, 9001, 9002']))
  }, 300_000)

  test('a token that only ever sees a part is better than none', async () => {
    using mesh = ours(consul, {
      token: (await token('service "orders" { policy = "read" } node "server-1" { policy = "read" }')).secret,
    })
    await mesh.watch('orders').reads('9001, 9002')
  })

  test('without agent:read the zone is not known, and that is no trouble', async () => {
    using mesh = ours(consul, { token: (await token(all)).secret })
    expect(await agentZone(mesh.client, { ...deps, log: mesh.log })).toBe(null)
    using allowed = ours(consul, { token: (await token(`${all} agent_prefix "" { policy = "read" }`)).secret })
    expect(await agentZone(allowed.client, { ...deps, log: allowed.log })).toBe(null)
    expect(allowed.client.parking.limit()).toBe(100)
    expect(mesh.log.lines()).toHaveLength(1)
    expect(allowed.log.lines()).toEqual([])
  })
})

describe('TLS', () => {
  let consul: ConsulAgent
  let made: Awaited<ReturnType<typeof consulTls>>
  let client: TlsFiles
  let address: string

  beforeAll(async () => {
    made = await consulTls()
    client = await made.client()
    const { ca, cert, key } = made.server
    const tls = {
      defaults: { ca_file: ca, cert_file: cert, key_file: key, verify_incoming: true },
      internal_rpc: { verify_server_hostname: true },
    }
    consul = await startConsul({ https: true, config: { tls } })
    await consul.ready()
    await consul.api('PUT', '/v1/agent/service/register', { Name: 'orders', ID: 'o1', Port: 9001 })
    address = `https://127.0.0.1:${consul.ports.https}`
  })
  afterAll(() => consul.stop())

  const none = { ca: null, cert: null, key: null, serverName: null }

  test('with certificates on both sides; by address, by name, and by another name', async () => {
    for (const serverName of [null, 'localhost', 'server.dc1.consul']) {
      using mesh = ours({ address }, { tls: { ...client, serverName } })
      await mesh.watch('orders').reads('9001')
    }
    using named = ours({ address: address.replace('127.0.0.1', 'localhost') }, { tls: { ...client, serverName: null } })
    await named.watch('orders').reads('9001')
  })

  test.each<[string, object, RegExp]>([
    [
      'a certificate of somebody unknown',
      {},
      /has a certificate that is not accepted: .*(self.signed|unable to (verify|get))/,
    ],
    [
      'another name than the certificate has',
      { ca: 'ca', cert: 'cert', key: 'key', serverName: 'consul.example.com' },
      /has a certificate that is not accepted: .*does not match certificate/,
    ],
    ['no certificate of ours', { ca: 'ca' }, /does not agree on TLS: .*certificate required|closed the connection/],
  ])('%s is trouble', async (_what, given, pattern) => {
    const files: Record<string, string> = { ...client }
    const tls = {
      ...none,
      ...Object.fromEntries(Object.entries(given).map(([name, value]) => [name, files[value as string] ?? value])),
    }
    using mesh = ours({ address }, { tls })
    const orders = mesh.watch('orders')
    expect(await orders.troubled(pattern)).toContain(`Consul at ${address}`)
    expect(orders.latest()).toBe(null)
  })

  test('certificates are read again when they were replaced', async () => {
    const folder = temporaryFolder()
    const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
    const put = (from: TlsFiles) => {
      for (const name of ['ca', 'cert', 'key'] as const) {
        copyFileSync(from[name], `${files[name]}.new`)
        renameSync(`${files[name]}.new`, files[name])
      }
    }
    const stranger = await consulTls()
    put({ ...(await stranger.client()), ca: client.ca })
    using mesh = ours({ address }, { tls: { ...files, serverName: null }, waitMs: 300 })
    const orders = mesh.watch('orders')
    await orders.troubled(/does not agree on TLS: .*(unknown ca|bad certificate)|closed the connection/)
    put(client)
    await orders.reads('9001')
    put(await made.client())
    const before = orders.said.length
    await until('it is asked with the new ones', () => orders.said.length > before + 6)
    expect(orders.inTrouble()).toBe(false)
    // A file that is gone for a moment changes nothing.
    renameSync(files.key, `${files.key}.away`)
    const later = orders.said.length
    await until('it is asked with the old ones', () => orders.said.length > later + 6)
    expect(orders.inTrouble()).toBe(false)
    expect(mesh.log.lines().filter(line => line.includes('the certificates for Consul stay as they are'))).toHaveLength(
      1,
    )
  })

  test('TLS where plain words are spoken', async () => {
    using mesh = ours({ address: consul.address.replace('http', 'https') })
    await mesh
      .watch('orders')
      .troubled(/does not agree on TLS: wrong version number|does not agree on TLS: packet length too long/)
  })

  test('plain words where TLS is spoken', async () => {
    using mesh = ours({ address: address.replace('https', 'http') })
    await mesh.watch('orders').troubled(/answers 400: Client sent an HTTP request to an HTTPS server/)
  })
})
