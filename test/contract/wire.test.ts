import { afterEach, describe, expect, test } from 'vitest'
import type { Acceptor, Wire, WireHandler } from '../../proxy/core/wire.ts'
import { dial, listen } from '../../proxy/system/net.ts'
import { tlsServer } from '../../proxy/system/tls-accept.ts'
import { tlsDial } from '../../proxy/system/tls-wire.ts'
import { issue } from '../support/certificates.ts'
import { EventLoop } from '../support/event-loop.ts'
import { wirePair } from '../support/memory-wire.ts'

/** A kind of wire: how to get both ends of one, and how to let it work until something is so. */
interface Kind {
  pair(): Promise<[Wire, Wire]>
  until(done: () => boolean): Promise<void>
}

const acceptors: Acceptor[] = []

const authority = issue('test', null)
const issued = issue('server', authority, { names: ['127.0.0.1'] })
const atServer = tlsServer({
  ca: null,
  cert: issued.cert,
  key: issued.key,
  minVersion: '1.2',
  alpn: [],
  ticketSecret: 'secret',
})
const dialSecure = tlsDial({
  ca: authority.cert,
  cert: null,
  key: null,
  serverName: null,
  minVersion: '1.2',
  alpn: [],
})

const sockets: Kind = {
  async pair() {
    const accepted = Promise.withResolvers<Wire>()
    const acceptor = await listen({ address: '127.0.0.1', port: 0, shared: false }, accepted.resolve, accepted.reject)
    acceptors.push(acceptor)
    const dialed = Promise.withResolvers<Wire>()
    dial('127.0.0.1', acceptor.port, { connected: dialed.resolve, failed: dialed.reject })
    return [await accepted.promise, await dialed.promise]
  },
  async until(done) {
    const deadline = performance.now() + 10_000
    while (!done()) {
      if (performance.now() > deadline) throw new Error('it never came to that')
      await new Promise(resolve => setImmediate(resolve))
    }
  },
}

/** `server` and `client`: which end comes first. */
const secured = (first: 'server' | 'client'): Kind => ({
  async pair() {
    const accepted = Promise.withResolvers<Wire>()
    const acceptor = await listen(
      { address: '127.0.0.1', port: 0, shared: false },
      wire => {
        wire.handler = {
          bytes(chunk, length) {
            wire.pause()
            atServer(wire, Buffer.from(chunk.subarray(0, length)), {
              done: accepted.resolve,
              failed: reason => accepted.reject(new Error(reason)),
            })
          },
          drained() {},
          ended() {},
          closed() {},
        }
      },
      accepted.reject,
    )
    acceptors.push(acceptor)
    const dialed = Promise.withResolvers<Wire>()
    dialSecure('127.0.0.1', acceptor.port, {
      connected: dialed.resolve,
      failed: code => dialed.reject(new Error(code)),
    })
    const [one, other] = [await accepted.promise, await dialed.promise]
    return first === 'server' ? [one, other] : [other, one]
  },
  until: sockets.until,
})

const loop = new EventLoop()

const memory: Kind = {
  pair: async () => wirePair(loop),
  async until(done) {
    for (let i = 0; i < 1000 && !done(); i++) loop.advance(1)
    if (!done()) throw new Error('it never came to that')
  },
}

/** Keeps a copy of all it is told. */
class Ear implements WireHandler {
  readonly chunks: Buffer[] = []
  received = 0
  drains = 0
  ends = 0
  readonly closes: (Error | null)[] = []
  onBytes: (chunk: Buffer) => void = () => {}
  onDrained: () => void = () => {}

  get heard(): Buffer {
    return Buffer.concat(this.chunks)
  }

  bytes(chunk: Buffer, length: number): void {
    this.#notAfterClose()
    this.chunks.push(Buffer.from(chunk.subarray(0, length)))
    this.received += length
    this.onBytes(chunk.subarray(0, length))
  }

  drained(): void {
    this.#notAfterClose()
    this.drains++
    this.onDrained()
  }

  ended(): void {
    this.#notAfterClose()
    this.ends++
  }

  closed(error: Error | null): void {
    this.closes.push(error)
  }

  #notAfterClose(): void {
    if (this.closes.length !== 0) throw new Error('called after closed')
  }
}

function listenTo(wire: Wire): Ear {
  const ear = new Ear()
  wire.handler = ear
  return ear
}

const pattern = (size: number) => Buffer.from(Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 255))

const open: Wire[] = []
afterEach(() => {
  for (const wire of open.splice(0)) wire.destroy()
  for (const acceptor of acceptors.splice(0)) acceptor.close()
})

describe.each([
  ['memory', memory],
  ['socket', sockets],
  ['TLS (its server first)', secured('server')],
  ['TLS (its client first)', secured('client')],
] as const)('a %s wire', (_name, kind) => {
  async function ends() {
    const [a, b] = await kind.pair()
    open.push(a, b)
    return { a, b, atA: listenTo(a), atB: listenTo(b), until: kind.until }
  }

  test('carries bytes both ways, in order, whole', async () => {
    const { a, b, atA, atB, until } = await ends()
    const data = pattern(1_000_000)
    for (let at = 0; at < data.length; at += 12_345) a.write(data.subarray(at, at + 12_345))
    b.write(Buffer.from('back'))
    await until(() => atB.received === data.length && atA.received === 4)
    expect(atB.heard.equals(data)).toBe(true)
    expect(a.unsent).toBe(0)
  })

  test('says stop above the watermark, and drained once when all has left', async () => {
    const { a, b, atA, atB, until } = await ends()
    b.pause()
    let written = 0
    const piece = pattern(64 * 1024)
    while (a.write(piece)) {
      written += piece.length
      if (written > 64 * 1024 * 1024) throw new Error('it never says stop')
    }
    written += piece.length
    expect(a.unsent).toBeGreaterThan(a.bufferBytes / 4)
    expect(a.write(piece)).toBe(false)
    written += piece.length
    b.resume()
    await until(() => atB.received === written && atA.drains > 0)
    expect(atA.drains).toBe(1)
    expect(a.unsent).toBe(0)
    expect(a.write(piece)).toBe(true)
  })

  test('says stop earlier with a smaller buffer', async () => {
    const { a, b } = await ends()
    a.bufferBytes = 64 * 1024
    b.pause()
    while (a.write(pattern(1024))) {
      // Until it is full.
    }
    expect(a.unsent).toBeLessThan(32 * 1024)
  })

  test('delivers nothing while paused, and all of it after', async () => {
    const { a, b, atB, until } = await ends()
    a.write(Buffer.from('one'))
    await until(() => atB.received === 3)
    b.pause()
    a.write(Buffer.from('two'))
    a.end()
    await new Promise(resolve => setImmediate(resolve))
    expect([atB.received, atB.ends]).toEqual([3, 0])
    b.resume()
    await until(() => atB.ends === 1)
    expect(atB.heard.toString()).toBe('onetwo')
  })

  test('half-closes: what comes the other way still comes', async () => {
    const { a, b, atA, atB, until } = await ends()
    a.write(Buffer.from('question'))
    a.end()
    await until(() => atB.ends === 1)
    b.write(Buffer.from('answer'))
    await until(() => atA.received === 6)
    expect(atA.closes).toEqual([])
    b.end()
    await until(() => atA.closes.length === 1 && atB.closes.length === 1)
    expect([atA.closes, atB.closes]).toEqual([[null], [null]])
    expect([atA.ends, atB.ends]).toEqual([1, 1])
  })

  test('is closed by destroy, here and there', async () => {
    const { a, b, atA, atB, until } = await ends()
    a.destroy()
    await until(() => atA.closes.length === 1 && atB.ends + atB.closes.length > 0)
    expect(atA.closes).toEqual([null])
    b.destroy()
    b.destroy()
    await until(() => atB.closes.length === 1)
  })

  test('a reset shows at the other end', async () => {
    const { a, atA, atB, until } = await ends()
    a.write(Buffer.from('x'))
    await until(() => atB.received === 1)
    a.reset()
    await until(() => atA.closes.length === 1 && atB.closes.length === 1)
    expect(atB.closes[0]).toMatchObject({ code: 'ECONNRESET' })
    expect(atB.ends).toBe(0)
  })

  test('a write after the other end is gone does no harm', async () => {
    const { a, b, atA, atB, until } = await ends()
    b.destroy()
    await until(() => atB.closes.length === 1)
    for (let i = 0; i < 3; i++) {
      a.write(Buffer.from('into the void'))
      await new Promise(resolve => setImmediate(resolve))
    }
    await until(() => atA.closes.length === 1 || atA.ends === 1)
  })

  test('a write after its own end is over does no harm', async () => {
    const { a, atA, until } = await ends()
    a.destroy()
    expect(a.write(Buffer.from('x'))).toBe(true)
    expect(a.writeTwo(Buffer.from('x'), Buffer.from('y'))).toBe(true)
    a.end()
    a.pause()
    a.resume()
    await until(() => atA.closes.length === 1)
  })

  test('the scratch buffer may be used again as soon as the write returns, however slow the reader', async () => {
    const { a, b, atB, until } = await ends()
    b.pause()
    const sent: string[] = []
    for (let i = 0; i < 3000; i++) {
      const text = `${i} ${'s'.repeat((i * 37) % 1500)};`
      const scratch = a.scratch()
      const length = scratch.latin1Write(text, 0)
      if (i % 2 === 0) a.write(scratch.subarray(0, length))
      else a.writeTwo(scratch.subarray(0, length), Buffer.from('+'))
      sent.push(i % 2 === 0 ? text : `${text}+`)
      scratch.fill(0x21, 0, length)
    }
    b.resume()
    const expected = sent.join('')
    await until(() => atB.received === expected.length)
    expect(atB.heard.toString('latin1') === expected).toBe(true)
  })

  test.each([0, 100_000, Number.POSITIVE_INFINITY])(
    'what was read may be written on as it is, however slow the next reader (expecting %d)',
    async expected => {
      const from = await ends()
      const to = await ends()
      from.b.expect(expected)
      from.atB.onBytes = chunk => {
        const keepOn = chunk.length % 2 === 0 ? to.a.write(chunk) : to.a.writeTwo(Buffer.from(''), chunk)
        if (!keepOn) from.b.pause()
      }
      to.atA.onDrained = () => from.b.resume()
      const data = pattern(3_000_001)
      to.b.pause()
      for (let at = 0; at < data.length; at += 50_001) from.a.write(data.subarray(at, at + 50_001))
      for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
      to.b.resume()
      await to.until(() => to.atB.received === data.length)
      expect(to.atB.heard.equals(data)).toBe(true)
    },
  )

  test('each entry is a turn: what is put off runs before the next', async () => {
    const { a, b, atB, until } = await ends()
    const log: string[] = []
    atB.onBytes = () => {
      log.push('bytes')
      b.turns.atEnd({ turnEnded: () => log.push('turn') })
    }
    a.write(Buffer.from('1'))
    await until(() => log.length === 2)
    a.write(Buffer.from('2'))
    await until(() => log.length === 4)
    expect(log).toEqual(['bytes', 'turn', 'bytes', 'turn'])
  })

  test('knows who is there', async () => {
    const { a, b } = await ends()
    expect(a.peer.address).toBe('127.0.0.1')
    expect(b.peer.address).toBe('127.0.0.1')
    expect(a.peer.port).toBeGreaterThan(0)
    expect(a.peer.localPort).toBeGreaterThan(0)
  })
})
