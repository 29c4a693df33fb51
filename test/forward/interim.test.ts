import { expect, test } from 'vitest'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { Http2Endpoint } from '../support/http2-endpoint.ts'
import { A, expectQuiet, orders } from '../support/orders.ts'
import { turn } from '../support/turns.ts'
import { silent } from '../support/upstream.ts'

const head = 'POST / HTTP/1.1\r\nHost: orders\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n'

test('Expect: the head goes on at once, the 100 comes back, then the body goes', async () => {
  const { mesh, upstream } = await orders()
  upstream.onHead = (_request, connection) => void connection.send('HTTP/1.1 100 Continue\r\n\r\n')
  const caller = mesh.caller().send(head)
  mesh.settle()
  expect(upstream.requests[0]!.header('expect')).toBe('100-continue')
  expect(caller.received).toBe('HTTP/1.1 100 Continue\r\n\r\n')
  expect(caller.responses).toHaveLength(0)
  caller.sendMore('hello')
  mesh.settle()
  expect(upstream.requests[0]!.text).toBe('hello')
  expect(caller.statuses).toEqual([200])
  expectQuiet(mesh)
})

test('Expect: a final answer instead of the 100 closes, for the body may come or may not', async () => {
  const { mesh, upstream } = await orders()
  upstream.onHead = (_request, connection) => void connection.send('HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n')
  const caller = mesh.caller().send(head)
  mesh.settle()
  expect(caller.statuses).toEqual([417])
  expect(caller.last.header('connection')).toBe('close')
  expect(caller.gotEnd).toBe(true)
  expect(upstream.last.over, 'the endpoint may wait for a body that will not come').toBe(true)
  mesh.advance(2000)
  expectQuiet(mesh)
})

test('Expect: whoever does not wait for the 100 is served as well', async () => {
  const { mesh, upstream } = await orders()
  upstream.onHead = (_request, connection) => void connection.send('HTTP/1.1 100 Continue\r\n\r\n')
  const caller = mesh.caller().send(`${head}hello`)
  mesh.settle()
  expect(caller.reader.interim).toHaveLength(1)
  expect(caller.statuses).toEqual([200])
  expect(upstream.requests[0]!.text).toBe('hello')
})

test('Expect: while the caller waits for the 100, no time for its body runs', async () => {
  const { mesh, upstream } = await orders({ listener: { timeouts: { bodyMs: 1000 } }, timeouts: { requestMs: 0 } })
  upstream.answer = silent
  const caller = mesh.caller().send(head)
  mesh.advance(5000)
  expect(caller.received).toBe('')
  upstream.last.send('HTTP/1.1 100 Continue\r\n\r\n')
  mesh.advance(900)
  expect(caller.responses).toHaveLength(0)
  mesh.advance(200)
  expect(caller.statuses).toEqual([408])
})

test('Expect: an HTTP/1.0 caller that never sends its body is not waited for without end', async () => {
  const { mesh, upstream } = await orders({ listener: { timeouts: { bodyMs: 1000 } }, timeouts: { requestMs: 0 } })
  upstream.onHead = (_request, connection) => void connection.send('HTTP/1.1 100 Continue\r\n\r\n')
  const caller = mesh.caller().send('POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n')
  mesh.advance(10_000)
  expect(caller.received).not.toMatch(/100 Continue/)
  expect(caller.statuses).toEqual([408])
  expectQuiet(mesh)
})

test('103 and any other 1xx passes with its fields, as often as it comes, in time', async () => {
  const { mesh, upstream } = await orders()
  upstream.answer = silent
  const caller = mesh.caller().get()
  mesh.settle()
  upstream.last.send('HTTP/1.1 102 Processing\r\n\r\n')
  mesh.settle()
  expect(caller.received).toBe('HTTP/1.1 102 Processing\r\n\r\n')
  upstream.last.send(
    'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\nX: 1\r\nContent-Length: 3\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n',
  )
  mesh.settle()
  upstream.last.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  mesh.settle()
  expect(caller.reader.interim.map(({ startLine, headers }) => [startLine, headers])).toEqual([
    ['HTTP/1.1 102 Processing', []],
    ['HTTP/1.1 103 Early Hints', [['Link', '</a.css>']]],
    ['HTTP/1.1 103 Early Hints', [['Link', '</b.css>']]],
  ])
  expect(caller.statuses).toEqual([200])
  caller.get()
  mesh.settle()
  upstream.last.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  mesh.settle()
  expect(caller.statuses).toEqual([200, 200])
  expectQuiet(mesh)
})

test('1xx never goes to an HTTP/1.0 caller', async () => {
  const { mesh, upstream } = await orders()
  upstream.onHead = (_request, connection) => void connection.send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
  const caller = mesh.caller().send('GET / HTTP/1.0\r\n\r\n')
  mesh.settle()
  expect(caller.received).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  expect(caller.received).not.toMatch(/103/)
})

test('an interim answer does not stop the time for the final one', async () => {
  const { mesh, upstream } = await orders({ timeouts: { requestMs: 1000 }, retries: { on: [] } })
  upstream.answer = (_request, connection) => {
    for (let i = 0; i < 10; i++)
      mesh.loop.after(i * 200, () => connection.over || connection.send('HTTP/1.1 102 Processing\r\n\r\n'))
  }
  const caller = mesh.caller().get()
  mesh.advance(1010)
  expect(caller.statuses).toEqual([504])
  expectQuiet(mesh)
})

const quiet = 'HTTP/1.1 102 Processing\r\n\r\n'

test('a server may say for hours that it works', async () => {
  const { mesh, upstream } = await orders({ timeouts: { requestMs: 0, perTryMs: 0, idleMs: 0 } })
  upstream.answer = silent
  const caller = mesh.caller().get()
  mesh.settle()
  for (let i = 0; i < 5000; i++) {
    upstream.last.send(quiet)
    mesh.advance(2000)
  }
  upstream.last.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  mesh.settle()
  expect(caller.reader.interim).toHaveLength(5000)
  expect(caller.statuses).toEqual([200])
  expectQuiet(mesh)
})

test.each(['http', 'http2'] as const)('the bytes of interim heads are bounded: %s', async protocol => {
  const { mesh, upstream } = await orders({
    protocol,
    timeouts: { requestMs: 0, perTryMs: 0 },
    retries: { on: [], attempts: 1 },
  })
  const link = 'x'.repeat(1000)
  let sent = 0
  if (protocol === 'http') upstream.answer = silent
  const endpoint = protocol === 'http2' ? new Http2Endpoint(mesh, A) : null
  if (endpoint !== null) endpoint.answer = () => {}
  const caller = mesh.caller().get()
  mesh.settle()
  for (; caller.responses.length === 0 && sent < 10_000; sent++) {
    if (endpoint === null) upstream.last.send(`HTTP/1.1 103 Early Hints\r\nLink: ${link}\r\n\r\n`)
    else turn(() => endpoint.served[0]!.stream.head({ status: 103, headers: new HeaderList(['link', link]) }, false))
    mesh.settle()
  }
  expect(sent).toBeGreaterThan(900)
  expect(sent).toBeLessThan(1100)
  expect(caller.statuses).toEqual([502])
})
