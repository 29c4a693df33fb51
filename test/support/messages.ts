import fc from 'fast-check'

/** Generators of HTTP/1.1 messages, good and bad. Latin-1: a character is a byte. */

const tokenCharacters = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
const reserved = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'expect',
  'upgrade',
  'keep-alive',
  'proxy-connection',
  'te',
  'http2-settings',
  'x-request-id',
  'x-forwarded-for',
  'x-forwarded-proto',
])

const fieldName = fc
  .string({ unit: fc.constantFrom(...tokenCharacters), minLength: 1, maxLength: 20 })
  .filter(name => !reserved.has(name.toLowerCase()))
const valueByte = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 0x21, max: 0x7e }) },
  { weight: 1, arbitrary: fc.constantFrom(0x20, 0x09, 0x80, 0xff, 0xa0) },
)
const fieldValue = fc.array(valueByte, { maxLength: 40 }).map(bytes => Buffer.from(bytes).toString('latin1').trim())
const ows = fc.constantFrom('', ' ', '\t', '  ')

export interface Field {
  readonly name: string
  readonly value: string
  /** As written, without the line end. */
  readonly line: string
}

export const field: fc.Arbitrary<Field> = fc
  .record({ name: fieldName, value: fieldValue, before: ows, after: ows })
  .map(({ name, value, before, after }) => ({
    name,
    value: value.replace(/^[ \t]+|[ \t]+$/g, ''),
    line: `${name}:${before}${value}${after}`,
  }))

export interface Body {
  readonly framing: Field | null
  readonly data: string
  /** As sent. */
  readonly bytes: string
  readonly trailers: readonly Field[]
}

const data = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 200 })
  .map(bytes => Buffer.from(bytes).toString('latin1'))

const noBody: fc.Arbitrary<Body> = fc.constant({ framing: null, data: '', bytes: '', trailers: [] })
const lengthBody: fc.Arbitrary<Body> = data.map(text => ({
  framing: plain('Content-Length', `${text.length}`),
  data: text,
  bytes: text,
  trailers: [],
}))
const chunkedBody: fc.Arbitrary<Body> = fc
  .record({
    chunks: fc.array(
      data.filter(text => text !== ''),
      { maxLength: 6 },
    ),
    extension: fc.constantFrom('', ';a', ';a=b', ';a="b c"'),
    upper: fc.boolean(),
    trailers: fc.oneof(fc.constant<Field[]>([]), fc.array(field, { maxLength: 3 })),
  })
  .map(({ chunks, extension, upper, trailers }) => {
    const size = (length: number) => (upper ? length.toString(16).toUpperCase() : length.toString(16)) + extension
    const kept = trailers.filter(
      ({ name }) => !/^(trailer|authorization|cookie|set-cookie|content-.*|cache-control)$/i.test(name),
    )
    const last = `0${extension}\r\n${kept.map(({ line }) => `${line}\r\n`).join('')}\r\n`
    return {
      framing: plain('Transfer-Encoding', 'chunked'),
      data: chunks.join(''),
      bytes: chunks.map(chunk => `${size(chunk.length)}\r\n${chunk}\r\n`).join('') + last,
      trailers: kept,
    }
  })

export const body: fc.Arbitrary<Body> = fc.oneof(noBody, lengthBody, chunkedBody)

function plain(name: string, value: string): Field {
  return { name, value, line: `${name}: ${value}` }
}

export interface GeneratedRequest {
  readonly method: string
  readonly target: string
  readonly fields: readonly Field[]
  readonly body: Body
  readonly bytes: string
}

const targetByte = fc.integer({ min: 0x21, max: 0x7e }).filter(byte => byte !== 0x23)

export const request: fc.Arbitrary<GeneratedRequest> = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'PURGE', 'x-Y'),
    path: fc.array(targetByte, { maxLength: 30 }).map(bytes => `/${Buffer.from(bytes).toString('latin1')}`),
    before: fc.array(field, { maxLength: 5 }),
    after: fc.array(field, { maxLength: 5 }),
    body,
  })
  .map(({ method, path, before, after, body: own }) => {
    const fields = [...before, plain('Host', 'orders'), ...after, ...(own.framing === null ? [] : [own.framing])]
    return {
      method,
      target: path,
      fields,
      body: own,
      bytes: `${method} ${path} HTTP/1.1\r\n${fields.map(({ line }) => `${line}\r\n`).join('')}\r\n${own.bytes}`,
    }
  })

export interface GeneratedResponse {
  readonly status: number
  readonly fields: readonly Field[]
  readonly body: Body
  readonly bytes: string
  /** The body ends with the connection. */
  readonly close: boolean
}

export const response: fc.Arbitrary<GeneratedResponse> = fc
  .record({
    status: fc.constantFrom(200, 201, 206, 301, 404, 418, 500, 599, 999),
    reason: fieldValue,
    fields: fc.array(field, { maxLength: 6 }),
    body,
  })
  .map(({ status, reason, fields, body: own }) => {
    const all = own.framing === null ? fields : [...fields, own.framing]
    return {
      status,
      fields: all,
      body: own,
      close: own.framing === null,
      bytes: `HTTP/1.1 ${status} ${reason}\r\n${all.map(({ line }) => `${line}\r\n`).join('')}\r\n${own.bytes}`,
    }
  })

/** What attacks are made of. */
const splinters = [
  '\r\n',
  '\r',
  '\n',
  '\0',
  ' ',
  '\t',
  '\x0b',
  ':',
  ';',
  ',',
  '0',
  '5',
  '\r\n\r\n',
  '0\r\n\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Host: evil\r\n',
  'Connection: close\r\n',
  'GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n',
  ' HTTP/1.1\r\n',
  'chunked',
  '\xff',
]

/** Damages a message here and there. */
export const damage: fc.Arbitrary<(bytes: string) => string> = fc
  .array(
    fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      what: fc.constantFrom('insert', 'replace', 'remove', 'repeat', 'byte'),
      splinter: fc.constantFrom(...splinters),
      length: fc.integer({ min: 1, max: 12 }),
      byte: fc.integer({ min: 0, max: 255 }),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map(steps => (bytes: string) => {
    let text = bytes
    for (const { at, what, splinter, length, byte } of steps) {
      const from = Math.floor(at * text.length)
      const cut = what === 'insert' || what === 'repeat' ? 0 : what === 'byte' ? 1 : length
      const put = {
        insert: splinter,
        replace: splinter,
        remove: '',
        repeat: text.slice(from, from + length),
        byte: String.fromCharCode(byte),
      }[what]!
      text = text.slice(0, from) + put + text.slice(from + cut)
    }
    return text
  })
