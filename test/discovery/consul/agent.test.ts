import { expect, test } from 'vitest'
import { agentZone, catalogNames, connectionsAllowed } from '../../../proxy/discovery/consul/agent.ts'
import type { Answer } from '../../../proxy/discovery/consul/answer.ts'
import type { ConsulClient } from '../../../proxy/discovery/consul/consul-client.ts'
import { logTape } from '../../support/log-tape.ts'
import { seeded } from '../../support/random.ts'
import { consulSpec } from './registry.ts'
import { answer, denied, refused, virtualTime } from './tape.ts'

function zone(replies: (Answer | Error)[]) {
  const time = virtualTime()
  const log = logTape()
  const end = new AbortController()
  const self = async () => {
    const reply = replies.shift() ?? refused()
    if (reply instanceof Error) throw reply
    return reply
  }
  const client = { closed: end.signal, self } as unknown as ConsulClient
  return { time, log, end, learnt: agentZone(client, { clock: time.clock, random: seeded(1), log }) }
}

test.each([
  [{ Meta: { zone: 'a' } }, 'a'],
  [{ Meta: { availability_zone: 'a' }, DebugConfig: { Locality: { Region: 'r', Zone: 'b' } } }, 'b'],
  [{ Meta: {}, DebugConfig: { Locality: null } }, null],
  [{}, null],
])('the zone of %j is %j', async (self, expected) => {
  expect(await zone([answer(self)]).learnt).toBe(expected)
})

test('it is asked for until there is an answer, unless the token may not ask or the client is closed', async () => {
  const late = zone([refused(), refused(), refused(), answer({ Meta: { zone: 'a' } })])
  await late.time.pass(10_000, 50)
  expect(await late.learnt).toBe('a')
  const refusing = zone([denied()])
  expect(await refusing.learnt).toBe(null)
  expect(refusing.log.lines()).toEqual(['info the zone of our Consul node is not known: the token lacks agent:read'])
  const closed = zone([])
  await closed.time.pass(5_000, 50)
  closed.end.abort()
  expect(await closed.learnt).toBe(null)
})

test('how many connections the agent allows', () => {
  expect(connectionsAllowed(answer({ DebugConfig: { HTTPMaxConnsPerClient: 200 } }))).toBe(200)
  expect(connectionsAllowed(answer({ DebugConfig: { HTTPMaxConnsPerClient: -1 } }))).toBe(0)
  expect(connectionsAllowed(answer({ DebugConfig: {} }))).toBe(null)
  expect(connectionsAllowed(answer({}))).toBe(null)
})

test('the names of services, in any case; whether some may be hidden', async () => {
  const client = (body: object | null, more: object = {}, spec: object = {}) =>
    ({
      spec: { ...consulSpec, ...spec },
      services: () => Promise.resolve({ ...answer(body as object), ...more }),
    }) as unknown as ConsulClient
  const { signal } = new AbortController()
  const names = await catalogNames(client({ Orders: [], consul: [], web: ['v2'] }), signal)
  expect(['orders', 'web', 'cart', 'constructor'].map(names.has)).toEqual([true, true, false, false])
  expect(names.whole).toBe(true)
  expect((await catalogNames(client({}, { filtered: true }), signal)).whole).toBe(false)
  expect(
    (await catalogNames(client({}, { deniesByDefault: true }, { token: null, tokenFile: null }), signal)).whole,
  ).toBe(false)
  await expect(
    catalogNames({ ...client({}), services: () => Promise.resolve(answer('null')) } as ConsulClient, signal),
  ).rejects.toThrow('no list of services')
})
