import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ConsulServiceSpec, ConsulSpec, EndpointSpec } from '../../../mesh-config/snapshot.ts'
import { consulSource } from '../../../proxy/discovery/consul/source.ts'
import { pause } from '../../../proxy/discovery/pause.ts'
import { logTape } from '../../support/log-tape.ts'
import { seeded } from '../../support/random.ts'
import { check, entry } from './entries.ts'
import { registry } from './registry.ts'
import { denied, refused, virtualTime } from './tape.ts'

const orders: ConsulServiceSpec = {
  service: 'orders',
  name: 'orders',
  datacenter: null,
  tags: [],
  addressKind: 'service',
  failover: [],
}
const at = (port: number, status = 'passing') => entry({ ID: `i${port}`, Port: port }, [check(status)])

function mesh(spec: Partial<ConsulSpec> = {}) {
  const time = virtualTime()
  const log = logTape()
  const made = registry(time, spec)
  const deps = { clock: time.clock, random: seeded(5), log }
  /** `watch` notes ports, and troubles; a set that is the same array as before is `same`. */
  function watch(
    service: Partial<ConsulServiceSpec> = {},
    doubted: (said: readonly EndpointSpec[]) => boolean = () => false,
  ) {
    const said: unknown[] = []
    const end = new AbortController()
    let last: readonly EndpointSpec[] | null = null
    const onSet = (endpoints: readonly EndpointSpec[]) => {
      said.push(
        endpoints === last
          ? 'same'
          : endpoints.map(
              ({ port, priority, health }) =>
                `${port}${priority > 0 ? ` ${priority}` : ''}${health === 'passing' ? '' : ` ${health}`}`,
            ),
      )
      last = endpoints
    }
    consulSource({ ...orders, ...service }, made.client, deps).watch(
      { onSet, isDoubted: () => doubted(last ?? []), onTrouble: reason => said.push(`trouble: ${reason}`) },
      end.signal,
    )
    return { said, end, ports: () => last?.map(({ port }) => port) ?? null }
  }
  return { time, log, watch, ...made }
}

test('its name says which service of which datacenter, where that is not plain', () => {
  const { client, log, time } = mesh()
  const name = (service: Partial<ConsulServiceSpec>) =>
    consulSource({ ...orders, ...service }, client, { clock: time.clock, random: seeded(1), log }).name
  expect(name({})).toBe('consul')
  expect(name({ name: 'orders-v2', datacenter: 'eu' })).toBe('consul orders-v2 in eu')
})

test('instances come, change and go', async () => {
  const { time, registry, watch } = mesh()
  registry.put('orders', 'a', at(1))
  const { said } = watch()
  await time.pass(300)
  registry.put('orders', 'b', at(2))
  await time.pass(300)
  registry.put('orders', 'a', at(1, 'critical'))
  await time.pass(300)
  registry.drop('orders', 'a')
  await time.pass(300)
  registry.put('other', 'a', at(9))
  await time.pass(300)
  expect(said).toEqual([['1'], ['1', '2'], ['1 critical', '2'], ['2']])
})

test('nothing changed for a long time: the same set again, which confirms it', async () => {
  const { time, registry, watch } = mesh()
  registry.put('orders', 'a', at(1))
  const { said } = watch()
  await time.pass(650_000, 100)
  expect(said[0]).toEqual(['1'])
  expect(said.length).toBeGreaterThanOrEqual(3)
  expect(new Set(said.slice(1))).toEqual(new Set(['same']))
})

test('a service that nobody registered is an empty set', async () => {
  const { time, watch } = mesh()
  const { said } = watch()
  await time.pass(100)
  expect(said).toEqual([[]])
})

test('while Consul is gone there is trouble and no set; back with nothing it says so at once', async () => {
  const { time, registry, watch } = mesh()
  registry.put('orders', 'a', at(1))
  const { said } = watch()
  await time.pass(1_000)
  registry.fail(refused())
  await time.pass(3_600_000, 200)
  expect(said[0]).toEqual(['1'])
  expect(new Set(said.slice(1))).toEqual(new Set(['trouble: Consul at http://127.0.0.1:8500 refuses connections']))
  registry.lose()
  registry.fail(null)
  await time.pass(31_000, 100)
  expect(said.at(-1)).toEqual([])
})

test('behind the copy that an agent keeps, servers that die are noticed, and what they know afterwards is asked for at once', async () => {
  const { time, registry, watch } = mesh()
  registry.copied = true
  registry.put('orders', 'a', at(1))
  registry.put('orders', 'b', at(2))
  const { said } = watch()
  await time.pass(1_000)
  registry.fail(refused())
  await time.pass(2_000)
  expect(said[0]).toEqual(['1', '2'])
  expect(new Set(said.slice(1))).toEqual(new Set(['trouble: Consul at http://127.0.0.1:8500 refuses connections']))
  // The index of the servers begins anew: who waits behind the old one would wait for long.
  registry.lose()
  registry.put('orders', 'a', at(1))
  registry.fail(null)
  await time.pass(5_000)
  expect(said.at(-1)).toEqual(['1'])
  registry.put('orders', 'c', at(3))
  await time.pass(300)
  expect(said.at(-1)).toEqual(['1', '3'])
})

test('an answer that was on its way while the servers were renewed is asked for again', async () => {
  const { time, registry, client, watch } = mesh()
  registry.put('orders', 'a', at(1))
  registry.put('orders', 'b', at(2))
  const { health } = client
  client.health = async (...args) => {
    const answer = await health(...args)
    if (args[2].index === 0) await pause(time.clock, 1_000, new AbortController().signal)
    return answer
  }
  const { said } = watch()
  await time.pass(300)
  registry.fail(refused())
  registry.lose()
  registry.put('orders', 'a', at(1))
  registry.fail(null)
  await time.pass(3_000)
  expect(said).toEqual([['1']])
})

test('what the copy of an agent says while its servers are gone is not believed, nor that something is gone', async () => {
  const { time, registry, watch } = mesh()
  registry.copied = true
  registry.put('orders', 'a', at(1))
  const { said } = watch()
  await time.pass(1_000)
  registry.fail(refused())
  await time.pass(3_000)
  registry.put('orders', 'b', at(2))
  registry.drop('orders', 'a')
  await time.pass(60_000, 50)
  expect(new Set(said.slice(1))).toEqual(new Set(['trouble: Consul at http://127.0.0.1:8500 refuses connections']))
  registry.fail(null)
  await time.pass(31_000, 50)
  expect(said.at(-1)).toEqual(['2'])
})

test('an answer while its servers are in trouble is delivered, and doubted', async () => {
  const { time, registry, client, watch } = mesh()
  client.servers = () => Promise.reject(refused())
  registry.put('orders', 'a', at(1))
  const { said } = watch()
  await time.pass(500)
  registry.put('orders', 'b', at(2))
  await time.pass(500)
  const trouble = 'trouble: Consul at http://127.0.0.1:8500 refuses connections'
  expect(said.filter(Array.isArray)).toEqual([['1'], ['1', '2']])
  for (const [i, line] of said.entries()) if (Array.isArray(line)) expect(said[i + 1]).toBe(trouble)
})

test('a check that says something else, and nothing more, changes nothing', async () => {
  const { time, registry, watch } = mesh()
  registry.put('orders', 'a', entry({ Port: 1 }, [check('passing', '12 ms')]))
  const { said } = watch()
  await time.pass(300)
  registry.put('orders', 'a', entry({ Port: 1 }, [check('passing', '13 ms')]))
  await time.pass(300)
  expect(said).toEqual([['1'], 'same'])
})

test('when it ends nothing waits any more and its place is free', async () => {
  const { time, registry, client, watch } = mesh()
  client.parking.allow(8)
  const watches = Array.from({ length: 4 }, (_, i) => watch({ service: `s${i}`, name: `s${i}`, failover: ['eu'] }))
  await time.pass(1_000)
  expect(client.parking.mayPark({})).toBe(false)
  expect(registry.waiting()).toBeGreaterThan(4)
  for (const { end } of watches) end.abort()
  await time.pass(500)
  expect(registry.waiting()).toBe(0)
  expect(Array.from({ length: 4 }, () => ({})).every(client.parking.mayPark)).toBe(true)
})

test('servers that are too long without a leader are trouble, also where the copy of the agent goes on', async () => {
  const { time, registry, watch } = mesh()
  registry.copied = true
  registry.put('orders', 'a', at(1))
  const { said } = watch()
  await time.pass(1_000)
  registry.headers = { knownLeader: false }
  await time.pass(60_000, 100)
  // There is one, and it answers.
  expect(said.slice(1)).toEqual([])
  registry.fail(refused())
  await time.pass(60_000, 100)
  expect(said.at(-1)).toBe('trouble: Consul at http://127.0.0.1:8500 refuses connections')
  registry.headers = {}
  registry.fail(null)
  await time.pass(31_000, 100)
  expect(said.at(-1)).toBe('same')
})

test('an instance without a port is left out, said once in the log; when none is left that is trouble', async () => {
  const { time, registry, watch, log } = mesh()
  registry.put('orders', 'a', at(1))
  registry.put('orders', 'b', at(0))
  const { said } = watch()
  await time.pass(300)
  registry.put('orders', 'c', at(3))
  await time.pass(300)
  expect(said).toEqual([['1'], ['1', '3']])
  expect(log.lines()).toEqual([
    'warn instances in Consul that cannot be called: i0 has no port or no address service=orders',
  ])
  registry.drop('orders', 'a')
  registry.drop('orders', 'c')
  await time.pass(5_000)
  expect(said.at(-1)).toBe('trouble: no instance of orders in Consul can be called: i0 has no port or no address')
})

describe('what a token may not see is not gone', () => {
  test('an empty answer that was filtered is trouble', async () => {
    const { time, registry, watch } = mesh({ token: 'x' })
    registry.put('orders', 'a', at(1))
    const { said } = watch()
    await time.pass(300)
    registry.headers = { filtered: true }
    registry.drop('orders', 'a')
    await time.pass(300)
    const trouble =
      'trouble: Consul holds back instances of orders: the token lacks service:read for it, or node:read for their nodes'
    expect(said[0]).toEqual(['1'])
    expect(new Set(said.slice(1))).toEqual(new Set([trouble]))
    registry.headers = {}
    await time.pass(20_000)
    expect(said.at(-1)).toEqual([])
  })

  test('so is an answer that was whole before and is filtered now; one that never was whole is better than none', async () => {
    const { time, registry, watch } = mesh({ token: 'x' })
    registry.put('orders', 'a', at(1))
    registry.put('orders', 'b', at(2))
    const whole = watch()
    await time.pass(300)
    registry.headers = { filtered: true }
    const part = watch()
    registry.drop('orders', 'b')
    await time.pass(300)
    expect(whole.said.slice(0, 2)).toEqual([
      ['1', '2'],
      expect.stringContaining('trouble: Consul holds back instances'),
    ])
    expect(part.said).toEqual([['1', '2'], ['1']])
  })

  test('without a token an empty answer means nothing where everything is denied', async () => {
    const { time, registry, watch } = mesh()
    registry.headers = { deniesByDefault: true }
    const { said } = watch()
    await time.pass(100)
    expect(said[0]).toContain('trouble: Consul shows no instance of orders: without a token it denies everything')
    registry.put('orders', 'a', at(1))
    await time.pass(15_000)
    expect(said.at(-1)).toEqual(['1'])
  })
})

describe('failover datacenters', () => {
  const failover = { failover: ['eu', 'us'] }

  test('are priority 1, 2, ...; an address counts where it comes first', async () => {
    const { time, registry, watch } = mesh()
    registry.put('orders', 'a', at(1))
    registry.put('orders', 'a', at(2), 'eu')
    registry.put('orders', 'b', at(1), 'eu')
    registry.put('orders', 'a', at(3), 'us')
    const { said } = watch(failover)
    await time.pass(300)
    expect(said).toEqual([['1', '2 1', '3 2']])
    registry.drop('orders', 'a')
    await time.pass(300)
    expect(said.at(-1)).toEqual(['1 1', '2 1', '3 2'])
  })

  test('an answer that says nothing new gives the same set again', async () => {
    const { time, registry, watch } = mesh()
    registry.put('orders', 'a', at(1))
    registry.put('orders', 'a', at(2), 'eu')
    const { said } = watch(failover)
    await time.pass(320_000, 100)
    expect(said[0]).toEqual(['1', '2 1'])
    expect(said.length).toBeGreaterThan(3)
    expect(new Set(said.slice(1))).toEqual(new Set(['same']))
  })

  test('nothing is delivered before each has answered or failed; trouble of one stays said', async () => {
    const { time, registry, watch } = mesh()
    registry.put('orders', 'a', at(1))
    registry.put('orders', 'a', at(3), 'us')
    registry.fail(refused(), 'eu')
    const { said } = watch(failover)
    await time.pass(50)
    const trouble = 'trouble: Consul at http://127.0.0.1:8500 refuses connections'
    expect(said).toEqual([trouble, ['1', '3 2'], trouble])
    registry.put('orders', 'b', at(2))
    await time.pass(300)
    const next = said.findIndex((each, i) => i > 2 && Array.isArray(each))
    expect(said.slice(next, next + 2)).toEqual([['1', '2', '3 2'], trouble])
    registry.fail(null, 'eu')
    registry.put('orders', 'a', at(4), 'eu')
    await time.pass(10_000)
    expect(said.at(-1)).toEqual(['1', '2', '4 1', '3 2'])
  })

  test('that they have none does not empty what its own datacenter cannot say', async () => {
    const { time, registry, watch } = mesh()
    registry.fail(denied())
    const { said } = watch(failover)
    await time.pass(500)
    expect(new Set(said)).toEqual(new Set(['trouble: Consul denies it']))
  })
})

describe('more services than connections', () => {
  const many = 40
  const allowed = 20
  const nameOf = (i: number) => `s${i}`

  function crowd() {
    const all = mesh()
    all.client.parking.allow(allowed)
    for (let i = 0; i < many; i++) all.registry.put(nameOf(i), 'a', at(1))
    const watches = Array.from({ length: many }, (_, i) => all.watch({ service: nameOf(i), name: nameOf(i) }))
    return { ...all, watches }
  }

  test('while nothing changes hardly anything is asked', async () => {
    const { time, registry, watches } = crowd()
    await time.pass(2_000)
    expect(watches.map(({ ports }) => ports())).toEqual(Array(many).fill([1]))
    registry.asked()
    await time.pass(240_000, 100)
    expect(registry.asked()).toEqual([])
  })

  test('each change arrives within a second, with or without a check', async () => {
    const { time, registry, watches } = crowd()
    await time.pass(5_000)
    for (let i = 0; i < many; i++) {
      const { Checks: _checks, ...bare } = entry({ Port: 2 })
      registry.put(nameOf(i), 'b', i % 2 === 0 ? at(2) : { ...bare, Checks: [] })
      await time.pass(1_000)
      expect([i, watches[i]!.ports()]).toEqual([i, [1, 2]])
    }
  })

  test('one that joins later misses nothing, and one that leaves is not asked for any more', async () => {
    const { time, registry, watch, watches } = crowd()
    await time.pass(2_000)
    registry.put('late', 'a', at(1))
    const late = watch({ service: 'late', name: 'late' })
    await time.pass(20)
    registry.put('late', 'b', at(2))
    await time.pass(1_500)
    expect(late.ports()).toEqual([1, 2])
    for (const { end } of watches) end.abort()
    late.end.abort()
    await time.pass(1_000)
    registry.asked()
    await time.pass(700_000, 200)
    expect(registry.asked()).toEqual([])
  })

  test('where something else is registered all the time not everybody asks all the time', async () => {
    const { time, registry } = crowd()
    await time.pass(5_000)
    registry.asked()
    for (let i = 0; i < 120; i++) {
      registry.put('else', `i${i}`, at(i + 1))
      await time.pass(500)
    }
    const sweeps = registry.asked().filter(what => what.startsWith('health')).length / (many - allowed / 2)
    expect(sweeps).toBeGreaterThan(5)
    expect(sweeps).toBeLessThan(15)
  })

  test('a token that may not ask for all checks leaves them asking every few seconds', async () => {
    const { time, registry, client, watches } = crowd()
    client.checks = () => Promise.reject(denied())
    await time.pass(20_000)
    registry.put(nameOf(many - 1), 'b', { ...at(2), Checks: [] })
    registry.asked()
    await time.pass(6_000)
    expect(watches.at(-1)!.ports()).toEqual([1, 2])
    expect(registry.asked().filter(what => what.startsWith('health')).length).toBeLessThan(4 * many)
  })

  test('when the agent refuses connections more of them share, and all goes on', async () => {
    const { time, registry, client, watches } = crowd()
    await time.pass(2_000)
    client.parking.crowdedOut()
    registry.fail(refused())
    await time.pass(100)
    registry.fail(null)
    await time.pass(5_000)
    for (let i = 0; i < many; i++) registry.put(nameOf(i), 'b', at(2))
    await time.pass(2_000)
    expect(watches.map(({ ports }) => ports())).toEqual(Array(many).fill([1, 2]))
    expect(client.parking.limit()).toBe(5)
  })
})

test('whatever happens to the registry and to the way there, in the end the set is what is registered', async () => {
  const step = fc.oneof(
    fc.record({
      do: fc.constant('put' as const),
      service: fc.nat(11),
      port: fc.integer({ min: 1, max: 4 }),
      status: fc.constantFrom('passing', 'critical'),
    }),
    fc.record({ do: fc.constant('drop' as const), service: fc.nat(11), port: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ do: fc.constant('down' as const), ms: fc.integer({ min: 1, max: 5_000 }), lost: fc.boolean() }),
    fc.record({ do: fc.constant('old' as const), ms: fc.integer({ min: 1, max: 3_000 }) }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 2_000 }) }),
  )
  const property = fc.asyncProperty(fc.array(step, { maxLength: 25 }), async steps => {
    const { time, registry, client, watch } = mesh({ waitMs: 60_000 })
    client.parking.allow(8)
    const watches = Array.from({ length: 12 }, (_, i) => watch({ service: `s${i}`, name: `s${i}` }))
    let model = new Map<number, Set<number>>()
    await time.pass(1_000, 50)
    for (const each of steps) {
      if (each.do === 'put') {
        registry.put(`s${each.service}`, `i${each.port}`, at(each.port, each.status))
        model.set(each.service, (model.get(each.service) ?? new Set()).add(each.port))
      } else if (each.do === 'drop') {
        registry.drop(`s${each.service}`, `i${each.port}`)
        model.get(each.service)?.delete(each.port)
      } else if (each.do === 'down') {
        registry.fail(refused())
        if (each.lost) {
          registry.lose()
          model = new Map()
        }
        await time.pass(each.ms, 50)
        registry.fail(null)
      } else if (each.do === 'old') {
        registry.headers = { knownLeader: false }
        await time.pass(each.ms, 50)
        registry.headers = {}
      } else await time.pass(each.ms, 50)
    }
    await time.pass(60_000, 100)
    expect(watches.map(({ ports }) => ports())).toEqual(watches.map((_, i) => [...(model.get(i) ?? [])].sort()))
    for (const { end } of watches) end.abort()
    await time.pass(0)
  })
  await fc.assert(property, { numRuns: 40, seed: 11 })
})
