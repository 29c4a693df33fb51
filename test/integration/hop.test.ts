import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { startBackend } from './support/backend.ts'
import { curl } from './support/curl.ts'
import { startLoad } from './support/load.ts'
import { freePort } from './support/ports.ts'
import { get, type RunningProxy, startProxy } from './support/proxy.ts'
import { type RawServer, rawClient, rawServer } from './support/raw.ts'
import { until } from './support/until.ts'

// HTTP/1.1 -> sidecar -> HTTP/2 -> sidecar -> HTTP/1.1, with the programs that users run.

const ANSWER =
  'HTTP/1.1 200 Sehr gut\r\nX-Powered-By: Nothing\r\nCONTENT-TYPE: text/plain\r\nContent-Length: 2\r\nSet-cookie: a=1\r\n\r\nok'

/** Answers each request, none of which has a body, and keeps what came. */
function application(): Promise<RawServer> {
  return rawServer(({ socket }) => {
    let rest = ''
    socket.on('data', chunk => {
      const parts = (rest + chunk.toString('latin1')).split('\r\n\r\n')
      rest = parts.pop()!
      for (const _ of parts) socket.write(ANSWER, 'latin1')
    })
  })
}

async function inbound(forward: string, port: number, multiplex = true): Promise<RunningProxy> {
  return startProxy({ inbound: [{ listen: `127.0.0.1:${port}`, forward, multiplex }] })
}

async function outbound(
  endpoints: readonly string[],
): Promise<{ readonly proxy: RunningProxy; readonly port: number }> {
  const port = await freePort()
  const proxy = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
    discovery: { endpoints: { orders: endpoints } },
  })
  return { proxy, port }
}

const protocols = async (proxy: RunningProxy) => (await proxy.endpoints('orders')).map(({ protocol }) => protocol)

describe.concurrent('two sidecars', () => {
  test('what the application gets, and what its caller gets, is what the other one wrote', async () => {
    const app = await application()
    const between = await freePort()
    await using near = await inbound(app.address, between)
    const { proxy, port } = await outbound([`127.0.0.1:${between}`])
    await using _ = proxy
    await until(
      'the hop',
      async () => (await get(port, '/warm')).status === 200 && (await protocols(proxy)).join() === 'HTTP/2 hop',
    )

    const head = (path: string) =>
      `GET ${path} HTTP/1.1\r\nX-First: 1\r\nHOST: orders\r\nuser-agent: Raw\r\nCookie: a=1\r\nACCEPT: */*\r\nCookie: b=2\r\n`
    using client = await rawClient(port)
    client.send(`${head('/one')}\r\n`)
    await client.sees('ok')
    // On the same connection, and several at once.
    client.send(`${head('/two')}\r\n${head('/three')}\r\n${head('/four')}\r\n`)
    await until('four answers', () => client.received().length === 4 * ANSWER.length)
    expect(client.received()).toBe(ANSWER.repeat(4))
    const seen = app.received()
    for (const path of ['/one', '/two', '/three', '/four']) {
      const whole = new RegExp(`GET ${path} HTTP/1.1\r\n(?:[^\r]+\r\n)+\r\n`).exec(seen)![0]
      expect(whole.startsWith(head(path))).toBe(true)
      expect(whole.slice(head(path).length)).toMatch(
        /^x-request-id: [0-9a-f-]{36}\r\nx-forwarded-proto: http\r\nx-forwarded-for: 127\.0\.0\.1, 127\.0\.0\.1\r\n\r\n$/,
      )
    }

    const answer = await curl('-H', 'X-ODD-Name: 1', '-A', 'curl', `http://127.0.0.1:${port}/curl`)
    expect(answer.head).toEqual(ANSWER.slice(0, -6).split('\r\n'))
    expect(app.received()).toMatch(
      /GET \/curl HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\nUser-Agent: curl\r\nAccept: \*\/\*\r\nX-ODD-Name: 1\r\n/,
    )

    const flights = await proxy.flights()
    expect(flights.at(-1)!.attempts[0]!.hop).toBe(true)
    expect((await near.flights()).at(-1)!.attempts[0]!.hop).toBe(false)
  })

  test('large bodies come out as they went in, also to a slow reader', async () => {
    const size = 8 * 1024 * 1024
    const bytes = createHash('shake256', { outputLength: size }).update('hop').digest()
    // Says what it was sent.
    const server = createServer((request, response) => {
      response.setHeader('content-length', size)
      request.pipe(response)
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const between = await freePort()
    await using _near = await inbound(`127.0.0.1:${(server.address() as AddressInfo).port}`, between)
    const { proxy, port } = await outbound([`127.0.0.1:${between}`])
    await using _ = proxy
    await until(
      'the hop',
      async () =>
        (await get(port, '/warm', { method: 'HEAD' })).status === 200 &&
        (await protocols(proxy)).join() === 'HTTP/2 hop',
    )
    const calls = [0, 1, 2].map(async call => {
      const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: bytes })
      const hash = createHash('sha256')
      for await (const chunk of answer.body!) {
        hash.update(chunk)
        if (call === 0) await sleep(1)
      }
      return hash.digest('hex')
    })
    expect(await Promise.all(calls)).toEqual(Array(3).fill(createHash('sha256').update(bytes).digest('hex')))
    expect((await proxy.flights()).at(-1)!.attempts[0]!.hop).toBe(true)
    server.close()
    server.closeAllConnections()
  })

  test('one of them says no: HTTP/1.1 all the way', async () => {
    const app = await application()
    const between = await freePort()
    await using _near = await inbound(app.address, between, false)
    const { proxy, port } = await outbound([`127.0.0.1:${between}`])
    await using _ = proxy
    for (let i = 0; i < 5; i++) expect((await get(port, '/')).status).toBe(200)
    expect(await protocols(proxy)).toEqual(['HTTP/1.1'])
  })

  test('a sidecar goes and the application itself takes its port, under load: no request fails', async () => {
    await using app = await startBackend()
    const [one, two] = [await freePort(), await freePort()]
    await using first = await inbound(app.address, one)
    await using _second = await inbound(app.address, two)
    const { proxy, port } = await outbound([`127.0.0.1:${one}`, `127.0.0.1:${two}`])
    await using _ = proxy
    const load = startLoad({ port, path: '/', rate: 2000 })
    await until(
      'both hops',
      async () => load.good() > 500 && (await protocols(proxy)).join() === 'HTTP/2 hop,HTTP/2 hop',
    )
    await first.stop()
    await using _plain = await startBackend(one)
    const before = load.good()
    await until('the application in its place', async () => {
      const [endpoint] = await proxy.endpoints('orders')
      return endpoint!.protocol === 'HTTP/1.1' && endpoint!.state === 'admitting' && load.good() > before + 500
    })
    const replaced = load.good()
    await until('more requests to both', () => load.good() > replaced + 1_000)
    const { failures } = await load.stop()
    expect(failures).toEqual(new Map())
    expect((await protocols(proxy)).join()).toBe('HTTP/1.1,HTTP/2 hop')
  })
})
