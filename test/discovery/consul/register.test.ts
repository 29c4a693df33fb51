import { describe, expect, test } from 'vitest'
import type { AddressSpec, ApplicationSpec, RegisterCheckSpec, RegisterSpec } from '../../../mesh-config/snapshot.ts'
import { applicationChecks } from '../../../proxy/control/applications.ts'
import { ConsulTrouble } from '../../../proxy/discovery/consul/answer.ts'
import type { ConsulClient } from '../../../proxy/discovery/consul/consul-client.ts'
import { definitionOf, idOf } from '../../../proxy/discovery/consul/definition.ts'
import { registration } from '../../../proxy/discovery/consul/register.ts'
import { logTape } from '../../support/log-tape.ts'
import { seeded } from '../../support/random.ts'
import { answer, denied, refused, virtualTime } from './tape.ts'

const ttl: RegisterCheckSpec = { kind: 'ttl', ttlMs: 15_000, application: true, deregisterAfterMs: 1_800_000 }
const http: RegisterCheckSpec = {
  kind: 'http',
  target: 'http://127.0.0.1:3000/healthz',
  intervalMs: 10_000,
  timeoutMs: 2_000,
  deregisterAfterMs: 0,
}

const spec: RegisterSpec = {
  name: 'web',
  id: 'web-20000',
  address: null,
  port: 20_000,
  tags: ['v2'],
  meta: { zone: 'a' },
  weights: { passing: 5, warning: 2 },
  check: ttl,
}

describe('the definition', () => {
  test('says everything, with the heartbeat', () => {
    expect(definitionOf({ ...spec, address: '10.0.0.1' }, 'passing')).toEqual({
      Name: 'web',
      ID: 'web-20000',
      Address: '10.0.0.1',
      Port: 20_000,
      Tags: ['v2'],
      Meta: { zone: 'a' },
      Weights: { Passing: 5, Warning: 2 },
      Check: {
        CheckID: 'service:web-20000',
        Name: 'heartbeat of the sidecar',
        TTL: '15000ms',
        Status: 'passing',
        DeregisterCriticalServiceAfter: '1800000ms',
      },
    })
  })

  test.each<[RegisterCheckSpec, object]>([
    [http, { Name: 'GET http://127.0.0.1:3000/healthz', HTTP: 'http://127.0.0.1:3000/healthz' }],
    [
      { ...http, kind: 'tcp', target: '127.0.0.1:3000' },
      { Name: 'connection to 127.0.0.1:3000', TCP: '127.0.0.1:3000' },
    ],
    [
      { ...http, kind: 'grpc', target: '127.0.0.1:3000/web' },
      { Name: 'gRPC health of 127.0.0.1:3000/web', GRPC: '127.0.0.1:3000/web' },
    ],
  ])('has the check of $kind', (check, expected) => {
    const definition = definitionOf({ ...spec, check }, '') as { Check: object }
    expect(definition.Check).toEqual({
      CheckID: 'service:web-20000',
      ...expected,
      Interval: '10000ms',
      Timeout: '2000ms',
    })
    expect(definition).not.toHaveProperty('Address')
  })
})

/** An agent that can forget, be down, and refuse. */
function agent(check: RegisterCheckSpec = ttl, over: Partial<RegisterSpec> = {}) {
  const time = virtualTime()
  const log = logTape()
  const did: string[] = []
  const state = {
    ready: true,
    listens: true,
    address: { address: '127.0.0.1', port: 3_000 } as AddressSpec | null,
    down: null as Error | null,
    known: null as null | { Check: { Status?: string } },
    health: 'passing',
  }
  const waiting = new Set<() => void>()
  const unknown = () => new ConsulTrouble('unknown', 404, 'Unknown service ID "web-20000"')
  const step = async (what: string) => {
    did.push(`${Math.round(time.now() / 100) / 10} ${what}${state.down === null ? '' : ' failed'}`)
    if (state.down !== null) throw state.down
  }
  const client = {
    async register(definition: typeof state.known) {
      await step(`register ${definition!.Check.Status ?? '-'}`)
      state.known = definition
    },
    async deregister() {
      await step('deregister')
      if (state.known === null) throw unknown()
      state.known = null
    },
    async heartbeat(_id: string, status: string) {
      await step(status)
      if (state.known === null) throw unknown()
    },
    agentHealth: () => Promise.resolve(state.known === null ? '' : state.health),
    agentService: (_id: string, contentHash: string, waitMs: number, signal: AbortSignal) =>
      new Promise((resolve, reject) => {
        const look = (over: boolean) => {
          if (signal.aborted || state.down !== null)
            end(() => reject(state.down ?? new ConsulTrouble('no longer wanted', 0)))
          else if (state.known === null) end(() => reject(unknown()))
          else if (over || contentHash === '') end(() => resolve(answer({}, { contentHash: 'x' })))
        }
        const end = (how: () => void) => {
          waiting.delete(changed)
          timer.cancel()
          how()
        }
        const changed = () => look(false)
        const timer = time.clock.timer(() => look(true))
        timer.arm(waitMs)
        waiting.add(changed)
        signal.addEventListener('abort', changed)
        look(false)
      }),
  } as unknown as ConsulClient
  const probed: string[] = []
  const application = applicationChecks(applicationsAt(state.address), {
    check({ address: { port } }, answered) {
      probed.push(`${Math.round(time.now() / 100) / 10} ${port}`)
      time.clock.timer(() => answered(state.listens ? '' : 'it takes no connections')).arm(10)
    },
    clock: time.clock,
    random: seeded(9),
    log: logTape(),
  })
  if (check.kind === 'ttl' && check.application) application.watch()
  const kept = registration({ ...spec, check, ...over }, client, {
    clock: time.clock,
    random: seeded(9),
    log,
    ready: () => state.ready,
    application,
  })
  return {
    time,
    log,
    did,
    kept,
    probed,
    listens: (listens: boolean) => {
      state.listens = listens
    },
    behind: (address: AddressSpec | null) => {
      state.address = address
      application.configure(applicationsAt(address))
    },
    ready: (ready: boolean) => {
      state.ready = ready
    },
    down: (error: Error | null) => {
      state.down = error
      for (const look of [...waiting]) look()
    },
    forget: () => {
      state.known = null
      for (const look of [...waiting]) look()
    },
    health: (health: string) => {
      state.health = health
    },
  }
}

function applicationsAt(address: AddressSpec | null): ApplicationSpec[] {
  if (address === null) return []
  const times = { intervalMs: 2_000, timeoutMs: 1_000, failures: 3, successes: 1 }
  return [{ name: 'local_app', address, check: { kind: 'port', ...times } }]
}

describe('the application behind the sidecar', () => {
  test('does not listen yet: critical, until it does', async () => {
    const { time, did, kept, listens } = agent()
    listens(false)
    kept.start()
    await time.pass(1_000)
    expect(did).toEqual(['0 register critical'])
    listens(true)
    await time.pass(900)
    expect(did.slice(1).map(what => what.split(' ')[1])).toEqual(['passing'])
  })

  test('stops while its sidecar lives: critical within seconds, with the reason; and passing when it is back', async () => {
    const { time, did, kept, listens } = agent()
    kept.start()
    await time.pass(2_500)
    listens(false)
    await time.pass(3_600)
    expect(did.at(-1)).toMatch(/ critical$/)
    listens(true)
    await time.pass(1_000)
    expect(did.at(-1)).toMatch(/ passing$/)
  })

  test('a connection or two that fail say nothing: its queue may have been full', async () => {
    const { time, did, kept, listens } = agent()
    kept.start()
    for (let i = 0; i < 10; i++) {
      await time.pass(2_500)
      listens(false)
      await time.pass(500)
      listens(true)
    }
    expect(did.some(what => what.endsWith('critical'))).toBe(false)
  })

  test('is asked every two seconds, and where it is now', async () => {
    const { time, probed, kept, behind } = agent()
    kept.start()
    await time.pass(10_000)
    expect(probed.length).toBeLessThanOrEqual(7)
    behind({ address: '127.0.0.1', port: 4_000 })
    await time.pass(2_100)
    expect(probed.at(-1)).toMatch(/ 4000$/)
  })

  test('there is none: the sidecar alone counts', async () => {
    const { time, did, kept, behind, listens } = agent()
    behind(null)
    listens(false)
    kept.start()
    await time.pass(1_000)
    expect(did).toEqual(['0 register passing'])
  })

  test.each([{ ...ttl, application: false }, http])(
    'is not asked where the file says so, or where Consul asks: $kind',
    async check => {
      const { time, probed, kept, listens } = agent(check)
      listens(false)
      kept.start()
      await time.pass(10_000)
      expect(probed).toEqual([])
      expect(kept.state().registered).toBe(true)
    },
  )
})

test('the id: what the file says, else name, address where there is one, and port', () => {
  expect(idOf(spec)).toBe('web-20000')
  const unnamed = { ...spec, id: null, port: 21_000 }
  expect([idOf(unnamed), idOf({ ...unnamed, address: '10.0.0.1' }), idOf({ ...unnamed, address: '10.0.0.2' })]).toEqual(
    ['web-21000', 'web-10.0.0.1-21000', 'web-10.0.0.2-21000'],
  )
})

test('it registers, sends three heartbeats in each TTL, and deregisters', async () => {
  const { time, did, kept } = agent()
  kept.start()
  await time.pass(16_000)
  expect(kept.state()).toEqual({ registered: true, trouble: '' })
  const stopped = kept.stop()
  await time.pass(100)
  await stopped
  expect(did).toEqual(['0 register passing', '5 passing', '10 passing', '15 passing', '16 deregister'])
  expect(kept.state()).toEqual({ registered: false, trouble: '' })
  await time.pass(60_000, 100)
  expect(did).toHaveLength(5)
})

test('what was never started has nothing to stop', async () => {
  const { did, kept } = agent()
  await kept.stop()
  expect(did).toEqual([])
})

test('before it is ready its check is critical, as registered; ready or no longer ready is said at once', async () => {
  const { time, did, kept, ready } = agent()
  ready(false)
  kept.start()
  await time.pass(7_000)
  ready(true)
  await time.pass(1_000)
  ready(false)
  await time.pass(6_000)
  ready(true)
  await time.pass(1_000)
  expect(did.map(line => line.replace(/^[\d.]+ /, ''))).toEqual([
    'register -',
    'passing',
    'warning',
    'warning',
    'passing',
  ])
  const at = did.map(line => Number.parseFloat(line))
  expect(at[1]).toBeLessThanOrEqual(7.4)
  expect(at[2]! - at[1]!).toBeLessThanOrEqual(1.4)
})

test('an agent that is down is tried again and again; what is wrong is said once', async () => {
  const { time, did, kept, log, down } = agent()
  down(refused())
  kept.start()
  await time.pass(120_000, 50)
  expect(kept.state()).toEqual({
    registered: false,
    trouble: 'this instance cannot be registered with Consul: Consul at http://127.0.0.1:8500 refuses connections',
  })
  expect(did.length).toBeGreaterThan(6)
  expect(did.length).toBeLessThan(16)
  down(null)
  await time.pass(31_000, 50)
  expect(kept.state()).toEqual({ registered: true, trouble: '' })
  expect(log.lines()).toEqual([
    'warn this instance cannot be registered with Consul: Consul at http://127.0.0.1:8500 refuses connections service=web id=web-20000',
    'info registered with Consul service=web id=web-20000 port=20000',
  ])
})

test('an agent that has forgotten it gets it again at once, with the state it had', async () => {
  const { time, did, kept, log, forget, ready } = agent()
  kept.start()
  await time.pass(2_000)
  ready(false)
  await time.pass(1_000)
  forget()
  await time.pass(500)
  expect(did.at(-1)).toBe('3 register warning')
  expect(kept.state().registered).toBe(true)
  expect(log.lines()).toContain(
    'warn the Consul agent has lost this instance: it is registered again service=web id=web-20000',
  )
})

test('an agent that restarts without its state gets it again as soon as it answers', async () => {
  const { time, did, kept, down, forget } = agent()
  kept.start()
  await time.pass(6_000)
  down(refused())
  await time.pass(2_000)
  forget()
  down(null)
  await time.pass(3_000)
  const registered = did.filter(line => line.endsWith('register passing'))
  expect(registered).toHaveLength(2)
  expect(Number.parseFloat(registered[1]!)).toBeLessThan(11)
  expect(did.filter(line => line.includes('passing failed')).length).toBeLessThan(6)
})

test('a heartbeat that fails is sent again well before the TTL is over, and spoken of from the second time on', async () => {
  const { time, did, kept, down } = agent({ ...ttl, ttlMs: 60_000 })
  kept.start()
  await time.pass(19_900)
  down(refused())
  await time.pass(15_000)
  expect(kept.state().trouble).toContain('Consul at http://127.0.0.1:8500 refuses connections')
  down(null)
  await time.pass(2_100)
  const beats = did.filter(line => line.endsWith(' passing') && !line.endsWith('register passing'))
  expect(beats).toHaveLength(1)
  await time.pass(30_000)
  expect(kept.state().trouble).toBe('')
})

test('other checks are made by Consul: it only looks whether the agent still knows it', async () => {
  const { time, did, kept, forget, health } = agent(http)
  kept.start()
  await time.pass(25_000)
  expect(did).toEqual(['0 register -'])
  // Consul has seen it well: it does not start from critical again.
  forget()
  await time.pass(500)
  expect(did.at(-1)).toBe('25 register passing')
  health('critical')
  await time.pass(12_000)
  forget()
  await time.pass(500)
  expect(did.at(-1)).toBe('37.5 register -')
})

test('stopping takes two seconds at most when the agent is down', async () => {
  const { time, kept, log, down } = agent()
  kept.start()
  await time.pass(1_000)
  down(refused())
  let stopped = false
  void kept.stop().then(() => {
    stopped = true
  })
  await time.pass(1_900)
  expect(stopped).toBe(false)
  await time.pass(150)
  expect(stopped).toBe(true)
  expect(log.lines().at(-1)).toBe(
    'warn this instance could not be deregistered in time: Consul finds out by its check service=web id=web-20000',
  )
})

test('stopping while it is being registered, and where the agent has forgotten it, is no trouble', async () => {
  const early = agent()
  early.kept.start()
  const stopped = early.kept.stop()
  await early.time.pass(100)
  await stopped
  expect(early.did.at(-1)).toBe('0 deregister')
  const gone = agent()
  gone.kept.start()
  await gone.time.pass(1_000)
  gone.down(refused())
  gone.forget()
  gone.down(null)
  const quiet = gone.kept.stop()
  await gone.time.pass(100)
  await quiet
  expect(gone.log.lines().filter(line => line.startsWith('warn this'))).toEqual([])
})

test('a token that may not register is named, and a later one taken up', async () => {
  const { time, kept, log, down } = agent()
  down(denied())
  kept.start()
  await time.pass(100)
  expect(log.lines()).toEqual([
    'warn this instance cannot be registered with Consul: Consul denies it service=web id=web-20000',
  ])
  down(null)
  await time.pass(5_000)
  expect(kept.state().registered).toBe(true)
})
