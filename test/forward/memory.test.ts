import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { orders } from '../support/orders.ts'
import { respond } from '../support/upstream.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function held(): number {
  collect()
  collect()
  return process.memoryUsage().arrayBuffers
}

const field = `X: ${'x'.repeat(50_000)}\r\n`

test('idle connections hold nothing of the heads they sent, whole or in pieces', async () => {
  const { mesh, upstream } = await orders()
  upstream.answer = respond('HTTP/1.1 204 No\r\n\r\n')
  const ask = (count: number) => {
    for (let i = 0; i < count; i++) {
      const caller = mesh.caller()
      caller.keep = false
      const head = `GET / HTTP/1.1\r\nHost: o\r\n${field}\r\n`
      caller.send(head.slice(0, 30_000), 'GET')
      if (i % 2 === 0) mesh.settle()
      caller.sendMore(head.slice(30_000))
      mesh.settle()
      expect(caller.statuses).toEqual([204])
      for (const connection of upstream.connections) connection.keep = false
    }
    upstream.requests.length = 0
    for (const { reader } of upstream.connections) reader.messages.length = 0
  }
  ask(10)
  const before = held()
  ask(200)
  // 200 heads of 50 KB are ten megabytes.
  expect(held() - before).toBeLessThan(1_500_000)
})

test('idle connections to endpoints hold nothing of the heads that came on them', async () => {
  const { mesh, upstream } = await orders()
  let asked: (() => void)[] = []
  upstream.answer = (_request, connection) =>
    void asked.push(() => {
      connection.send('HTTP/1.1 204 No\r\nX: ')
      mesh.settle()
      connection.send(`${field.slice(3)}\r\n`)
    })
  const callers = Array.from({ length: 100 }, () => mesh.caller())
  for (const caller of callers) caller.keep = false
  const ask = () => {
    asked = []
    for (const caller of callers) caller.get()
    mesh.settle()
    for (const answer of asked) answer()
    mesh.settle()
    for (const { reader } of callers) reader.messages.length = 0
  }
  ask()
  for (const connection of upstream.connections) connection.wire.write(Buffer.alloc(0))
  const before = held()
  ask()
  expect(held() - before).toBeLessThan(1_000_000)
  // As much as at the beginning, when nothing had come: the idle ones are a hundred.
  expect(mesh.endpoints()[0]!.endpoints[0]!.idle).toBe(100)
})
