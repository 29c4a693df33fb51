import { beforeAll, describe, expect, test } from 'vitest'
import { curl } from './support/curl.ts'
import { malformedBodies, malformedHeads } from './support/malformed.ts'
import { freePort } from './support/ports.ts'
import { type RunningProxy, startProxy } from './support/proxy.ts'
import { exchangeRaw, type RawServer, rawClient, rawServer } from './support/raw.ts'
import { until, within } from './support/until.ts'

// The running program, byte by byte: what it must refuse, and what it must never pretend.

const HEAD = 'Host: orders\r\n\r\n'
let upstream: RawServer
let proxy: RunningProxy
let port: number
/** The same upstream behind short timeouts. */
let hasty: number

beforeAll(async () => {
  upstream = await rawServer()
  ;[port, hasty] = [await freePort(), await freePort()]
  proxy = await startProxy({
    outbound: [
      { listen: `127.0.0.1:${port}`, service: 'orders' },
      { listen: `127.0.0.1:${hasty}`, service: 'orders', timeouts: { head: '200ms', body: '200ms', idle: '300ms' } },
    ],
    discovery: { endpoints: { orders: [upstream.address] } },
    services: { orders: { outliers: { consecutiveGatewayFailures: 0 } } },
  })
  return () => proxy.stop()
})

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0)

describe('what is malformed is refused, the connection closed, and nothing of it forwarded', () => {
  test.each(malformedHeads)('%s', async (_name, bytes, status) => {
    const before = upstream.received().length
    const answer = await within('the end of the connection', exchangeRaw(port, bytes))
    expect(statusOf(answer)).toBe(status)
    expect(answer.match(/^HTTP\/1\.1 /gm)).toHaveLength(1)
    expect(answer.toLowerCase()).toContain('content-type: application/problem+json')
    expect(upstream.received().length).toBe(before)
  })

  test.each(malformedBodies)('%s', async (_name, bytes, status) => {
    const before = upstream.received().length
    const answer = await within('the end of the connection', exchangeRaw(port, bytes))
    expect(statusOf(answer)).toBe(status)
    expect(answer.match(/^HTTP\/1\.1 /gm)).toHaveLength(1)
    const seen = upstream.received().slice(before)
    expect(seen).not.toContain('smuggled')
    expect(seen).not.toContain('0\r\n\r\n')
  })
})

test('an offer of TLS, as of Apache HttpClient, is not forwarded, its request answered, and the connection goes on', async () => {
  using client = await rawClient(port)
  client.send(`POST /tls-offer HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: TLS/1.2\r\nContent-Length: 4\r\n${HEAD}body`)
  ;(await upstreamOf('POST /tls-offer')).send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  await client.sees('\r\n\r\nok')
  expect(client.received()).toMatch(/^HTTP\/1\.1 200 /)
  client.send(`GET /after-offer HTTP/1.1\r\n${HEAD}`)
  ;(await upstreamOf('GET /after-offer')).send('HTTP/1.1 204 No Content\r\n\r\n')
  await client.sees('HTTP/1.1 204 ')
  expect(upstream.received()).not.toMatch(/TLS\/1\.2/)
})

test('what comes right behind an offer that opens no tunnel is no request', async () => {
  using client = await rawClient(port)
  client.send(
    `GET /irc-offer HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: irc\r\n${HEAD}GET /smuggled HTTP/1.1\r\n${HEAD}`,
  )
  ;(await upstreamOf('GET /irc-offer')).send('HTTP/1.1 204 No Content\r\n\r\n')
  await client.ended
  expect(client.received()).toMatch(/^HTTP\/1\.1 204 [\s\S]*connection: close/)
  expect(client.received().match(/HTTP\/1\.1 /g)).toHaveLength(1)
  expect(upstream.received()).not.toMatch(/irc\r|smuggled/)
})

test('a CONNECT that is not allowed is answered 403, and what came behind it is no request', async () => {
  using client = await rawClient(port)
  client.send(`CONNECT orders:80 HTTP/1.1\r\nHost: orders:80\r\n\r\nGET /smuggled HTTP/1.1\r\n${HEAD}`)
  await client.ended
  expect(client.received()).toMatch(/^HTTP\/1\.1 403 [\s\S]*connection: close[\s\S]*tunnel-refused/)
  expect(upstream.received()).not.toMatch(/^CONNECT|smuggled/m)
})

describe('callers that take their time', () => {
  test('a head that does not arrive whole is answered 408 and the connection closed', async () => {
    const before = upstream.connections.length
    using client = await rawClient(hasty)
    client.send('GET / HTTP/1.1\r\nHost: ord')
    await client.ended
    expect(client.received()).toMatch(/^HTTP\/1.1 408 [\s\S]*head-timeout/)
    expect(upstream.connections.length).toBe(before)
  })

  test('one byte now and then does not make a head whole in time', async () => {
    using client = await rawClient(hasty)
    const timer = setInterval(() => client.send('a'), 50)
    client.send('GET /')
    await client.ended
    clearInterval(timer)
    expect(statusOf(client.received())).toBe(408)
  })

  test('a body that stops arriving is answered 408, and the upstream is told by a close', async () => {
    using client = await rawClient(hasty)
    client.send(`POST /stops HTTP/1.1\r\nContent-Length: 100\r\n${HEAD}half`)
    const end = await upstreamOf('POST /stops')
    await client.ended
    expect(client.received()).toMatch(/^HTTP\/1.1 408 [\s\S]*body-timeout/)
    await within('the close at the upstream', end.ended)
  })

  test('an idle connection is closed without a word', async () => {
    using client = await rawClient(hasty)
    await within('the close', Promise.race([client.ended, client.closed]))
    expect(client.received()).toBe('')
  })
})

describe('one connection, several requests', () => {
  test('pipelined requests are answered in the order asked, and sent on one after the other', async () => {
    using client = await rawClient(port)
    client.send(['/p1', '/p2', '/p3'].map(path => `GET ${path} HTTP/1.1\r\n${HEAD}`).join(''))
    for (const path of ['/p1', '/p2', '/p3']) {
      const end = await upstreamOf(`GET ${path}`)
      expect(upstream.received().split('GET /p').length - 1).toBe(Number(path[2]))
      end.send(`HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n${path}`)
    }
    await client.sees('/p3')
    expect(client.received().match(/\/p\d/g)).toEqual(['/p1', '/p2', '/p3'])
  })

  test('after Connection: close the answer says so and what was pipelined behind is not read', async () => {
    using client = await rawClient(port)
    client.send(`GET /last HTTP/1.1\r\nConnection: close\r\n${HEAD}GET /never HTTP/1.1\r\n${HEAD}`)
    ;(await upstreamOf('GET /last')).send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    await client.ended
    expect(client.received()).toMatch(/^HTTP\/1.1 200 OK\r\nconnection: close\r\n/)
    expect(upstream.received()).not.toContain('/never')
  })
})

describe('either side going away', () => {
  test.each(['closes', 'half-closes'])(
    'a caller that %s while it waits cancels its request at the upstream',
    async how => {
      using client = await rawClient(port)
      client.send(`GET /gone-${how} HTTP/1.1\r\n${HEAD}`)
      const end = await upstreamOf(`GET /gone-${how}`)
      if (how === 'closes') client.socket.destroy()
      else client.socket.end()
      await within('the close at the upstream', end.ended)
      const flight = await until('its flight', async () =>
        (await proxy.flights()).find(({ path }) => path === `/gone-${how}`),
      )
      // 499 is for the log only: nobody is left to read it.
      expect(flight).toMatchObject({ flag: 'DC', failure: 'downstream-gone', status: 499 })
    },
  )

  test('a caller that goes away inside the answer cancels it at the upstream', async () => {
    using client = await rawClient(port)
    client.send(`GET /half-read HTTP/1.1\r\n${HEAD}`)
    const end = await upstreamOf('GET /half-read')
    end.send(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1000)}`)
    await client.sees('xxx')
    client.socket.resetAndDestroy()
    await within('the close at the upstream', end.ended)
  })

  test('a caller that goes away inside its body leaves no whole request at the upstream', async () => {
    using client = await rawClient(port)
    client.send(`POST /half-sent HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${HEAD}5\r\nhello\r\n`)
    const end = await upstreamOf('POST /half-sent')
    await end.sees('hello')
    client.socket.destroy()
    await within('the close at the upstream', end.ended)
    expect(end.received()).not.toContain('0\r\n\r\n')
  })

  const cuts = [
    ['a Content-Length body cut short', 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf', 18],
    ['a chunked body without its end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n', 18],
    ['a chunk cut short', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf', 18],
    [
      'a chunked body that breaks the rules',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nXYZ\r\n',
      18,
    ],
  ] as const

  test.each(cuts)('%s resets the caller and never ends as if whole', async (name, answer, exit) => {
    const path = `/cut/${name.replaceAll(' ', '-')}`
    using client = await rawClient(port)
    client.send(`GET ${path} HTTP/1.1\r\n${HEAD}`)
    const first = await upstreamOf(`GET ${path}`)
    first.send(answer)
    first.socket.end()
    expect(await within('the cut', client.closed)).toBe('reset')
    expect(client.received()).not.toMatch(/0\r\n\r\n$/)

    const asked = curl(`http://127.0.0.1:${port}${path}?curl`)
    const second = await upstreamOf(`GET ${path}?curl`)
    second.send(answer)
    second.socket.end()
    const { exit: told, status } = await asked
    expect(status).toBe(200)
    // 18: a part of the body is missing; 56: the connection was reset. Either way curl knows.
    expect([exit, 56]).toContain(told)
    const flight = (await proxy.flights()).find(each => each.path === path)
    expect(flight).toMatchObject({ flag: 'UC', failure: 'reset-after-response' })
  })

  test('a body that ends with the connection is whole, and is passed on whole', async () => {
    const asked = curl(`http://127.0.0.1:${port}/until-close`)
    const end = await upstreamOf('GET /until-close')
    end.send('HTTP/1.1 200 OK\r\n\r\nall of it')
    end.socket.end()
    const answer = await asked
    expect(answer).toMatchObject({ exit: 0, status: 200 })
    expect(answer.body()).toBe('all of it')
  })

  test.each([
    ['a malformed head', 'HTTP/1.1 200 OK\r\nContent Length: 3\r\n\r\nabc', 502, 'UPE'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd', 502, 'UPE'],
    [
      'a length and a coding',
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      502,
      'UPE',
    ],
    ['no answer at all', '', 503, 'UC'],
    ['half a head', 'HTTP/1.1 200 OK\r\nContent-Le', 503, 'UC'],
  ])('an upstream that gives %s is told to a POST as an error, once', async (name, answer, status, flag) => {
    const path = `/bad/${name.replaceAll(' ', '-')}`
    using client = await rawClient(port)
    client.send(`POST ${path} HTTP/1.1\r\nContent-Length: 0\r\n${HEAD}`)
    const end = await upstreamOf(`POST ${path}`)
    end.send(answer)
    if (flag === 'UC') end.socket.end()
    await client.sees('\r\n\r\n')
    expect(statusOf(client.received())).toBe(status)
    expect(client.received()).toContain(`"flag":"${flag}"`)
    await within('the close at the upstream', end.ended)
    expect(upstream.received().split(`POST ${path}`)).toHaveLength(2)
  })
})

describe('what an upstream says without being asked', () => {
  test('an answer on an idle connection meets no later request', async () => {
    using client = await rawClient(port)
    client.send(`GET /asked HTTP/1.1\r\n${HEAD}`)
    const end = await upstreamOf('GET /asked')
    end.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    await client.sees('ok')
    end.send('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned')
    await within('the close at the upstream', end.ended)
    client.send(`GET /next HTTP/1.1\r\n${HEAD}`)
    ;(await upstreamOf('GET /next')).send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine')
    await client.sees('mine')
    expect(client.received()).not.toContain('poisoned')
  })

  test('what comes behind an answer meets no later request', async () => {
    using client = await rawClient(port)
    client.send(`GET /surplus HTTP/1.1\r\n${HEAD}GET /behind HTTP/1.1\r\n${HEAD}`)
    const end = await upstreamOf('GET /surplus')
    end.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned')
    const other = await upstreamOf('GET /behind')
    expect(other).not.toBe(end)
    other.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine')
    await client.sees('mine')
    expect(client.received()).not.toContain('poisoned')
  })

  test('early hints pass to the caller, before the answer; a megabyte of them does not', async () => {
    using client = await rawClient(port)
    client.send(`GET /hints HTTP/1.1\r\n${HEAD}`)
    const end = await upstreamOf('GET /hints')
    end.send('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n')
    await client.sees('Link: </a.css>\r\n\r\n')
    end.send('HTTP/1.1 204 No Content\r\n\r\n')
    await client.sees('HTTP/1.1 204')
    client.send(`POST /endless HTTP/1.1\r\nContent-Length: 0\r\n${HEAD}`)
    ;(await upstreamOf('POST /endless')).send('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(40_000))
    await client.sees('HTTP/1.1 502')
    expect(client.received().split(' 103 ').length).toBeLessThan(20_000)
  })

  test('a switch of protocols that nobody asked for is an error', async () => {
    using client = await rawClient(port)
    client.send(`POST /switch HTTP/1.1\r\nContent-Length: 0\r\n${HEAD}`)
    ;(await upstreamOf('POST /switch')).send('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n')
    await client.sees('HTTP/1.1 502')
  })

  test('an answer before the whole request reaches the caller, and the rest of the request nobody', async () => {
    using client = await rawClient(port)
    client.send(`POST /early HTTP/1.1\r\nContent-Length: 1000000\r\n${HEAD}begin`)
    const end = await upstreamOf('POST /early')
    end.send('HTTP/1.1 413 Too Much\r\nContent-Length: 8\r\n\r\ntoo much')
    await client.sees('too much')
    client.send(`rest GET /smuggled HTTP/1.1\r\n${HEAD}`)
    await client.ended
    await within('the close at the upstream', end.ended)
    expect(client.received()).toMatch(/^HTTP\/1.1 413 Too Much\r\nconnection: close\r\n/)
    expect(upstream.received()).not.toContain('smuggled')
  })

  test('trailers pass in both directions', async () => {
    using client = await rawClient(port)
    client.send(
      `POST /trailers HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${HEAD}5;ext=1\r\nhello\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n`,
    )
    const end = await upstreamOf('POST /trailers')
    await end.sees('5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n')
    end.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Check: 2\r\n\r\n')
    await client.sees('2\r\nok\r\n0\r\nX-Check: 2\r\n\r\n')
  })
})

/** The connection on which the upstream got this request. */
function upstreamOf(request: string) {
  return until(request, () => upstream.connections.find(end => end.received().includes(request)))
}
