import { createSocket } from 'node:dgram'
import { expect, test } from 'vitest'
import { systemClock } from '../../proxy/system/clock.ts'
import { resolver } from '../../proxy/system/dns.ts'
import { nameCache } from '../../proxy/system/name-cache.ts'
import { nameResolver } from '../../proxy/system/resolve-name.ts'
import { until } from '../integration/support/until.ts'

/** A name server that answers for `good...` and is silent about everything else. */
async function halfDeadServer() {
  const socket = createSocket('udp4')
  const asked: string[] = []
  socket.on('message', (question, { port, address }) => {
    let end = 12
    const labels: string[] = []
    for (let length = question[end]!; length > 0; length = question[end]!) {
      labels.push(question.toString('latin1', end + 1, end + 1 + length))
      end += length + 1
    }
    const name = labels.join('.').toLowerCase()
    const type = question.readUInt16BE(end + 1)
    asked.push(`${name} ${type}`)
    if (!name.startsWith('good')) return
    const head = Buffer.from([question[0]!, question[1]!, 0x81, 0x80, 0, 1, 0, type === 1 ? 1 : 0, 0, 0, 0, 0])
    const record = type === 1 ? Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 10, 0, 0, 1]) : Buffer.alloc(0)
    socket.send(Buffer.concat([head, question.subarray(12, end + 5), record]), port, address)
  })
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  return { asked, server: `127.0.0.1:${socket.address().port}`, close: () => socket.close() }
}

test('names that a real name server is silent about cost those it knows nothing, however many there are', async () => {
  const { server, asked, close } = await halfDeadServer()
  const dns = resolver([server])
  const none = () => Promise.resolve('')
  const cache = nameCache({
    clock: systemClock,
    resolve: nameResolver({ clock: systemClock, dns: () => dns, hosts: none, resolvConf: none, speaks: () => true }),
  })
  const dead: string[] = []
  for (let i = 0; i < 50; i++) cache.find(`dead-${i}.test`, (_addresses, trouble) => dead.push(trouble))
  const found: string[] = []
  for (let i = 0; i < 10; i++) cache.find(`good-${i}.test`, addresses => found.push(addresses.join()))
  await until('every good name', () => found.length === 10)
  expect(found).toEqual(Array(10).fill('10.0.0.1'))
  // None of the others has an answer by then: nothing waited for them.
  expect(dead).toEqual([])
  await until(
    'a good one asked for again, by its TTL',
    () => asked.filter(question => question === 'good-0.test 1').length >= 2,
    20_000,
  )
  await until('the end of the others', () => dead.length === 50, 30_000)
  expect(dead[0]).toMatch(/no name server answers|had no answer within 5 s/)
  dns.cancel()
  close()
}, 60_000)
