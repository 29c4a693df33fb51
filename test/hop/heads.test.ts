import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { between, meet, type TwoSidecars, twoSidecars } from '../support/two-sidecars.ts'
import '../support/seed.ts'

/**
 * HTTP/1.1 in, HTTP/2 between the sidecars, HTTP/1.1 out: what arrives is byte for byte what arrives without the
 * HTTP/2.
 */

const plain = await twoSidecars({ multiplex: false })
const hop = await twoSidecars()
meet(plain.mesh)
meet(hop.mesh)

interface Seen {
  /** What the application got, and what the caller got. */
  readonly request: string
  readonly response: string
}

/** Sends the bytes, answers them with others, and gives back what came out on both ends. */
function through({ mesh, application }: TwoSidecars, request: string, response: string): Seen {
  const before = application.received.length
  application.answer = (_request, connection) => connection.send(response)
  const caller = mesh.caller()
  caller.send(request)
  mesh.settle()
  const seen = { request: application.received.slice(before), response: caller.received }
  caller.close()
  mesh.settle()
  return { request: normal(seen.request), response: normal(seen.response) }
}

/** Without what is made anew for each request. */
function normal(text: string): string {
  return text.replaceAll(/x-request-id: [0-9a-f-]{36}/g, 'x-request-id: *')
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const GET = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n'

function expectAlike(request: string, response = OK): Seen {
  const alike = through(plain, request, response)
  expect(through(hop, request, response)).toEqual(alike)
  const outbound = hop.mesh.flights().find(({ direction }) => direction === 'outbound')
  // Not by a second attempt over HTTP/1.1.
  expect(outbound?.attempts.length ?? 0).toBeLessThan(2)
  return alike
}

test('the hop is there', () => {
  expect(between(plain.mesh)).toEqual({ connections: 1, protocol: 'HTTP/1.1' })
  expect(between(hop.mesh).protocol).toBe('HTTP/2 hop')
  expectAlike(GET)
  expect(hop.mesh.flights().find(({ direction }) => direction === 'outbound')!.attempts[0]!.hop).toBe(true)
  expect(plain.mesh.flights().find(({ direction }) => direction === 'outbound')!.attempts[0]!.hop).toBe(false)
})

/** Fields with names of so many bytes, none like another. */
const longNames = (count: number, bytes: number) =>
  Array.from({ length: count }, (_, i) => `${'X-Long-'.padEnd(bytes - 3, 'y')}${100 + i}: 1\r\n`).join('')

describe('requests', () => {
  test('order and case', () => {
    const { request } = expectAlike(
      'GET /a?b=c HTTP/1.1\r\nUser-Agent: x\r\nHOST: Orders:80\r\naccept: */*\r\nX-TWICE: 1\r\nX-Other: 2\r\nx-twice: 3\r\n\r\n',
    )
    expect(request).toMatch(
      /^GET \/a\?b=c HTTP\/1\.1\r\nUser-Agent: x\r\nHOST: Orders:80\r\naccept: \*\/\*\r\nX-TWICE: 1\r\nX-Other: 2\r\nx-twice: 3\r\n/,
    )
  })
  test('cookies are not folded', () => {
    expect(expectAlike('GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nX: 1\r\nCookie: b=2\r\n\r\n').request).toContain(
      'Cookie: a=1\r\nX: 1\r\nCookie: b=2\r\n',
    )
  })
  test.each([
    ['a body with a length', 'POST / HTTP/1.1\r\nHost: a\r\nCONTENT-length: 3\r\nX: y\r\n\r\nabc'],
    ['an empty one', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX: y\r\n\r\n'],
    ['none, of a method that usually has one', 'POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n'],
    [
      'a chunked body',
      'PUT / HTTP/1.1\r\nX: y\r\nTransfer-Encoding: chunked\r\nHost: a\r\nZ: z\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    ],
    ['an empty chunked body', 'PUT / HTTP/1.1\r\nHost: a\r\ntransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    [
      'trailers',
      'PUT / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nx-MORE: 2\r\n\r\n',
    ],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\nX: y\r\nhost: a\r\nAccept: b\r\n\r\n'],
    ['HTTP/1.0 without a host', 'GET / HTTP/1.0\r\nX: y\r\n\r\n'],
    ['HTTP/1.0 that keeps the connection', 'GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n'],
    ['an absolute target', 'GET http://orders/x?y HTTP/1.1\r\nX: y\r\nHost: other\r\nAccept: b\r\n\r\n'],
    ['OPTIONS *', 'OPTIONS * HTTP/1.1\r\nX: y\r\nHost: a\r\n\r\n'],
    ['an empty host', 'GET / HTTP/1.1\r\nHost: \r\n\r\n'],
    [
      'a request that closes',
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\nX-Public: 2\r\n\r\n',
    ],
    ['40 KiB of names', `GET / HTTP/1.1\r\nHost: a\r\n${longNames(80, 512)}\r\n`],
    ['57 KiB of names, of 60 KiB', `GET / HTTP/1.1\r\nHost: a\r\n${longNames(57, 1024)}\r\n`],
    [
      'chunked with a tab behind it',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\t\r\nX: y\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    ],
    ['TE without trailers', 'GET / HTTP/1.1\r\nHost: a\r\nTE: deflate\r\nConnection: TE\r\nX: y\r\n\r\n'],
    ['TE twice', 'GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTE: trailers\r\nConnection: TE\r\nX: y\r\n\r\n'],
    ['TE', 'GET / HTTP/1.1\r\nHost: a\r\nTE: trailers, deflate\r\nConnection: TE\r\n\r\n'],
    [
      'fields that filters change',
      'GET / HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\nX-Request-ID: mine\r\nHost: a\r\nX-Forwarded-Proto: https\r\nA: b\r\n\r\n',
    ],
    ['an empty value', 'GET / HTTP/1.1\r\nHost: a\r\nEmpty:\r\nNext: x\r\n\r\n'.replace('Empty:\r', 'Empty: \r')],
    ['bytes above ASCII', 'GET / HTTP/1.1\r\nHost: a\r\nX-Name: J\xf6rg \xff\r\n\r\n'],
    ['an authorization', 'GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic x\r\nB: c\r\n\r\n'],
    ['an odd method', 'PROPFIND /x HTTP/1.1\r\nHost: a\r\n\r\n'],
    [
      'h2c is ignored',
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n',
    ],
    ['an upgrade', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
  ])('%s', (_what, request) => {
    expectAlike(request)
  })
  test('pipelined', () => {
    const { request } = expectAlike(`${GET}GET /2 HTTP/1.1\r\nHOST: b\r\n\r\nHEAD /3 HTTP/1.1\r\nhost: b\r\n\r\n`)
    expect(request.match(/ HTTP\/1\.1\r\n/g)).toHaveLength(3)
  })
  test('names that only sidecars send go no further', () => {
    const { request } = through(
      hop,
      'GET / HTTP/1.1\r\nHost: a\r\nOutrigger-Names: host,Via\r\nOutrigger-Reason: x\r\nB: c\r\n\r\n',
      OK,
    )
    expect(request).toMatch(/^GET \/ HTTP\/1\.1\r\nHost: a\r\nB: c\r\nx-request-id/)
  })
})

describe('responses', () => {
  test('order and case', () => {
    const { response } = expectAlike(
      GET,
      'HTTP/1.1 200 OK\r\nSERVER: x\r\nContent-Length: 2\r\nSet-Cookie: a\r\netag: 1\r\nset-COOKIE: b\r\n\r\nok',
    )
    expect(response).toBe(
      'HTTP/1.1 200 OK\r\nSERVER: x\r\nContent-Length: 2\r\nSet-Cookie: a\r\netag: 1\r\nset-COOKIE: b\r\n\r\nok',
    )
  })
  test.each([
    ['a reason of its own', GET, 'HTTP/1.1 200 Sehr sch\xf6n\r\nContent-Length: 0\r\n\r\n'],
    ['no reason', GET, 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n'],
    ['no space either', GET, 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n'],
    ['a status nobody knows', GET, 'HTTP/1.1 799 What\r\nContent-Length: 0\r\n\r\n'],
    ['chunked', GET, 'HTTP/1.1 200 OK\r\nA: b\r\nTransfer-ENCODING: chunked\r\nC: d\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    ['chunked, empty', GET, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nC: d\r\n\r\n0\r\n\r\n'],
    [
      'trailers',
      GET,
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nx-MORE: 2\r\n\r\n',
    ],
    [
      'chunked, to HTTP/1.0',
      'GET / HTTP/1.0\r\nHost: a\r\n\r\n',
      'HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ],
    ['to HEAD', 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', 'HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 20\r\nC: d\r\n\r\n'],
    [
      'to HEAD, chunked',
      'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n',
      'HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\nC: d\r\n\r\n',
    ],
    [
      'to HEAD of HTTP/1.0, chunked',
      'HEAD / HTTP/1.0\r\nHost: a\r\n\r\n',
      'HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\nC: d\r\n\r\n',
    ],
    ['to HEAD, without framing', 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', 'HTTP/1.1 200 OK\r\nA: b\r\n\r\n'],
    ['204', GET, 'HTTP/1.1 204 No Content\r\nA: b\r\nContent-Length: 0\r\n\r\n'],
    ['304', GET, 'HTTP/1.1 304 Not Modified\r\nEtag: "x"\r\nContent-Length: 100\r\n\r\n'],
    [
      'Connection: close',
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
      'HTTP/1.1 200 OK\r\nServer: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok',
    ],
    ['Keep-Alive', GET, 'HTTP/1.1 200 OK\r\nServer: x\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok'],
    ['103 before it', GET, `HTTP/1.1 103 Early Hints\r\nLINK: </x>\r\nlink: </y>\r\n\r\n${OK}`],
    [
      '100 before it',
      'PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx',
      `HTTP/1.1 100 Continue\r\n\r\n${OK}`,
    ],
  ])('%s', (_what, request, response) => {
    expectAlike(request, response)
  })
  test('one that ends with its connection', () => {
    const seen = [plain, hop].map(({ mesh, application }) => {
      application.answer = (_request, connection) => {
        connection.send('HTTP/1.0 200 OK\r\nServer: Old\r\nX-y: z\r\n\r\nas long as it lasts')
        connection.end()
      }
      const caller = mesh.caller()
      caller.send(GET)
      mesh.settle()
      caller.close()
      return caller.received
    })
    expect(seen[1]).toBe(seen[0])
    expect(seen[1]).toMatch(/^HTTP\/1\.1 200 OK\r\ntransfer-encoding: chunked\r\nServer: Old\r\nX-y: z\r\n\r\n/)
  })
  test('local replies of the other sidecar', () => {
    const seen = [plain, hop].map(({ mesh, application }) => {
      application.connect = 'refuse'
      for (const open of application.open) open.close()
      mesh.settle()
      const caller = mesh.caller()
      caller.send(GET)
      mesh.advance(50)
      caller.close()
      application.connect = 'accept'
      return caller.received.replace(/"requestId":"[^"]*"/, '')
    })
    // Only over the hop the caller's sidecar hears that nothing was sent: it has tried twice, and says so.
    expect(seen[1]!.replace('\r\nx-outrigger-overloaded: true', '')).toBe(seen[0])
    expect(seen[1]).not.toBe(seen[0])
    expect(seen[1]).toContain('503 Service Unavailable')
  })
})

describe('any head', () => {
  const character = (among: string) => fc.constantFrom(...among)
  const name = fc.string({ unit: character("abzAZ019-_.!#$%&'*+^`|~"), minLength: 1, maxLength: 12 })
  const common = fc.constantFrom(
    'Accept',
    'accept',
    'COOKIE',
    'Cookie',
    'Set-Cookie',
    'X-Forwarded-For',
    'x-request-id',
    'Authorization',
    'Trailer',
    'Via',
    'host-x',
  )
  const value = fc.string({ unit: character(' \tabz,;="\xe4\xff'), maxLength: 20 }).map(text => text.trim())
  const fields = fc.array(fc.tuple(fc.oneof(name, common), value), { maxLength: 30 }).map(list =>
    list
      // Framing and fields of one connection have their own tests.
      .filter(
        ([own]) =>
          !/^(host|connection|te|upgrade|expect|content-length|transfer-encoding|keep-alive|proxy-connection)$/i.test(
            own,
          ),
      )
      .map(([own, text]) => `${own}: ${text}\r\n`),
  )
  const at = fc.nat(30)

  function insert(lines: readonly string[], line: string, place: number): string {
    return lines.toSpliced(Math.min(place, lines.length), 0, line).join('')
  }

  test('comes out as it does over HTTP/1.1', () => {
    fc.assert(
      fc.property(
        fields,
        at,
        fc.constantFrom('Host', 'host', 'HOST', 'hOsT'),
        fields,
        at,
        (request, hostAt, host, response, lengthAt) => {
          expectAlike(
            `GET /x HTTP/1.1\r\n${insert(request, `${host}: orders\r\n`, hostAt)}\r\n`,
            `HTTP/1.1 200 OK\r\n${insert(response, 'Content-Length: 0\r\n', lengthAt)}\r\n`,
          )
        },
      ),
      { numRuns: 300 },
    )
    expect(hop.mesh.flights().find(({ direction }) => direction === 'outbound')!.attempts[0]!.hop).toBe(true)
  })
})
