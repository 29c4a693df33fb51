import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { textAnswer } from '../../proxy/admin/page.ts'
import type { Page } from '../../proxy/admin/page-types.ts'
import { scrapePages } from '../../proxy/admin/pages.ts'
import { type AdminServer, adminServer } from '../../proxy/admin/server.ts'
import { startPage } from '../../proxy/admin/start-page.ts'
import { logTape } from '../support/log-tape.ts'

const log = logTape()
let released = () => {}
const pages: readonly Page[] = [
  startPage(
    () => 'outrigger <test>',
    () => pages,
  ),
  {
    path: '/both',
    methods: ['GET', 'POST'],
    shows: 'both & more',
    parameters: '?x=1',
    answer: ({ method, body, query }) => textAnswer(`${method} ${query.get('x')} ${body}\n`),
  },
  { path: '/change', methods: ['POST'], shows: 'a change', answer: () => textAnswer('changed\n', 202) },
  {
    path: '/broken',
    methods: ['GET'],
    shows: 'an error',
    answer() {
      throw new Error('a secret of the code')
    },
  },
  {
    path: '/long',
    methods: ['GET'],
    shows: 'a long page',
    answer: () => ({ status: 200, type: 'text/plain', body: long() }),
  },
]

async function* long(): AsyncIterable<string> {
  try {
    for (let i = 0; i < 2_000; i++) yield 'x'.repeat(10_000)
  } finally {
    released()
  }
}

let server: AdminServer
beforeAll(async () => {
  server = await adminServer({ address: '127.0.0.1', port: 0 }, pages, log)
})
afterAll(() => server.close())

const ask = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${server.port}${path}`, init)

test('answers a page, with the query and the body; a slash more does not matter', async () => {
  expect(await (await ask('/both?x=a%20b')).text()).toBe('GET a b \n')
  expect(await (await ask('/both/?x=1', { method: 'POST', body: 'hi' })).text()).toBe('POST 1 hi\n')
})

test('nothing is kept by caches or guessed at by browsers', async () => {
  const { headers } = await ask('/both')
  expect([headers.get('cache-control'), headers.get('x-content-type-options')]).toEqual(['no-store', 'nosniff'])
})

test('HEAD is answered as GET without a body', async () => {
  const answer = await ask('/both', { method: 'HEAD' })
  expect([answer.status, await answer.text()]).toEqual([200, ''])
})

test('a method that a page does not take is 405, with those that it does', async () => {
  const get = await ask('/change')
  expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST'])
  expect(await get.json()).toEqual({ error: '/change takes POST, not GET: curl -X POST .../change' })
  const put = await ask('/both', { method: 'PUT' })
  expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, POST, HEAD'])
})

describe('an unknown page is 404, with a list of those that there are', () => {
  test('for people', async () => {
    const answer = await ask('/metric')
    expect(answer.status).toBe(404)
    const text = await answer.text()
    expect(text).toContain('there is no page /metric')
    for (const { path } of pages) expect(text).toContain(path)
  })

  test('for programs', async () => {
    const answer = await ask('/metric', { headers: { accept: 'application/json' } })
    expect(await answer.json()).toEqual({
      error: 'there is no page /metric',
      pages: ['/', '/both', '/change', '/broken', '/long'],
    })
  })
})

test('the start page for a browser links what can be read and escapes what it shows', async () => {
  const answer = await ask('/', { headers: { accept: 'text/html' } })
  expect(answer.headers.get('content-type')).toContain('text/html')
  expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
  const html = await answer.text()
  expect(html).toContain('outrigger &#60;test&#62;')
  expect(html).toContain('<a href="/both">/both</a>')
  expect(html).toContain('both &#38; more')
  expect(html).not.toContain('<a href="/change">')
})

test('a page that throws is 500: the log has the reason, the caller has not; the server goes on', async () => {
  const answer = await ask('/broken')
  expect(answer.status).toBe(500)
  expect(await answer.text()).not.toContain('secret')
  expect(log.lines().at(-1)).toContain('the admin page /broken failed: Error: a secret of the code')
  expect((await ask('/both')).status).toBe(200)
})

test('a name that was pointed at loopback is refused, and a form of another site', async () => {
  const socket = connect(server.port, '127.0.0.1')
  socket.write('GET /both HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')
  expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1.1 403 /)
  socket.destroy()
  expect((await ask('/change', { method: 'POST', headers: { origin: 'http://evil.example' } })).status).toBe(403)
})

test('a body that is too long is refused', async () => {
  expect((await ask('/both', { method: 'POST', body: 'x'.repeat(2_000) })).status).toBe(413)
})

test('a long page is made as it is read, and no further once the reader has gone', async () => {
  const gone = new Promise<void>(resolve => (released = resolve))
  const aborted = new AbortController()
  const answer = await ask('/long', { signal: aborted.signal })
  await answer.body!.getReader().read()
  aborted.abort()
  await gone
  const whole = await ask('/long')
  expect((await whole.text()).length).toBe(20_000_000)
})

test('a port that is taken is an error with its code', async () => {
  await expect(adminServer({ address: '127.0.0.1', port: server.port }, pages, log)).rejects.toThrow('EADDRINUSE')
})

describe('the port for scrapes', () => {
  const facts = {
    metrics: () => ({
      type: 'text/plain; version=0.0.4',
      body: (async function* () {
        yield 'up 1\n'
      })(),
    }),
    application: () => Promise.resolve({ ready: false, reason: 'a secret place: /etc/x' }),
    readiness: () => ({
      ready: false,
      reason: 'a secret place: /etc/x',
      checks: [{ name: 'reload', state: 'fail' as const, text: 'a secret place: /etc/x' }],
    }),
  }
  let open: AdminServer
  beforeAll(async () => {
    open = await adminServer({ address: '127.0.0.1', port: 0 }, scrapePages(facts), log, 'open')
  })
  afterAll(() => open.close())
  const from = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${open.port}${path}`, init)

  test('answers by any name, for it has nothing to hide', async () => {
    const socket = connect(open.port, '127.0.0.1')
    socket.end('GET /metrics HTTP/1.1\r\nHost: metrics.example\r\nConnection: close\r\n\r\n')
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1.1 200 OK[\s\S]*up 1\n/)
  })

  test.each([
    '/ready',
    '/ready?verbose',
    '/ready?format=json',
    '/ready?format=html',
    '/ready?application',
    '/app/ready',
    '/app/live',
  ])('%s says whether, and not why', async path => {
    const answer = await from(path)
    const text = await answer.text()
    expect([answer.status, text.includes('secret')]).toEqual([503, false])
    expect(text).not.toContain('<')
  })

  test.each([
    ['GET', '/config', 404],
    ['GET', '/', 404],
    ['GET', '/endpoints', 404],
    ['POST', '/drain', 404],
    ['POST', '/log-level?level=off', 404],
    ['POST', '/metrics', 405],
  ])('%s %s is %d', async (method, path, status) => {
    expect((await from(path, { method })).status).toBe(status)
  })
})
