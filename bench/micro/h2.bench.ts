import { http2 } from '../../proxy/codec/h2/codec.ts'
import { Http2Head } from '../../proxy/codec/h2/head.ts'
import { encodeRequest } from '../../proxy/codec/h2/head-writer.ts'
import { Decoder } from '../../proxy/codec/h2/hpack/decoder.ts'
import { Encoder } from '../../proxy/codec/h2/hpack/encoder.ts'
import { huffmanDecode, huffmanEncode } from '../../proxy/codec/h2/hpack/huffman.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { Account, UNLIMITED } from '../../proxy/core/ledger.ts'
import type { DownstreamStream, RequestHead } from '../../proxy/core/message.ts'
import { Turns } from '../../proxy/core/turn.ts'
import type { Wire } from '../../proxy/core/wire.ts'
import { systemClock } from '../../proxy/system/clock.ts'
import { get, hello, windowUpdate } from '../../test/codec/h2/support/frames.ts'

const limits = { maxHeaders: 100, maxHeadBytes: 61_440, maxTargetBytes: 16_384 }
const out = Buffer.alloc(65_536)
const grpc: RequestHead = {
  method: 'POST',
  scheme: 'http',
  authority: 'orders',
  path: '/shop.Orders/Get',
  upgrade: '',
  headers: new HeaderList([
    'content-type',
    'application/grpc',
    'te',
    'trailers',
    'user-agent',
    'grpc-go/1.70',
    'grpc-timeout',
    '999m',
  ]),
}

/** A connection's second request and those after it: what came before is in the tables. */
function blocks(): { encoder: Encoder; decoder: Decoder; head: Http2Head; block: Buffer } {
  const encoder = new Encoder(out, 4096)
  const decoder = new Decoder(4096)
  const head = new Http2Head(limits)
  let block = Buffer.alloc(0)
  for (let i = 0; i < 2; i++) {
    encoder.begin(out, 0)
    encodeRequest(encoder, grpc)
    block = Buffer.from(out.subarray(0, encoder.at))
    head.clear(limits)
    decoder.decode(block, 0, block.length, head)
  }
  head.finishRequest()
  return { encoder, decoder, head, block }
}

export const decodeGrpcRequest = {
  setup() {
    const { decoder, head, block } = blocks()
    return () => {
      head.clear(limits)
      decoder.decode(block, 0, block.length, head)
      head.finishRequest()
      return head
    }
  },
}

export const encodeGrpcRequest = {
  setup() {
    const { encoder, head } = blocks()
    return () => {
      encoder.begin(out, 0)
      encodeRequest(encoder, head)
      return encoder.at
    }
  },
}

export const decodeHuffman20 = {
  setup() {
    const end = huffmanEncode('/api/orders/17?full=1', out, 0)
    const text = Buffer.alloc(64)
    return () => huffmanDecode(out, 0, end, text)
  },
}

/** From the bytes of 16 requests to those of 16 answers, without sockets: the whole downstream side. */
export const answerRequest = {
  operations: 16,
  setup() {
    const wire: Wire = {
      peer: { address: '', port: 0, local: '', localPort: 0 },
      handler: null,
      bufferBytes: 1_048_576,
      turns: new Turns(null),
      ledger: UNLIMITED,
      get account() {
        return new Account(UNLIMITED, wire)
      },
      unsent: 0,
      write: () => true,
      writeTwo: () => true,
      scratch: () => out,
      original: () => null,
      end() {},
      destroy() {},
      reset() {},
      pause() {},
      resume() {},
      expect() {},
    }
    const body = Buffer.from('hello, world\n')
    const response = { status: 200, headers: new HeaderList(['content-type', 'text/plain', 'content-length', '13']) }
    const answer = (stream: DownstreamStream) => {
      stream.receiver = {
        head() {
          stream.head(response, false)
          stream.data(body, true)
        },
        data: () => true,
        trailers() {},
        reset() {},
        writable() {},
      }
    }
    const options = {
      ...limits,
      maxStreams: 256,
      headTimeoutMs: 0,
      bodyTimeoutMs: 0,
      idleTimeoutMs: 0,
      onRefused() {},
      onClosed() {},
    }
    http2(systemClock).serve(wire, answer, options, systemClock)
    wire.handler!.bytes(hello, hello.length)
    const size = get(1).length
    const batch = Buffer.concat([...Array.from({ length: 16 }, () => get(1)), windowUpdate(0, 16 * body.length)])
    let id = 1
    return () => {
      for (let i = 0; i < 16; i++, id += 2) batch.writeUInt32BE(id, i * size + 5)
      wire.turns.enter()
      wire.handler!.bytes(batch, batch.length)
      wire.turns.leave()
      return id
    }
  },
}
