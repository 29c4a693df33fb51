import { Http1Head } from '../../proxy/codec/h1/head.ts'
import { parseRequest, parseResponse } from '../../proxy/codec/h1/parse.ts'
import { NO_BODY, writeRequest, writeResponse } from '../../proxy/codec/h1/serialize.ts'

const limits = { maxHeaders: 100, maxHeadBytes: 61_440, maxTargetBytes: 16_384 }
const small = Buffer.from('GET /api/orders/17?full=1 HTTP/1.1\r\nHost: orders\r\n\r\n')
const browser = Buffer.from(
  'GET /api/orders/17?full=1 HTTP/1.1\r\nHost: orders.example.com\r\nConnection: keep-alive\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n' +
    'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n' +
    'Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nCache-Control: no-cache\r\nX-Request-Id: 5f3c7a9e-2b1d-4c3a-8f00-000000000017\r\n\r\n',
)
const response = Buffer.from(
  'HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 07:54:36 GMT\r\nContent-Type: application/json\r\nContent-Length: 128\r\n\r\n',
)
const out = Buffer.alloc(65_536)

function parsed(bytes: Buffer): Http1Head {
  const head = new Http1Head()
  parseRequest(head, bytes, bytes.length, limits)
  head.set('x-forwarded-for', '127.0.0.1')
  return head
}

const head = new Http1Head()
function parse(bytes: Buffer) {
  return () => {
    head.clear()
    return parseRequest(head, bytes, bytes.length, limits)
  }
}

export const parseSmallRequest = parse(small)
export const parseBrowserRequest = parse(browser)

export function parseSmallResponse(): unknown {
  head.clear()
  return parseResponse(head, response, response.length, limits)
}

const smallHead = parsed(small)
const browserHead = parsed(browser)
export const writeSmallRequest = () => writeRequest(smallHead, NO_BODY, out)
export const writeBrowserRequest = () => writeRequest(browserHead, NO_BODY, out)

const responseHead = new Http1Head()
parseResponse(responseHead, response, response.length, limits)
export const writeSmallResponse = () => writeResponse(responseHead, 128, '', out)
