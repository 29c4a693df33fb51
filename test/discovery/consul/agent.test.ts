import { expect, test } from 'vitest'
import { agentZone, connectionsAllowed, listServices } from '../../../proxy/discovery/consul/agent.ts'
import type { Answer } from '../../../proxy/discovery/consul/answer.ts'
import type { ConsulClient } from '../../../proxy/discovery/consul/client.ts'
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

test('the names of services, in order and bounded', async () => {
  const services = () => Promise.resolve(answer({ orders: [], consul: [], web: ['v2'] }))
  const client = { spec: consulSpec, services } as unknown as ConsulClient
  const { signal } = new AbortController()
  expect(await listServices(client, 2, signal)).toEqual(['consul', 'orders'])
  await expect(listServices({ ...client, services: () => Promise.resolve(answer('null')) } as ConsulClient, 2, signal)).rejects.toThrow('no list of services')
})
