import { randomBytes } from 'node:crypto'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { curl, sha256Of } from './support/curl.ts'
import { type Nginx, startNginx } from './support/nginx.ts'
import { freePort } from './support/ports.ts'
import { type RunningProxy, startProxy } from './support/proxy.ts'
import { type RawEnd, rawServer } from './support/raw.ts'

// The running program between the curl and the nginx of the distribution. Bodies are random bytes, compared by their
// hashes.

const SIZES = { '16k': 16 * 1024, '1m': 1024 * 1024, '64m': 64 * 1024 * 1024 } as const
const sizes = Object.keys(SIZES) as (keyof typeof SIZES)[]
const hashes: Record<string, string> = {}
let nginx: Nginx
let proxy: RunningProxy
let port: number
let shared: number
let url: string

beforeAll(async () => {
  nginx = await startNginx({
    server: www => `
    location /put/ { dav_methods PUT; }
    location /chunked/ { alias ${www}/; sub_filter_types *; sub_filter 'a text that is in no random file' ''; }
    location /gzip/ { alias ${www}/; gzip on; gzip_types *; gzip_proxied any; gzip_http_version 1.0; }
    location /small-only/ { client_max_body_size 1k; dav_methods PUT; }
    location = /no-content { return 204; }
    location = /hello { add_header X-CaSe-KePt "One  Two"; add_header Zebra 1; add_header Apple 2; return 200 "hello\\n"; }
    location = /x-large { add_header X-Large-1 ${'a'.repeat(4000)}; add_header X-Large-2 ${'b'.repeat(4000)}; return 200 $http_x_large; }
    location = /post { mirror /read; mirror_request_body on; error_page 405 =200 @posted; try_files /16k =404; }
    location = /read { internal; return 204; }
    location @posted { return 200 "posted\\n"; }`,
  })
  for (const size of sizes) {
    writeFileSync(join(nginx.www, size), randomBytes(SIZES[size]))
    hashes[size] = await sha256Of(join(nginx.www, size))
  }
  writeFileSync(join(nginx.www, 'text'), 'outrigger '.repeat(20_000))
  mkdirSync(join(nginx.www, 'put'))
  ;[port, shared] = [await freePort(), await freePort()]
  proxy = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'files' }, { listen: `127.0.0.1:${shared}` }],
    discovery: { endpoints: { files: [nginx.address] } },
  })
  url = `http://127.0.0.1:${port}`
})
afterAll(() => Promise.all([proxy.stop(), nginx.stop()]))

describe('bodies', () => {
  test.each(sizes)('%s comes down whole, with its length', async size => {
    const answer = await curl(`${url}/${size}`)
    expect(answer).toMatchObject({ exit: 0, status: 200, headers: { 'content-length': String(SIZES[size]) } })
    expect(await answer.sha256()).toBe(hashes[size])
  })

  test.each(sizes)('%s comes down chunked, whole', async size => {
    const answer = await curl(`${url}/chunked/${size}`)
    expect(answer).toMatchObject({ exit: 0, status: 200, headers: { 'transfer-encoding': 'chunked' } })
    expect(answer.headers).not.toHaveProperty('content-length')
    expect(await answer.sha256()).toBe(hashes[size])
  })

  test.each(sizes)('%s goes up whole by PUT', async size => {
    const { exit, status } = await curl('-T', join(nginx.www, size), `${url}/put/length-${size}`)
    expect({ exit, status }).toEqual({ exit: 0, status: 201 })
    expect(await sha256Of(join(nginx.www, `put/length-${size}`))).toBe(hashes[size])
  })

  test.each(sizes)('%s goes up chunked, whole', async size => {
    const { exit, status } = await curl(
      '-H',
      'Transfer-Encoding: chunked',
      '-T',
      join(nginx.www, size),
      `${url}/put/chunked-${size}`,
    )
    expect({ exit, status }).toEqual({ exit: 0, status: 201 })
    expect(await sha256Of(join(nginx.www, `put/chunked-${size}`))).toBe(hashes[size])
  })

  test.each(['16k', '1m'])('a POST of %s is answered once it was read', async size => {
    const answer = await curl('--data-binary', `@${join(nginx.www, size)}`, `${url}/post`)
    expect(answer).toMatchObject({ exit: 0, status: 200 })
    expect(answer.body()).toBe('posted\n')
  })

  test('several at a time, up and down, faster and slower than the sockets take them, are not mixed up', async () => {
    const up = sizes.map(async size => {
      const { status } = await curl(
        '-H',
        'Transfer-Encoding: chunked',
        '-T',
        join(nginx.www, size),
        `${url}/put/mixed-${size}`,
      )
      expect([status, await sha256Of(join(nginx.www, `put/mixed-${size}`))]).toEqual([201, hashes[size]])
    })
    const down = ['24M', '32M', '40M', '1G'].flatMap(rate =>
      ['64m', 'chunked/64m'].map(async path => {
        const answer = await curl('--limit-rate', rate, `${url}/${path}`)
        expect([answer.exit, await answer.sha256()]).toEqual([0, hashes['64m']])
      }),
    )
    await Promise.all([...up, ...down])
  })

  test('an upload that nginx refuses early is answered with what nginx said', async () => {
    // Without Expect curl sends on while the answer comes.
    const { exit, status } = await curl('-H', 'Expect:', '-T', join(nginx.www, '64m'), `${url}/small-only/file`)
    expect({ exit, status }).toEqual({ exit: 0, status: 413 })
  })

  test('compressed bodies pass as they are', async () => {
    const answer = await curl('--compressed', `${url}/gzip/text`)
    expect(answer).toMatchObject({
      exit: 0,
      status: 200,
      headers: { 'content-encoding': 'gzip', 'transfer-encoding': 'chunked' },
    })
    expect(answer.body()).toBe('outrigger '.repeat(20_000))
  })

  test('ranges are answered with the part asked for', async () => {
    const answer = await curl('-r', '1000000-', `${url}/1m`)
    expect(answer).toMatchObject({
      exit: 0,
      status: 206,
      headers: { 'content-length': '48576', 'content-range': 'bytes 1000000-1048575/1048576' },
    })
    const parts = await curl('-r', '0-9,20-29', `${url}/1m`)
    expect(parts).toMatchObject({ exit: 0, status: 206 })
    expect(parts.headers['content-type']).toMatch(/^multipart\/byteranges/)
  })
})

describe('answers without a body', () => {
  test('HEAD has the length and no body, and the connection carries the next request', async () => {
    const answer = await curl('-I', `${url}/64m`, '--next', '-sv', '-o', '/dev/null', `${url}/16k`)
    expect(answer.exit).toBe(0)
    expect(answer.log).toContain(`< Content-Length: ${SIZES['64m']}`)
    expect(answer.log).toContain('Re-using existing connection')
  })

  test('204 and 304 leave the connection usable', async () => {
    const etag = (await curl('-I', `${url}/16k`)).headers.etag!
    const answer = await curl('-H', `If-None-Match: ${etag}`, `${url}/16k`, `${url}/no-content`, `${url}/16k`)
    expect(answer.exit).toBe(0)
    expect(answer.log.match(/^< HTTP\/1\.1 \d+/gm)).toEqual(['< HTTP/1.1 304', '< HTTP/1.1 204', '< HTTP/1.1 304'])
    expect(answer.log.match(/Re-using existing connection/g)).toHaveLength(2)
  })
})

describe('versions and forms', () => {
  test.each(['hello', '16k', 'gzip/text'])('an HTTP/1.0 caller gets /%s whole and without chunks', async path => {
    const answer = await curl('--http1.0', '-H', 'Accept-Encoding: gzip', `${url}/${path}`)
    expect(answer).toMatchObject({ exit: 0, status: 200 })
    expect(answer.headers).not.toHaveProperty('transfer-encoding')
    expect(answer.headers.connection).toBe('close')
    if (path === '16k') expect(await answer.sha256()).toBe(hashes['16k'])
  })

  test('an HTTP/1.0 caller that asks for it keeps its connection', async () => {
    const answer = await curl('--http1.0', '-H', 'Connection: keep-alive', `${url}/16k`, `${url}/16k`)
    expect(answer.exit).toBe(0)
    expect(answer.log).toContain('Re-using existing connection')
  })

  test('a caller that takes the sidecar for its proxy sends the absolute form and is routed by it', async () => {
    const answer = await curl('-x', `http://127.0.0.1:${shared}`, 'http://files/16k')
    expect(answer).toMatchObject({ exit: 0, status: 200 })
    expect(await answer.sha256()).toBe(hashes['16k'])
    const unknown = await curl('-x', `http://127.0.0.1:${shared}`, 'http://nobody/16k')
    expect(unknown.status).toBe(404)
    expect(unknown.body()).toContain('"flag":"NR"')
  })

  test('a caller that offers HTTP/2 (h2c) is answered in HTTP/2', async () => {
    const answer = await curl('--http2', `${url}/16k`)
    expect(answer).toMatchObject({ exit: 0, status: 200 })
    expect(answer.log).toContain('> Upgrade: h2c')
    expect(answer.head[0]).toMatch(/^HTTP\/2 200/)
    expect(await answer.sha256()).toBe(hashes['16k'])
  })

  test('Expect: 100-continue is passed on and its answer passed back', async () => {
    // Without the 100 curl would wait for longer than it may take in all.
    const args = [
      '--expect100-timeout',
      '60',
      '-H',
      'Expect: 100-continue',
      '--max-time',
      '10',
      '-T',
      join(nginx.www, '1m'),
    ]
    const answer = await curl(...args, `${url}/put/expected`)
    expect(answer).toMatchObject({ exit: 0, status: 201 })
    expect(answer.log).toContain('< HTTP/1.1 100 Continue')
    expect(await sha256Of(join(nginx.www, 'put/expected'))).toBe(hashes['1m'])
  })
})

describe('heads', () => {
  test('order and case of fields are kept in both directions, and values byte for byte', async () => {
    const upstream = await rawServer(
      answerOne(
        'HTTP/1.1 200 Fine\r\nZebra: 1\r\nX-CaSe-KePt:  One  Two\r\nApple: 2\r\nContent-Length: 0\r\nzebra: 3\r\n\r\n',
      ),
    )
    const own = await freePort()
    await using other = await startProxy({
      outbound: [{ listen: `127.0.0.1:${own}`, service: 'raw' }],
      discovery: { endpoints: { raw: [upstream.address] } },
    })
    const answer = await curl(
      '-H',
      'Zulu: 1',
      '-H',
      'aLPHA:  two  words',
      '-H',
      'User-Agent:',
      '-H',
      'Accept:',
      '-H',
      'zulu: 3',
      `http://127.0.0.1:${own}/a?b=%20c`,
    )
    expect(answer.head).toEqual([
      'HTTP/1.1 200 Fine',
      'Zebra: 1',
      'X-CaSe-KePt:  One  Two',
      'Apple: 2',
      'Content-Length: 0',
      'zebra: 3',
    ])
    const lines = upstream.received().split('\r\n')
    expect(lines.slice(0, 5)).toEqual([
      'GET /a?b=%20c HTTP/1.1',
      `Host: 127.0.0.1:${own}`,
      'Zulu: 1',
      'aLPHA:  two  words',
      'zulu: 3',
    ])
    expect(lines.slice(5, 8).map(line => line.split(':')[0])).toEqual([
      'x-request-id',
      'x-forwarded-for',
      'x-forwarded-proto',
    ])
    expect(other.err()).toBe('')
  })

  test('what is for one connection only is not passed on', async () => {
    const upstream = await rawServer(
      answerOne(
        'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nContent-Length: 0\r\n\r\n',
      ),
    )
    const own = await freePort()
    await using _ = await startProxy({
      outbound: [{ listen: `127.0.0.1:${own}`, service: 'raw' }],
      discovery: { endpoints: { raw: [upstream.address] } },
    })
    const answer = await curl(
      '-H',
      'Connection: X-Secret',
      '-H',
      'X-Secret: 1',
      '-H',
      'TE: gzip, trailers',
      '-H',
      'Proxy-Connection: x',
      `http://127.0.0.1:${own}/`,
    )
    expect(answer.head).toEqual(['HTTP/1.1 200 OK', 'Content-Length: 0'])
    expect(upstream.received()).not.toMatch(/^(x-secret|proxy-connection):/im)
    // What it says of trailers is told to the endpoint anew.
    expect(upstream.received().match(/^(connection|te):.*/gim)).toEqual(['te: trailers', 'connection: TE'])
  })

  test('large heads pass in both directions', async () => {
    const value = 'v'.repeat(50 * 1024)
    const answer = await curl('-H', `X-Large: ${value}`, `${url}/x-large`)
    expect(answer).toMatchObject({
      exit: 0,
      status: 200,
      headers: { 'x-large-1': 'a'.repeat(4000), 'x-large-2': 'b'.repeat(4000) },
    })
    expect(answer.body()).toBe(value)
  })
})

describe('memory', () => {
  test('stays bounded however slowly large bodies are read', async () => {
    await curl(`${url}/64m`)
    const base = await proxy.rss()
    const readers = Array.from({ length: 16 }, () => curl('--limit-rate', '1M', '--max-time', '3', `${url}/64m`))
    const most = await mostMemory(proxy, Promise.all(readers))
    // 28: out of time, as meant. All of it in memory would be 1,024 MiB.
    expect((await Promise.all(readers)).map(({ exit }) => exit)).toEqual(Array(16).fill(28))
    expect(most - base).toBeLessThan(100)
  })

  test('stays bounded however slowly the upstream takes large bodies', async () => {
    const upstream = await rawServer(({ socket }) => void socket.pause())
    const own = await freePort()
    await using other = await startProxy({
      outbound: [{ listen: `127.0.0.1:${own}`, service: 'raw' }],
      discovery: { endpoints: { raw: [upstream.address] } },
    })
    const base = await other.rss()
    const file = join(nginx.www, 'put/zeros')
    writeFileSync(file, '')
    truncateSync(file, SIZES['64m'])
    const senders = Array.from({ length: 16 }, () =>
      curl('--max-time', '2', '-H', 'Expect:', '-T', file, `http://127.0.0.1:${own}/`),
    )
    const most = await mostMemory(other, Promise.all(senders))
    expect((await Promise.all(senders)).map(({ exit }) => exit)).toEqual(Array(16).fill(28))
    expect(most - base).toBeLessThan(100)
  })
})

/** The most the process held while `work` ran, in MiB. */
async function mostMemory(of: RunningProxy, work: Promise<unknown>): Promise<number> {
  let most = 0
  let running = true
  const ended = () => (running = false)
  work.then(ended, ended)
  while (running) {
    most = Math.max(most, await of.rss())
    await sleep(50)
  }
  return most
}

/** Answers each request head. */
function answerOne(answer: string): (end: RawEnd) => void {
  return end => void end.socket.on('data', (chunk: Buffer) => void (chunk.includes('\r\n\r\n') && end.send(answer)))
}
