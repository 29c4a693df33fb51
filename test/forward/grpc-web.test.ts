import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { Base64Reader, base64 } from '../../proxy/filter/base64.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { A, expectQuiet, type OrdersOptions, orders } from '../support/orders.ts'

const grpc = ['content-type', 'application/grpc+proto']

async function start(options: OrdersOptions = {}) {
  const { mesh } = await orders({ protocol: 'grpc', ...options })
  const endpoint = new Http2Endpoint(mesh, A)
  endpoint.answer = ({ stream, body }) => reply(stream, 200, grpc, body, ['grpc-status', '0', 'grpc-message', 'fine'])
  return { mesh, endpoint }
}

const frame = (text: string, flag = 0) => {
  const head = Buffer.alloc(5)
  head[0] = flag
  head.writeUInt32BE(text.length, 1)
  return Buffer.concat([head, Buffer.from(text, 'latin1')])
}
const trailing = frame('grpc-status: 0\r\ngrpc-message: fine\r\n', 0x80)
const message = frame('hello')
const binary = ['content-type', 'application/grpc-web+proto', 'x-grpc-web', '1']
const textual = ['content-type', 'application/grpc-web-text+proto', 'accept', 'application/grpc-web-text']

/** Each text of a row is padded for itself. */
const decode = (text: string) => Buffer.concat((text.match(/[^=]+=*/g) ?? []).map(part => Buffer.from(part, 'base64')))

describe('over HTTP/2', () => {
  test('binary: messages as they are, trailers as the last frame', async () => {
    const { mesh, endpoint } = await start()
    const got = mesh.http2Caller().ask({
      method: 'POST',
      fields: [...binary, 'content-length', String(message.length)],
      body: message.toString('latin1'),
    })
    mesh.settle()
    const { fields } = endpoint.served[0]!
    expect([
      fields.get('content-type'),
      fields.get('te'),
      fields.get('x-grpc-web'),
      fields.get('content-length'),
    ]).toEqual(['application/grpc+proto', 'trailers', undefined, undefined])
    expect(got.fields.get('content-type')).toBe('application/grpc-web+proto')
    expect(got.body).toBe(Buffer.concat([message, trailing]).toString('latin1'))
    expect(got.trailing).toBeNull()
    expect(mesh.flight).toMatchObject({ grpcStatus: 0, grpcMessage: '' })
    expectQuiet(mesh)
  })

  test('text: base64, cut anywhere and padded in the middle', async () => {
    const { mesh, endpoint } = await start()
    const sent = base64(message).toString() + base64(frame('four')).toString()
    expect(sent).toMatch(/=[^=]/)
    const got = mesh.http2Caller().ask({ method: 'POST', fields: textual, body: null })
    for (const character of sent) {
      got.send(character)
      mesh.settle()
    }
    got.send('', true)
    mesh.settle()
    expect(endpoint.served[0]!.body).toBe(Buffer.concat([message, frame('four')]).toString('latin1'))
    expect(got.fields.get('content-type')).toBe('application/grpc-web-text+proto')
    expect(decode(got.body)).toEqual(Buffer.concat([message, frame('four'), trailing]))
    expectQuiet(mesh)
  })

  test('the caller says what it accepts', async () => {
    const { mesh } = await start()
    const caller = mesh.http2Caller()
    const inText = caller.ask({
      method: 'POST',
      fields: [...binary, 'accept', 'application/grpc-web-text+proto'],
      body: message.toString('latin1'),
    })
    const inBinary = caller.ask({
      method: 'POST',
      fields: [...textual.slice(0, 2), 'accept', 'application/grpc-web+proto'],
      body: base64(message).toString(),
    })
    mesh.settle()
    expect(decode(inText.body)).toEqual(Buffer.concat([message, trailing]))
    expect(inBinary.body).toBe(Buffer.concat([message, trailing]).toString('latin1'))
  })

  test('a status without messages stays in the head', async () => {
    const { mesh, endpoint } = await start()
    endpoint.answer = ({ stream }) => reply(stream, 200, [...grpc, 'grpc-status', '5'])
    const got = mesh.http2Caller().ask({ method: 'POST', fields: textual, body: base64(message).toString() })
    mesh.settle()
    expect([got.fields.get('content-type'), got.fields.get('grpc-status'), got.body, got.ended]).toEqual([
      'application/grpc-web-text+proto',
      '5',
      '',
      true,
    ])
    expect(mesh.flight).toMatchObject({ grpcStatus: 5 })
  })

  test('what the proxy answers itself, before an answer and inside of one', async () => {
    const { mesh, endpoint } = await start({ retries: { on: [] } })
    const caller = mesh.http2Caller()
    endpoint.answer = ({ stream }) => {
      stream.head({ status: 200, headers: new HeaderList([...grpc]) }, false)
      stream.data(message, false)
    }
    const got = caller.ask({ method: 'POST', fields: binary, body: message.toString('latin1') })
    mesh.settle()
    endpoint.upstream.connect = 'refuse'
    endpoint.open[0]!.wire.destroy()
    mesh.settle()
    expect(got.body.slice(message.length)).toMatch(
      /^\x80....grpc-status: 14\r\ngrpc-message: [^\r]*\r\nx-outrigger-flag: UC\r\n$/s,
    )
    expect(got).toMatchObject({ ended: true, failure: null })
    const refused = caller.ask({ method: 'POST', fields: binary, body: message.toString('latin1') })
    mesh.settle()
    expect([refused.status, refused.fields.get('content-type'), refused.fields.get('grpc-status')]).toEqual([
      200,
      'application/grpc-web+proto',
      '14',
    ])
    expect(mesh.flight).toMatchObject({ failure: 'connect-refused', grpcStatus: 14 })
    expectQuiet(mesh)
  })

  test.each([1, 4, 5, 9])(
    'an answer that breaks off inside a message, after %i of its bytes, gets no trailers: they would be taken for the rest of it',
    async bytes => {
      const { mesh, endpoint } = await start()
      endpoint.answer = ({ stream }) => {
        stream.head({ status: 200, headers: new HeaderList([...grpc]) }, false)
        for (const byte of [...message, ...message.subarray(0, bytes)]) stream.data(Buffer.from([byte]), false)
      }
      const got = mesh.http2Caller().ask({ method: 'POST', fields: binary, body: message.toString('latin1') })
      mesh.settle()
      endpoint.open[0]!.wire.destroy()
      mesh.settle()
      expect(got.body).toBe(Buffer.concat([message, message.subarray(0, bytes)]).toString('latin1'))
      expect(got).toMatchObject({ ended: false, failure: { failure: 'stream-reset-after-response' } })
      expectQuiet(mesh)
    },
  )

  test('an answer of another kind passes as it is', async () => {
    const { mesh, endpoint } = await start()
    endpoint.answer = ({ stream }) => reply(stream, 503, ['content-type', 'text/plain'], 'no', ['x-sum', '1'])
    const got = mesh.http2Caller().ask({ method: 'POST', fields: textual, body: '' })
    mesh.settle()
    expect([got.status, got.body, got.trailing?.get('x-sum')]).toEqual([503, 'no', '1'])
  })

  test.each(['a===', '!!!!', 'AA', 'AAA=AA', 'AA=A'])('what is no base64 is refused: %s', async body => {
    const { mesh } = await start()
    const got = mesh.http2Caller().ask({ method: 'POST', fields: textual, body })
    mesh.settle()
    expect([got.status, got.fields.get('grpc-status')]).toEqual([200, '13'])
    expect(mesh.flight).toMatchObject({
      failure: 'bad-request',
      detail: 'the body of application/grpc-web-text is not base64',
    })
    expectQuiet(mesh)
  })

  test('a caller that stops reading stops the endpoint', async () => {
    const { mesh, endpoint } = await start()
    const chunk = Buffer.alloc(64 * 1024, 'x')
    let sent = 0
    endpoint.answer = ({ stream }) => {
      stream.head({ status: 200, headers: new HeaderList([...grpc]) }, false)
      while (sent < 400 && stream.data(chunk, false)) sent++
    }
    const got = mesh.http2Caller().ask({ method: 'POST', fields: textual, body: '' })
    got.accept = false
    mesh.settle()
    expect(sent).toBeLessThan(100)
    got.cancel()
    mesh.settle()
    expectQuiet(mesh)
  })

  test('the next request of the stream is its own', async () => {
    const { mesh, endpoint } = await start()
    const caller = mesh.http2Caller()
    caller.ask({ method: 'POST', fields: textual, body: base64(message).toString() })
    mesh.settle()
    const plain = caller.ask({ method: 'POST', fields: grpc, body: 'AAAA' })
    mesh.settle()
    expect([endpoint.served[1]!.body, plain.body, plain.trailing?.get('grpc-status')]).toEqual(['AAAA', 'AAAA', '0'])
  })

  test('an endpoint that may know gRPC-Web itself gets it as it is', async () => {
    const { mesh, endpoint } = await start({ protocol: 'http2' })
    mesh.http2Caller().ask({ method: 'POST', fields: textual, body: 'AAAA' })
    mesh.settle()
    expect([endpoint.served[0]!.fields.get('content-type'), endpoint.served[0]!.body]).toEqual([
      'application/grpc-web-text+proto',
      'AAAA',
    ])
  })
})

describe('over HTTP/1.1', () => {
  const head = (fields: readonly string[], more: string) => {
    let text = 'POST /shop.Orders/Get HTTP/1.1\r\nHost: orders\r\n'
    for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`
    return `${text}${more}\r\n\r\n`
  }

  test('text and binary, one after the other on one connection', async () => {
    const { mesh } = await start()
    const caller = mesh.caller()
    const text = base64(message).toString()
    caller.send(head(textual, `Content-Length: ${text.length}`) + text)
    mesh.settle()
    caller.send(`${head(binary, `Content-Length: ${message.length}`)}${message.toString('latin1')}`)
    mesh.settle()
    caller.send('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
    mesh.settle()
    expect(caller.statuses).toEqual([200, 200, 200])
    const [first, second] = caller.responses
    expect(first!.header('content-type')).toBe('application/grpc-web-text+proto')
    expect(decode(first!.text)).toEqual(Buffer.concat([message, trailing]))
    expect(Buffer.from(second!.text, 'latin1')).toEqual(Buffer.concat([message, trailing]))
    expectQuiet(mesh)
  })

  test('plain gRPC is told what to speak', async () => {
    const { mesh, endpoint } = await start()
    const caller = mesh.caller()
    caller.send(`${head(grpc, 'Content-Length: 4')}AAAA`)
    mesh.settle()
    expect(caller.statuses).toEqual([505])
    expect(JSON.parse(caller.responses[0]!.text)).toMatchObject({ failure: 'grpc-needs-http2', flag: 'DPE' })
    expect(endpoint.served).toHaveLength(0)
    expectQuiet(mesh)
  })
})

test('base64 comes out the same however it is cut and padded', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }),
      fc.array(fc.nat(7), { minLength: 1, maxLength: 20 }),
      (parts, cuts) => {
        const text = Buffer.concat(parts.map(part => base64(Buffer.from(part))))
        const reader = new Base64Reader()
        const out: Buffer[] = []
        for (let at = 0, i = 0; at < text.length; i++) {
          const length = 1 + cuts[i % cuts.length]!
          const piece = reader.push(text.subarray(at, at + length))
          expect(piece).not.toBeNull()
          out.push(piece!)
          at += length
        }
        expect(reader.isWhole).toBe(true)
        expect(Buffer.concat(out)).toEqual(Buffer.concat(parts.map(part => Buffer.from(part))))
      },
    ),
  )
})
