import { describe, expect, test } from 'vitest'
import { PREFACE } from '../../proxy/codec/h2/preface.ts'
import { nextMicrotasks } from '../support/mesh.ts'
import { expectQuiet, orders } from '../support/orders.ts'

describe('which protocol a connection speaks', () => {
  test.each([1, 3, 5, 23])('a preface in pieces of %i bytes', async size => {
    const { mesh } = await orders({ mesh: { downstream: { readSize: () => size } } })
    const caller = mesh.http2Caller()
    const got = caller.ask()
    mesh.settle()
    expect(got).toMatchObject({ status: 200, body: 'ok', ended: true })
    caller.close()
    mesh.settle()
    expectQuiet(mesh)
  })

  test.each(['PATCH', 'PRI', 'PRIVATE', 'PROPFIND', 'P', 'G'])(
    'the method %s is HTTP/1, however its bytes come',
    async method => {
      const { mesh, upstream } = await orders({ mesh: { downstream: { readSize: () => 1 } } })
      const caller = mesh.caller().send(`${method} / HTTP/1.1\r\nHost: orders\r\nContent-Length: 3\r\n\r\nabc`, method)
      mesh.settle()
      expect(caller.statuses).toEqual([200])
      expect(upstream.requests[0]).toMatchObject({ method, text: 'abc' })
      expectQuiet(mesh)
    },
  )

  test('half a preface gets the time of a head, and the answer of half a head', async () => {
    const { mesh } = await orders({ listener: { timeouts: { headMs: 2000 } } })
    const caller = mesh.caller()
    caller.send(PREFACE.subarray(0, 8), 'GET')
    mesh.advance(1900)
    expect(caller.statuses).toEqual([])
    mesh.advance(200)
    expect(caller.statuses).toEqual([408])
    mesh.advance(2000)
    expect(caller.over).toBe(true)
    expect(mesh.flight.failure).toBe('head-timeout')
    expectQuiet(mesh)
  })

  test('a preface that breaks off in the middle of a word is HTTP/1, and refused as such', async () => {
    const { mesh } = await orders()
    const caller = mesh.caller()
    caller.send('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n', 'GET')
    mesh.advance(2000)
    expect(caller.statuses).toEqual([505])
    expectQuiet(mesh)
  })

  test('what is neither is closed without a word, and found in the log', async () => {
    const { mesh } = await orders()
    const caller = mesh.caller().send('INVALID CONNECTION PREFACE\r\n\r\n', 'GET')
    mesh.settle()
    expect([caller.over, caller.statuses]).toEqual([true, []])
    expect(mesh.flight).toMatchObject({ status: 400, failure: 'bad-request' })
    const late = mesh
      .caller()
      .send('GET / HTTP/1.1\r\nHost: orders\r\n\r\nINVALID CONNECTION PREFACE\r\n\r\n', 'GET', 'GET')
    mesh.settle()
    expect(late.statuses).toEqual([200, 400])
    mesh.advance(2000)
    expectQuiet(mesh)
  })

  test('who says nothing is closed after the idle time, when it leaves, or by a drain', async () => {
    const { mesh } = await orders({ listener: { timeouts: { idleMs: 5000 } } })
    const [idle, half, gone] = [mesh.caller(), mesh.caller(), mesh.caller()]
    mesh.settle()
    half.end()
    gone.close()
    mesh.settle()
    expect([idle.over, half.over, gone.over]).toEqual([false, true, true])
    mesh.advance(5100)
    expect(idle.over).toBe(true)
    const [last, begun] = [mesh.caller(), mesh.caller()]
    begun.send('P', 'GET')
    mesh.settle()
    mesh.thread.receive({ kind: 'drain', side: 'all', delayMs: 0, timeoutMs: 1000 })
    mesh.advance(10)
    await nextMicrotasks()
    mesh.settle()
    expect(last.gotEnd).toBe(true)
    mesh.advance(2000)
    expect(last.over && begun.over).toBe(true)
    expectQuiet(mesh)
  })
})
