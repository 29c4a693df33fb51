import { describe, expect, test } from 'vitest'
import type { OwnPolicy, Policies } from '../../proxy/core/agent-policy.ts'
import type { Update } from '../../proxy/sync/messages.ts'
import { policySync } from '../../proxy/sync/policy-sync.ts'
import { specOf } from '../support/agent-server.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { logTape } from '../support/log-tape.ts'
import { flushed } from './support.ts'

const spec = specOf('a', {})

const updateOf = (service: string, version: string, over: Partial<Update> = {}): Update => ({
  service,
  version,
  unchanged: false,
  spec: JSON.stringify({ ...spec, name: service }),
  provenance: '',
  discovery: '',
  warnings: [],
  ...over,
})

/** `refuses`: versions that the data threads do not take. */
function syncOf(refuses: readonly string[] = [], kept: Policies = new Map()) {
  const loop = new EventLoop()
  const log = logTape()
  const brought: string[][] = []
  const answers: string[] = []
  const gates: string[] = []
  let resubscribed = 0
  const sync = policySync({
    kept: { policies: kept, own: new Map(), savedAt: null },
    client: () => ({
      answer: (service, version, reasons) => void answers.push(`${service} ${version} ${reasons.join(', ') || 'ACK'}`),
      pause: () => void gates.push('pause'),
      resume: () => void gates.push('resume'),
      resubscribe: () => void resubscribed++,
    }),
    async bring(policies, changed) {
      brought.push(changed.map(service => `${service} ${policies.get(service)?.version}`))
      return changed.some(service => refuses.includes(policies.get(service)?.version ?? '')) ? ['a port is taken'] : []
    },
    changed() {},
    clock: manualClock(loop),
    log,
  })
  const advance = async (ms: number) => {
    loop.advance(ms)
    await flushed()
  }
  return { sync, log, brought, answers, gates, advance, loop, resubscribed: () => resubscribed }
}

const names = (count: number) => Array.from({ length: count }, (_, index) => `s${index}`)
const NONE = new Map<string, OwnPolicy>()

describe('updates', () => {
  test('that come together come into force together, once', async () => {
    const { sync, brought, answers, advance } = syncOf()
    sync.use(['a', 'b'], NONE)
    sync.update(updateOf('a', '1'))
    sync.update(updateOf('b', '1'))
    sync.update(updateOf('a', '2'))
    await advance(50)
    expect(brought).toEqual([['a 2', 'b 1']])
    expect(answers).toEqual(['a 2 ACK', 'b 1 ACK'])
    expect(sync.wanted()).toEqual([
      { service: 'a', own: '', have: '2' },
      { service: 'b', own: '', have: '1' },
    ])
  })

  test('one that the data threads refuse is refused alone, and the version before stays', async () => {
    const { sync, answers, advance, log } = syncOf(['bad'])
    sync.use(['a', 'b'], NONE)
    sync.update(updateOf('a', '1'))
    await advance(50)
    sync.update(updateOf('a', 'bad'))
    sync.update(updateOf('b', '1'))
    await advance(500)
    expect(answers).toEqual(['a 1 ACK', 'a bad a port is taken', 'b 1 ACK'])
    expect(sync.status()).toMatchObject([
      { service: 'a', version: '1', refused: { version: 'bad', reasons: ['a port is taken'] } },
      { service: 'b', version: '1', refused: null },
    ])
    expect(log.lines().filter(line => line.startsWith('error'))).toEqual([
      expect.stringMatching(/^error policy bad of the agent for a is refused, version 1 stays: a port is taken/),
    ])
  })

  test('one bad among hundreds is found in a few steps, and all others count', async () => {
    const { sync, answers, brought, advance } = syncOf(['bad'])
    const services = names(400)
    sync.use(services, NONE)
    for (const service of services) sync.update(updateOf(service, service === 's123' ? 'bad' : '1'))
    await advance(50)
    await expect.poll(() => answers.length).toBe(400)
    expect(answers.filter(answer => !answer.endsWith('ACK'))).toEqual(['s123 bad a port is taken'])
    expect(brought.length).toBeLessThanOrEqual(19)
  })

  test('one that makes no sense is refused at once, and said once however often it comes', async () => {
    const { sync, answers, brought, log } = syncOf()
    sync.use(['a'], NONE)
    for (let i = 0; i < 3; i++) sync.update(updateOf('a', '1', { spec: '{"name":"a"}' }))
    expect(answers).toHaveLength(3)
    expect(answers[0]).toMatch(/^a 1 the compiled policy does not have the form of this proxy: kind: missing/)
    expect([brought, log.lines().length]).toEqual([[], 1])
    expect(sync.counts().get('a')).toEqual({ applied: 0, refused: 3, unchanged: 0 })
  })

  test('a good one after it takes its reasons away', async () => {
    const { sync, advance } = syncOf()
    sync.use(['a'], NONE)
    sync.update(updateOf('a', '1', { spec: 'no json' }))
    sync.update(updateOf('a', '2'))
    await advance(50)
    expect(sync.status()).toMatchObject([{ version: '2', refused: null }])
  })

  test('of a service that is not in use are passed over', async () => {
    const { sync, answers, advance } = syncOf()
    sync.use(['a'], NONE)
    sync.update(updateOf('z', '1'))
    await advance(50)
    expect(answers).toEqual([])
  })

  test('the version in force needs nothing but an answer', async () => {
    const { sync, brought, answers, advance } = syncOf()
    sync.use(['a'], NONE)
    sync.update(updateOf('a', '1'))
    await advance(50)
    sync.update(updateOf('a', '1', { unchanged: true, spec: '' }))
    sync.update(updateOf('a', '1'))
    await advance(500)
    expect([brought.length, answers]).toEqual([1, ['a 1 ACK', 'a 1 ACK', 'a 1 ACK']])
  })

  test('without a spec: the agent says nothing of it, and the files count', async () => {
    const { sync, advance } = syncOf()
    sync.use(['a'], NONE)
    sync.update(updateOf('a', '0', { spec: '' }))
    await advance(50)
    expect(sync.status()).toMatchObject([{ version: '0', hasPolicy: false }])
    expect(sync.wanted()).toMatchObject([{ have: '0' }])
  })
})

describe('an agent that floods', () => {
  test('changes the data threads five times a second at the most, and ends at its last word', async () => {
    const { sync, brought, advance } = syncOf()
    sync.use(['a'], NONE)
    for (let i = 0; i < 1_000; i++) {
      sync.update(updateOf('a', String(i)))
      await advance(1)
    }
    // While it floods too, not only when it is over.
    expect(brought.length).toBeGreaterThanOrEqual(4)
    await advance(300)
    expect(brought.length).toBeLessThanOrEqual(7)
    expect(sync.status()[0]!.version).toBe('999')
  })

  test('is held up when much waits, and read again when that is done', async () => {
    const { sync, gates, advance } = syncOf()
    sync.use(names(1_500), NONE)
    for (const name of names(1_500)) sync.update(updateOf(name, '1'))
    expect(gates).toEqual(['pause'])
    await advance(50)
    expect(gates).toEqual(['pause', 'resume'])
  })

  test('with long policies is held up as well', async () => {
    const { sync, gates } = syncOf()
    sync.use(names(10), NONE)
    const long = { provenance: `{"a":{"at":"${'x'.repeat(4 * 1024 * 1024)}"}}` }
    for (const name of names(3)) sync.update(updateOf(name, '1', long))
    expect(gates).toEqual(['pause'])
  })
})

describe('the section of the file', () => {
  const own = (text: string, hash: number) => new Map([['a', { text, hash }]])

  test('goes with the subscription, and another one is a new subscription', () => {
    const { sync, resubscribed } = syncOf()
    sync.use(['a'], own('{"policy":1}', 1))
    expect(sync.wanted()).toEqual([{ service: 'a', own: '{"policy":1}', have: '' }])
    sync.use(['a'], own('{"policy":1}', 1))
    expect(resubscribed()).toBe(1)
    sync.use(['a'], own('{"policy":2}', 2))
    expect(resubscribed()).toBe(2)
  })

  test('that changed since is said until the agent has merged it', async () => {
    const { sync, advance } = syncOf()
    sync.use(['a'], own('1', 1))
    sync.update(updateOf('a', 'v1'))
    await advance(50)
    expect(sync.status()[0]!.ownChanged).toBe(false)
    sync.use(['a'], own('2', 2))
    expect(sync.status()[0]!.ownChanged).toBe(true)
    sync.update(updateOf('a', 'v2'))
    await advance(500)
    expect(sync.status()[0]!.ownChanged).toBe(false)
  })
})

test('nothing of the agent counts where none is to be used', async () => {
  const { sync, brought, advance } = syncOf()
  sync.use(['a'], NONE)
  sync.update(updateOf('a', '1'))
  await advance(50)
  await sync.dropAll()
  expect(brought.at(-1)).toEqual(['a undefined'])
  expect(sync.status()).toMatchObject([{ version: '', hasPolicy: false }])
})
