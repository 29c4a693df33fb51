import fc from 'fast-check'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { type ClientHello, MAX_HELLO_BYTES, readClientHello } from '../../proxy/listener/client-hello.ts'
import { clientHello, inRecords, withExtension } from '../support/client-hello.ts'

const hellos = new Map<string, { readonly bytes: Buffer; readonly hello: ClientHello }>()

beforeAll(async () => {
  const plain = await clientHello({ servername: 'orders.Example.com', ALPNProtocols: ['h2', 'http/1.1'] })
  const known = { serverName: 'orders.example.com', alpn: ['h2', 'http/1.1'] }
  hellos.set('TLS 1.3', { bytes: plain, hello: known })
  hellos.set('TLS 1.2', {
    bytes: await clientHello({ servername: 'a.b', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }),
    hello: { serverName: 'a.b', alpn: [] },
  })
  hellos.set('without a server name', {
    bytes: await clientHello({ servername: '' }),
    hello: { serverName: '', alpn: [] },
  })
  // Chromium puts extensions of reserved types first and last (RFC 8701).
  hellos.set('GREASE', {
    bytes: withExtension(withExtension(plain, 0x0a0a, Buffer.alloc(0)), 0xfafa, Buffer.alloc(1)),
    hello: known,
  })
  hellos.set('records of 7 bytes', { bytes: inRecords(plain, 7), hello: known })
  hellos.set('2 KiB of post-quantum keys', { bytes: withExtension(plain, 0xfe33, Buffer.alloc(2048, 1)), hello: known })
  hellos.set('early data behind it', {
    bytes: Buffer.concat([plain, Buffer.from('140303000101170303000401020304', 'hex')]),
    hello: known,
  })
})

describe('a ClientHello', () => {
  test.each([
    'TLS 1.3',
    'TLS 1.2',
    'without a server name',
    'GREASE',
    'records of 7 bytes',
    '2 KiB of post-quantum keys',
    'early data behind it',
  ])('%s: the same however many bytes are there, as soon as it is whole', name => {
    const { bytes, hello } = hellos.get(name)!
    const answers = Array.from({ length: bytes.length + 1 }, (_, length) => readClientHello(bytes, length))
    const whole = answers.findIndex(answer => answer !== 'more')
    expect(whole).toBeGreaterThan(100)
    expect(answers.slice(0, whole).every(answer => answer === 'more')).toBe(true)
    for (const answer of answers.slice(whole)) expect(answer).toEqual(hello)
  })

  test.each([
    ['another record', (b: Buffer) => set(b, 0, 0x17)],
    ['a version that is none', (b: Buffer) => set(b, 1, 2)],
    ['an empty record', (b: Buffer) => set(set(b, 3, 0), 4, 0)],
    ['another message', (b: Buffer) => set(b, 5, 2)],
    ['a session id longer than all', (b: Buffer) => set(b, 43, 255)],
    ['a record longer than TLS allows', (b: Buffer) => set(b, 3, 0x41)],
  ])('%s is none', (_what, change) => {
    const bytes = change(Buffer.from(hellos.get('TLS 1.2')!.bytes))
    expect(readClientHello(bytes, bytes.length)).toBeNull()
  })

  test('a name that could be none is none', () => {
    const { bytes } = hellos.get('without a server name')!
    const named = (name: string) => {
      const text = Buffer.from(name, 'latin1')
      const data = Buffer.concat([Buffer.from([0, text.length + 3, 0, 0, text.length]), text])
      const hello = withExtension(bytes, 0, data)
      return (readClientHello(hello, hello.length) as ClientHello).serverName
    }
    expect(named('Orders.')).toBe('orders')
    for (const name of ['', 'a b', 'a\r\nb', 'a\0', 'ä.example', '[::1]', 'a/b']) expect(named(name)).toBe('')
  })

  test('one that does not end is given up at a bound', () => {
    const endless = inRecords(
      Buffer.concat([Buffer.alloc(5), Buffer.from([1, 0, 0x70, 0]), Buffer.alloc(40_000)]),
      16_000,
    )
    expect(readClientHello(endless, 20_000)).toBe('more')
    expect(readClientHello(endless, MAX_HELLO_BYTES)).toBeNull()
    const long = Buffer.from([0x16, 3, 1, 0, 100, 1, 0xff, 0xff, 0xff])
    expect(readClientHello(long, long.length)).toBeNull()
  })

  test('one in a record for each byte is over that bound, however it is read', () => {
    const { bytes } = hellos.get('TLS 1.3')!
    const scattered = inRecords(withExtension(bytes, 0xfe33, Buffer.alloc(6000)), 1)
    expect(readClientHello(scattered, scattered.length)).toBeNull()
    expect(readClientHello(scattered, MAX_HELLO_BYTES)).toBeNull()
  })

  test('nothing is put together before it is whole, so that asking with each byte of many records costs little', () => {
    const { bytes } = hellos.get('TLS 1.3')!
    const scattered = inRecords(bytes, 1)
    const concat = vi.spyOn(Buffer, 'concat')
    const copy = vi.spyOn(Buffer.prototype, 'copy')
    const answers = [100, 1000, scattered.length - 1].map(length => readClientHello(scattered, length))
    expect(concat).not.toHaveBeenCalled()
    // Its length, which is the first thing in it.
    expect(copy.mock.calls.length).toBeLessThanOrEqual(4 * answers.length)
    vi.restoreAllMocks()
    expect(answers).toEqual(['more', 'more', 'more'])
    expect(readClientHello(scattered, scattered.length)).toMatchObject({ serverName: 'orders.example.com' })
  })

  test('never throws, whatever is in it', () => {
    const { bytes } = hellos.get('TLS 1.3')!
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { maxLength: 8 }),
        fc.nat(bytes.length),
        (changes, length) => {
          const changed = Buffer.from(bytes)
          for (const [at, value] of changes) changed[at] = value
          readClientHello(changed, length)
        },
      ),
      { numRuns: 3000 },
    )
  })
})

function set(bytes: Buffer, at: number, value: number): Buffer {
  bytes[at] = value
  return bytes
}
