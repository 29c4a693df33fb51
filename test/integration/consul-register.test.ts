import { createServer, type Server } from 'node:http'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { RegisterCheckSpec, RegisterSpec } from '../../mesh-config/snapshot.ts'
import { type Registration, registration } from '../../proxy/discovery/consul/register.ts'
import { type ConsulAgent, startConsul } from './support/consul.ts'
import { deps, type Ours, ours } from './support/consul-source.ts'
import { freePort } from './support/ports.ts'
import { until, within } from './support/until.ts'

// Registering with a real agent: every kind of check, an agent that forgets, one that is not there.

let consul: ConsulAgent
let mesh: Ours
const running: Registration[] = []

beforeAll(async () => {
  consul = await startConsul()
  await consul.ready()
  mesh = ours(consul)
})
afterEach(() => Promise.all(running.splice(0).map(each => each.stop())))
afterAll(async () => {
  mesh[Symbol.dispose]()
  await consul.stop()
})

const ttl: RegisterCheckSpec = { kind: 'ttl', ttlMs: 1_500, application: true, deregisterAfterMs: 60_000 }

function keep(
  name: string,
  over: Partial<RegisterSpec> = {},
  ready: () => boolean = () => true,
  by: Ours = mesh,
): Registration {
  const spec = {
    name,
    id: `${name}-1`,
    address: null,
    port: 20_000,
    tags: [],
    meta: {},
    weights: { passing: 1, warning: 1 },
    check: ttl,
    ...over,
  }
  const kept = registration(spec, by.client, { ...deps, log: by.log, ready })
  running.push(kept)
  kept.start()
  return kept
}

test('what is registered is what others see: address, port, tags, meta, weights', async () => {
  const seen = mesh.watch('web')
  await seen.reads('')
  const kept = keep('web', {
    address: '2001:db8::5',
    tags: ['v2'],
    meta: { zone: 'a', team: 'shop' },
    weights: { passing: 7, warning: 3 },
  })
  await seen.reads('20000 x7')
  expect(seen.latest()![0]).toMatchObject({
    address: '2001:db8::5',
    zone: 'a',
    metadata: { zone: 'a', team: 'shop', 'tag.v2': 'true' },
  })
  expect(kept.state()).toEqual({ registered: true, trouble: '' })
  await kept.stop()
  await seen.reads('')
})

test('the heartbeat keeps it alive for longer than its TTL, and says whether it is ready', async () => {
  let isReady = false
  const seen = mesh.watch('beating')
  await seen.reads('')
  keep('beating', { weights: { passing: 5, warning: 2 } }, () => isReady)
  // Never ready yet: nobody should call it.
  await seen.reads('20000 x5 critical (heartbeat of the sidecar)')
  isReady = true
  await seen.reads('20000 x5')
  const before = seen.said.length
  await new Promise(done => setTimeout(done, 3_500))
  expect(new Set(seen.said.slice(before))).toEqual(new Set())
  isReady = false
  await seen.reads(
    '20000 x2 (warning: heartbeat of the sidecar: the sidecar is not ready: its admin page /ready says why)',
  )
})

test('without heartbeats Consul takes it for dead', async () => {
  const seen = mesh.watch('dead')
  await seen.reads('')
  using other = ours(consul)
  const kept = keep('dead', {}, () => true, other)
  await seen.reads('20000')
  // As if the process had been killed.
  other.client.close()
  await seen.reads('20000 critical (heartbeat of the sidecar: TTL expired)')
  void kept.stop()
  running.length = 0
})

test('checks that Consul makes: HTTP and TCP', async () => {
  let status = 200
  const server: Server = createServer((_request, response) => void response.writeHead(status).end('well'))
  const port = await freePort()
  await new Promise<void>(done => server.listen(port, '127.0.0.1', done))
  const times = { intervalMs: 300, timeoutMs: 1_000, deregisterAfterMs: 0 }
  const seen = [mesh.watch('by-http'), mesh.watch('by-tcp')]
  keep('by-http', { check: { kind: 'http', target: `http://127.0.0.1:${port}/healthz`, ...times } })
  keep('by-tcp', { check: { kind: 'tcp', target: `127.0.0.1:${port}`, ...times } })
  await Promise.all(seen.map(each => each.reads('20000')))
  status = 503
  await until('the HTTP check fails', () => seen[0]!.latest()?.[0]?.health === 'critical')
  expect(seen[0]!.latest()![0]!.healthReason).toMatch(
    /^GET http:\/\/127\.0\.0\.1:\d+\/healthz: HTTP GET .*503 Service Unavailable/,
  )
  server.closeAllConnections()
  await new Promise(done => server.close(done))
  await until('the TCP check fails', () => seen[1]!.latest()?.[0]?.health === 'critical')
  expect(seen[1]!.latest()![0]!.healthReason).toMatch(/connection refused/)
})

test('a gRPC check is registered as one', async () => {
  keep('by-grpc', {
    check: { kind: 'grpc', target: '127.0.0.1:1/web', intervalMs: 300, timeoutMs: 200, deregisterAfterMs: 0 },
  })
  // What the agent itself knows: the catalog is not told each output of a check that stays critical.
  const check = await until('the check', async () => {
    const all = (await consul.api('GET', '/v1/agent/checks')) as Record<
      string,
      { Type: string; Status: string; Output: string }
    >
    const found = all['service:by-grpc-1']
    return found !== undefined && found.Output !== '' && found
  })
  expect(check).toMatchObject({ Type: 'grpc', Status: 'critical' })
})

test('an older registration with other checks is replaced', async () => {
  await consul.api('PUT', '/v1/agent/service/register', {
    Name: 'replaced',
    ID: 'replaced-1',
    Port: 1,
    Checks: [{ CheckID: 'old', TTL: '1h' }],
  })
  const seen = mesh.watch('replaced')
  await seen.reads("1 critical (Service 'replaced' check)")
  keep('replaced')
  await seen.reads('20000')
})

test('somebody else deregisters it: it comes back at once', async () => {
  const seen = mesh.watch('back')
  await seen.reads('')
  keep('back')
  await seen.reads('20000')
  await consul.api('PUT', '/v1/agent/service/deregister/back-1')
  await until(
    'it was gone',
    () =>
      seen.said.includes('') &&
      seen.said.at(-1) === '20000' &&
      mesh.log.lines().some(line => line.includes('has lost this instance') && line.includes('back-1')),
  )
})

test('an agent that is not there yet, one that is restarted, and one that has lost everything', async () => {
  await using other = await startConsul()
  await other.kill()
  using own = ours(other)
  const kept = keep('late', {}, () => true, own)
  await until('it is said', () => kept.state().trouble !== '')
  expect(kept.state()).toMatchObject({
    registered: false,
    trouble: expect.stringContaining('this instance cannot be registered with Consul: Consul at http://127.0.0.1'),
  })
  await other.restart()
  await other.ready()
  const known = async () => Object.keys((await other.api('GET', '/v1/agent/services')) as object).includes('late-1')
  await until('it is registered', known)
  await other.restart(false)
  await other.ready()
  await until('it is registered again', known)
  await until('and nothing is wrong', () => kept.state().trouble === '' && kept.state().registered)
  const seen = own.watch('late')
  await seen.reads('20000')
  await kept.stop()
  expect(await known()).toBe(false)
}, 300_000)

test('stopping does not wait for an agent that does not answer', async () => {
  await using other = await startConsul()
  await other.ready()
  using own = ours(other)
  const kept = keep('stuck', {}, () => true, own)
  await until('it is registered', () => kept.state().registered)
  await other.child().freeze()
  await within('its end', kept.stop())
  other.child().signal('SIGCONT')
})

test('a token without service:write is named', async () => {
  const management = '11111111-2222-3333-4444-555555555555'
  await using other = await startConsul({
    config: {
      acl: { enabled: true, default_policy: 'deny', tokens: { initial_management: management, agent: management } },
    },
    token: management,
  })
  await other.ready()
  await other.api('PUT', '/v1/acl/policy', { Name: 'reads', Rules: 'service_prefix "" { policy = "read" }' })
  const made = (await other.api('PUT', '/v1/acl/token', { Policies: [{ Name: 'reads' }] })) as { SecretID: string }
  using own = ours(other, { token: made.SecretID })
  const kept = keep('refused', {}, () => true, own)
  await until('it is said', () => kept.state().trouble !== '')
  expect(kept.state().trouble).toMatch(/lacks permission 'service:write' on "refused".*service:write to register/)
  await kept.stop()
})
