import { expect, test } from 'vitest'
import type { DownstreamConnection } from '../../proxy/core/codec.ts'
import type { TlsHandshake, Wire } from '../../proxy/core/wire.ts'
import { Securing } from '../../proxy/listener/securing.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { wirePair } from '../support/memory-wire.ts'

const HELLO = Buffer.of(0x16, 3, 1)

function start({ isStrict = true } = {}) {
  const loop = new EventLoop()
  const [near, far] = wirePair(loop)
  const told: string[] = []
  let handshake: TlsHandshake | null = null
  const served: DownstreamConnection = {
    drain: () => told.push('drained'),
    retire() {},
    destroy() {},
  }
  const connection = new Securing(
    near,
    {
      secure(_wire, bytes, given) {
        told.push(`handshake after ${bytes.length} bytes`)
        handshake = given
        return () => told.push('given up')
      },
      isStrict,
      idleMs: 5_000,
      handshakeMs: 1_000,
    },
    manualClock(loop),
    {
      serve(wire: Wire) {
        told.push(wire === near ? 'served plain' : 'served')
        wire.handler = {
          bytes: (_chunk, length) => told.push(`${length} bytes`),
          drained() {},
          ended() {},
          closed() {},
        }
        return served
      },
      refused: ({ failure }, detail) => told.push(`${failure} ${detail}`.trim()),
      closed: () => told.push('closed'),
    },
  )
  return { loop, near, far, told, connection, handshake: () => handshake! }
}

test('the first byte of TLS begins a handshake, and what comes of it is served', () => {
  const { loop, far, told, handshake } = start()
  far.write(HELLO)
  loop.settle()
  handshake().done(wirePair(loop)[0])
  expect(told).toEqual(['handshake after 3 bytes', 'served'])
})

test('anything else is refused, or served where that is permitted', () => {
  const strict = start()
  strict.far.write(Buffer.from('GET / HTTP/1.1\r\n'))
  strict.loop.settle()
  expect(strict.told).toEqual(['tls-required', 'closed'])
  const permissive = start({ isStrict: false })
  permissive.far.write(Buffer.from('GET / HTTP/1.1\r\n'))
  permissive.loop.settle()
  expect(permissive.told).toEqual(['served plain', '16 bytes'])
})

test('a handshake that fails, or takes too long, is told once', () => {
  const failed = start()
  failed.far.write(HELLO)
  failed.loop.settle()
  failed.handshake().failed('why')
  failed.loop.advance(10_000)
  expect(failed.told).toEqual(['handshake after 3 bytes', 'tls-handshake-failed why', 'closed'])
  const late = start()
  late.far.write(HELLO)
  late.loop.settle()
  late.loop.advance(1_100)
  expect(late.told).toEqual([
    'handshake after 3 bytes',
    'given up',
    'tls-handshake-failed the handshake took longer than 1000 ms',
    'closed',
  ])
})

test('a caller that is silent, or leaves, is closed', () => {
  const silent = start()
  silent.loop.advance(5_100)
  expect(silent.told).toEqual(['closed'])
  const gone = start()
  gone.far.end()
  gone.loop.settle()
  expect(gone.told).toEqual(['closed'])
})

test('a drain closes what has said nothing, and lets a handshake finish for its one request', () => {
  const silent = start()
  silent.connection.drain()
  silent.loop.settle()
  expect(silent.told).toEqual(['closed'])
  const busy = start()
  busy.far.write(HELLO)
  busy.loop.settle()
  busy.connection.drain()
  busy.handshake().done(wirePair(busy.loop)[0])
  expect(busy.told).toEqual(['handshake after 3 bytes', 'served', 'drained'])
})

test('the end of the process gives a handshake up', () => {
  const { loop, far, told, connection } = start()
  far.write(HELLO)
  loop.settle()
  connection.destroy()
  expect(told).toEqual(['handshake after 3 bytes', 'given up', 'tls-handshake-failed the proxy stopped', 'closed'])
})
