import { expect, test } from 'vitest'
import { fits, namesOf } from '../../proxy/codec/hop/names.ts'
import { twoSidecars } from '../support/two-sidecars.ts'

/** Who is no sidecar can send names too: they may change how fields are written, and nothing else. */

async function ask(fields: readonly string[], body?: string) {
  const { mesh, application } = await twoSidecars()
  mesh
    .http2Caller(20_000)
    .ask({ method: body === undefined ? 'GET' : 'POST', fields, ...(body !== undefined && { body }) })
  mesh.settle()
  return application.received.replaceAll(/x-request-id: [0-9a-f-]{36}/g, 'x-request-id: *')
}

const FILTERS = 'x-request-id: *\r\nx-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\n\r\n'

test.each([
  ['a field that did not come', 'Accept,Host,X-A,X-B,Via'],
  ['one less', 'Host,Accept,X-A'],
  ['another order', 'Host,X-A,Accept,X-B'],
  ['a field twice', 'Host,Accept,Accept,X-A,X-B'],
  ['no host', 'Accept,X-A,X-B'],
  ['two hosts', 'Host,Host,Accept,X-A,X-B'],
  ['two codings', 'Host,Transfer-Encoding,Accept,X-A,X-B,Transfer-Encoding'],
  ['a name that is none', 'Host,Accept: x,X-A,X-B'],
  ['spaces', 'Host, Accept, X-A, X-B'],
  ['nothing', ''],
])('%s: the names mean nothing', async (_what, names) => {
  const request = await ask(['accept', 'x', 'x-a', '1', 'x-b', '2', 'outrigger-names', names])
  expect(request).toBe(`GET / HTTP/1.1\r\nhost: orders\r\naccept: x\r\nx-a: 1\r\nx-b: 2\r\n${FILTERS}`)
})

test('the right ones say how they are written', async () => {
  const request = await ask(['accept', 'x', 'x-a', '1', 'x-b', '2', 'outrigger-names', 'ACCEPT,x-A,HoSt,X-b'])
  expect(request).toBe(`GET / HTTP/1.1\r\nACCEPT: x\r\nx-A: 1\r\nHoSt: orders\r\nX-b: 2\r\n${FILTERS}`)
})

test('a coding beside a length is no head of HTTP/1.1, so the names mean nothing', async () => {
  const request = await ask(['content-length', '2', 'outrigger-names', 'Host,Transfer-Encoding,Content-Length'], 'ab')
  expect(request).toBe(`POST / HTTP/1.1\r\nhost: orders\r\ncontent-length: 2\r\n${FILTERS}ab`)
  // In the answer to a HEAD, where no body says which of them it is, both would be written.
  expect(fits(namesOf('Transfer-Encoding,Content-Length'), ['content-length', '5'], 2, false)).toBe(false)
})

test('a coding is only written where the body has it', async () => {
  expect(await ask(['outrigger-names', 'Host,Transfer-Encoding'])).toBe(`GET / HTTP/1.1\r\nHost: orders\r\n${FILTERS}`)
})

test('a body without a length is chunked, whatever the names say', async () => {
  const request = await ask(['x-a', '1', 'outrigger-names', 'Host,X-A'], 'ab')
  expect(request).toBe(
    `POST / HTTP/1.1\r\nHost: orders\r\nX-A: 1\r\n${FILTERS.slice(0, -2)}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
  )
})

test('the same names are split once, and long ones are not kept', () => {
  expect(namesOf('Host,Accept')).toBe(namesOf('Host,Accept'))
  const long = Array.from({ length: 1000 }, (_, i) => `X-${i}`).join(',')
  expect(namesOf(long)).not.toBe(namesOf(long))
  expect(namesOf(long).lower).toHaveLength(1000)
})

test('trailers have no host', () => {
  expect(fits(namesOf('X-A,Host'), ['x-a', '1'], 2, false)).toBe(false)
  expect(fits(namesOf('X-A'), ['x-a', '1'], 2, false)).toBe(true)
})
