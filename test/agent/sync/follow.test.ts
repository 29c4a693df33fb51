import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { FORMAT } from '../../../agent/sync/format.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { agentServer, testSource } from '../support/agent-server.ts'
import { document } from '../support/book.ts'
import { follow, followAndReadNothing, type TestFollower } from '../support/follower.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function started(options: Partial<Parameters<typeof agentServer>[0]> = {}) {
  const files = testSource()
  const agent = await agentServer({ sources: [files.source], ...options })
  ends.push(agent.stop)
  return { files, ...agent }
}

function followed(...args: Parameters<typeof follow>): TestFollower {
  const follower = follow(...args)
  ends.push(follower.close)
  return follower
}

const attempts = (follower: TestFollower, service = 'orders') => follower.spec(service)?.retries.attempts

describe('a proxy', () => {
  test('gets the policies of the services that it names, and then what changes', async () => {
    const { files, socket, sync } = await started()
    files.set(document('orders', 'retries: { attempts: 2 }'))
    const proxy = followed(socket, [{ service: 'orders' }, { service: 'users' }])
    await expect.poll(() => proxy.updates.length).toBe(2)
    expect(proxy.welcome).toMatchObject({ format: FORMAT })
    expect(attempts(proxy)).toBe(2)
    expect(proxy.updates.find(({ service }) => service === 'users')).toMatchObject({ version: 'none' })
    files.set(document('orders', 'retries: { attempts: 3 }'), document('stock', ''))
    await expect.poll(() => attempts(proxy)).toBe(3)
    expect(proxy.updates).toHaveLength(3)
    expect(JSON.parse(proxy.updates.at(-1)!.provenance.toString())).toMatchObject({
      'retries.attempts': { at: 'orders.yaml:1' },
    })
    await expect.poll(() => sync.followers()[0]!.policies.every(({ staleSince }) => staleSince === null)).toBe(true)
    files.set()
    await expect.poll(() => proxy.updates.at(-1)).toMatchObject({ service: 'orders', version: 'none' })
  })

  test('that has the newest version is told so, and sent nothing else', async () => {
    const { files, socket } = await started()
    files.set(document('orders', 'retries: { attempts: 2 }'))
    const first = followed(socket, [{ service: 'orders' }])
    await expect.poll(() => attempts(first)).toBe(2)
    const have = first.updates[0]!.version
    const again = followed(socket, [{ service: 'orders', have }])
    await expect.poll(() => again.updates.length).toBe(1)
    expect(again.updates[0]).toMatchObject({ version: have, unchanged: true })
    expect(again.updates[0]!.spec).toHaveLength(0)
  })

  test('has the last word where its own file says something', async () => {
    const { files, socket } = await started()
    files.set(document('*', 'retries: { attempts: 2 }\ntimeouts: { request: 7s }', 'defaults.yaml'))
    const own = { policy: { retries: { attempts: 5 } }, at: { 'retries.attempts': 'sidecar.yaml:9' } }
    const proxy = followed(socket, [{ service: 'orders', own }])
    await expect.poll(() => attempts(proxy)).toBe(5)
    expect(proxy.spec('orders')!.timeouts.requestMs).toBe(7000)
    expect(JSON.parse(proxy.updates[0]!.provenance.toString())).toMatchObject({
      'retries.attempts': { at: 'sidecar.yaml:9' },
      'timeouts.request': { at: 'defaults.yaml:2' },
    })
    proxy.subscribe([{ service: 'orders', own: { policy: { retries: { attempts: 6 } } } }])
    await expect.poll(() => attempts(proxy)).toBe(6)
  })

  test('whose own file does not fit keeps what it has, and status says why', async () => {
    const { files, socket, sync } = await started()
    files.set(document('orders', 'subsets: { v2: { version: v2 } }'))
    const own = { policy: { routes: [{ to: [{ subset: 'v2' }] }] }, at: { routes: 'sidecar.yaml:3' } }
    const proxy = followed(socket, [{ service: 'orders', own }])
    await expect.poll(() => proxy.updates.length).toBe(1)
    files.set(document('orders', ''))
    const reasons = () => sync.followers()[0]!.policies[0]!.reasons.join()
    await expect.poll(reasons).toContain('sidecar.yaml:3:1: there is no subset "v2"')
    expect(proxy.updates).toHaveLength(1)
  })

  test('that refuses a policy is seen with its reason until it has another one', async () => {
    const { files, socket, sync, said } = await started()
    files.set(document('orders', 'retries: { attempts: 2 }'))
    const isBad = (spec: Buffer) => spec.toString().includes('"attempts":3')
    const proxy = followed(socket, [{ service: 'orders' }], {
      answer: ({ spec }) => (isBad(spec) ? ['no thank you'] : []),
    })
    await expect.poll(() => sync.followers()[0]?.policies[0]?.has).toBeTruthy()
    const has = sync.followers()[0]!.policies[0]!.has
    files.set(document('orders', 'retries: { attempts: 3 }'))
    await expect.poll(() => sync.followers()[0]!.policies[0]!.reasons).toEqual(['no thank you'])
    expect(sync.followers()[0]!.policies[0]!).toMatchObject({ has, wanted: proxy.updates.at(-1)!.version })
    expect(sync.followers()[0]!.policies[0]!.staleSince).not.toBeNull()
    expect(sync.connected()).toEqual({ proxies: 1, stale: 1 })
    expect(said()).toContain('no thank you')
    expect(sync.counts.nacks).toBe(1)
    files.set(document('orders', 'retries: { attempts: 4 }'))
    await expect.poll(() => sync.followers()[0]!.policies[0]!).toMatchObject({ reasons: [], staleSince: null })
    expect(sync.connected()).toEqual({ proxies: 1, stale: 0 })
  })

  test('of another format is refused, and told which side to upgrade', async () => {
    const { socket } = await started()
    const older = followed(socket, [], { formats: [FORMAT - 1] })
    await expect.poll(() => older.ended).toBe(true)
    expect(older.refusal).toMatch(/upgrade the proxy, which is older than the agent$/)
    const newer = followed(socket, [], { formats: [FORMAT + 2, FORMAT + 1] })
    await expect.poll(() => newer.refusal).toMatch(/upgrade the agent, which is older than the proxy$/)
    const both = followed(socket, [{ service: 'orders' }], { formats: [FORMAT + 1, FORMAT] })
    await expect.poll(() => both.updates.length).toBe(0)
    expect(both.refusal).toBe('')
  })

  test('that names too many services is refused, and others go on', async () => {
    const { files, socket, sync } = await started()
    files.set(document('orders', 'retries: { attempts: 2 }'))
    const greedy = followed(
      socket,
      Array.from({ length: 2001 }, (_, i) => ({ service: `s${i}` })),
    )
    await expect.poll(() => greedy.refusal).toMatch(/follows 2001 services, and at most 2000/)
    await expect.poll(() => sync.followers()[0]).toMatchObject({ connected: false, policies: [] })
    const proxy = followed(socket, [{ service: 'orders' }])
    await expect.poll(() => attempts(proxy)).toBe(2)
  })

  test('gets the policies of hundreds of services, each of which has to be made', async () => {
    const { files, socket } = await started()
    files.set(document('*', 'retries: { attempts: 4 }', 'defaults.yaml'))
    const services = Array.from({ length: 300 }, (_, i) => ({ service: `s${i}` }))
    const proxy = followed(socket, services)
    await expect.poll(() => proxy.updates.length, { timeout: 20_000 }).toBe(300)
    expect(services.every(({ service }) => attempts(proxy, service) === 4)).toBe(true)
  })

  test('hands on its summaries', async () => {
    const { socket, summaries } = await started()
    const proxy = followed(socket, [])
    proxy.write({ summary: { lengthMs: 1000, edges: [{ destination: 'orders' }] } })
    await expect.poll(() => summaries).toMatchObject([{ lengthMs: 1000, edges: [{ destination: 'orders' }] }])
  })
})

describe('a bad neighbour', () => {
  /** Documents that fill what may wait for one proxy. */
  const large = (number: number) =>
    document(
      'orders',
      `subsets:\n${Array.from({ length: 2000 }, (_, i) => `  s${i}-${number}: { name: "${'x'.repeat(40)}" }`).join('\n')}`,
    )

  test('that reads nothing holds little, is cut off in the end, and does not delay the others', async () => {
    const { files, socket, sync } = await started({ stalledMs: 3_000 })
    files.set(large(0))
    const stuck = followAndReadNothing(socket, 'orders')
    ends.push(stuck.close)
    await expect.poll(() => sync.counts.updates).toBe(1)
    const proxy = followed(socket, [{ service: 'orders' }], { proxy: 'good' })
    for (let number = 1; number <= 4; number++) {
      files.set(large(number))
      await expect.poll(() => Object.keys(proxy.spec('orders')?.subsets ?? {})[0]).toBe(`s0-${number}`)
    }
    await expect.poll(() => sync.counts.stalled).toBe(1)
    await expect.poll(() => stuck.ended).toBe(true)
    await expect.poll(() => sync.followers().find(({ proxy: name }) => name === 'stuck')?.connected).toBe(false)
    // What did not fit was never made: it had the first one, and the other proxy had at most five.
    expect(sync.counts.updates).toBeLessThanOrEqual(1 + 5)
  })

  test('that is a source with too many documents is in trouble, and takes none away', async () => {
    const { files, socket, policies } = await started()
    files.set(document('orders', 'retries: { attempts: 2 }'))
    const proxy = followed(socket, [{ service: 'orders' }])
    await expect.poll(() => attempts(proxy)).toBe(2)
    files.set(...Array.from({ length: 5_001 }, (_, i) => document(`a${i}`, '')))
    expect(policies.sources()[0]!.trouble).toMatch(/it has 5001 documents, and at most 5000 are read/)
    expect([...policies.documents.inForce().keys()]).toEqual([expect.stringContaining('orders')])
    files.set(document('orders', 'retries: { attempts: 3 }'))
    await expect.poll(() => attempts(proxy)).toBe(3)
  })

  test('that refuses one policy again and again is one line in the log', async () => {
    const { files, socket, sync, said } = await started()
    files.set(document('orders', 'retries: { attempts: 2 }'))
    const proxy = followed(socket, [{ service: 'orders' }], { answer: () => ['no thank you'] })
    await expect.poll(() => sync.counts.nacks).toBe(1)
    const { version } = proxy.updates[0]!
    for (let i = 0; i < 50; i++) {
      proxy.write({ answer: { service: 'orders', version, reasons: i % 2 === 0 ? [] : [`no ${i}`] } })
      proxy.write({ answer: { service: 'orders', version: `v${i}`, reasons: ['never sent'] } })
    }
    await expect.poll(() => sync.counts.nacks).toBe(1 + 25 + 50)
    expect(said().match(/a proxy refuses a policy/g)).toHaveLength(1)
  })

  test('that sends without end is slowed down, and does not delay the others', async () => {
    const { files, socket, summaries } = await started()
    files.set(document('orders', 'retries: { attempts: 2 }'))
    const flood = followed(socket, [], { proxy: 'flood' })
    for (let i = 0; i < 20_000; i++) flood.write({ summary: { lengthMs: i } })
    await expect.poll(() => summaries.length).toBeGreaterThan(1000)
    const proxy = followed(socket, [{ service: 'orders' }])
    await expect.poll(() => attempts(proxy)).toBe(2)
    expect(summaries.length).toBeLessThan(10_000)
  })
})

describe('the agent starts', () => {
  test('while a source is away: with what it knew last, after a bad document too', async () => {
    const file = join(temporaryFolder(), 'policies.json')
    const kv = testSource('consul kv')
    const first = await agentServer({ sources: [kv.source], file })
    kv.set(document('orders', 'retries: { attempts: 2 }'))
    await expect.poll(() => first.policies.documents.inForce().size).toBe(1)
    kv.set(document('orders', 'bad'))
    await expect.poll(() => first.policies.documents.refused().length).toBe(1)
    await first.stop()
    const silent = testSource('consul kv')
    const { socket, policies } = await started({ sources: [silent.source], file })
    const proxy = followed(socket, [{ service: 'orders' }])
    await expect.poll(() => attempts(proxy)).toBe(2)
    silent.set(document('orders', 'bad'))
    await expect.poll(() => policies.documents.refused().length).toBe(1)
    expect(policies.documents.inForce().size).toBe(1)
  })

  test('and holds back from proxies that have a policy until each source has answered', async () => {
    const kv = testSource('consul kv')
    const files = testSource()
    const { socket, policies } = await started({ sources: [files.source, kv.source] })
    files.set(document('orders', 'retries: { attempts: 2 }'))
    const fresh = followed(socket, [{ service: 'orders' }], { proxy: 'fresh' })
    await expect.poll(() => attempts(fresh)).toBe(2)
    const old = followed(socket, [{ service: 'orders', have: 'of-before' }], { proxy: 'old' })
    await expect.poll(() => old.welcome).not.toBeNull()
    expect(policies.notReady()).toEqual(['the agent waits for consul kv'])
    kv.set(document('orders', 'retries: { attempts: 3 }', 'kv orders'))
    await expect.poll(() => attempts(old)).toBe(3)
    expect(old.updates).toHaveLength(1)
  })
})

test('a thousand proxies share one compiled policy, and reconnect at once', async () => {
  const { files, socket, sync } = await started()
  files.set(document('orders', 'retries: { attempts: 2 }'))
  const connect = () =>
    Array.from({ length: 1000 }, (_, i) => followed(socket, [{ service: 'orders' }], { proxy: `p${i}` }))
  let proxies = connect()
  await expect.poll(() => proxies.every(proxy => proxy.updates.length === 1)).toBe(true)
  for (const proxy of proxies) proxy.close()
  proxies = connect()
  await expect.poll(() => proxies.every(proxy => proxy.updates.length === 1)).toBe(true)
  files.set(document('orders', 'retries: { attempts: 3 }'))
  await expect.poll(() => proxies.every(proxy => attempts(proxy) === 3)).toBe(true)
  await expect.poll(() => sync.followers().filter(({ connected }) => connected).length).toBe(1000)
  expect(sync.counts.updates).toBe(3000)
}, 300_000)
