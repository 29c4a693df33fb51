import { describe, expect, test } from 'vitest'
import { text6, usualPrefix, virtualAddresses } from '../../proxy/dns/virtual-addresses.ts'

const DAY = 24 * 3_600_000
const options = { addresses: '240.64.0.0/10', prefix: 'fd12:3456:789a:1::/64', saved: '' }
const names = Array.from({ length: 2_000 }, (_, i) => `service-${i}`)

describe('virtual addresses', () => {
  test('are those of the name, whoever gives them, and lie in their ranges', () => {
    const [one, other] = [virtualAddresses(options), virtualAddresses(options)]
    for (const name of names) one.assign(name, 0)
    for (const name of names.toReversed()) other.assign(name, 0)
    // Where two names meet, the order decides: a few of two thousand.
    const differ = names.filter(name => one.get(name)!.address !== other.get(name)!.address)
    expect(differ.length).toBeLessThan(20)
    const all = [...one.all()]
    expect(new Set(all.map(({ address }) => address)).size).toBe(names.length)
    expect(all.every(({ address }) => /^240\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+$/.test(address))).toBe(true)
    expect(all.some(({ address }) => /\.(0|255)$/.test(address))).toBe(false)
    expect(one.get('service-0')).toMatchObject({ address: '240.69.135.5', address6: 'fd12:3456:789a:1::f045:8705' })
  })

  test('are found by their bytes, in either family', () => {
    const table = virtualAddresses(options)
    const { given } = table.assign('orders', 0)!
    expect(table.at([...given.bytes]).found).toBe(given)
    expect(table.at([...given.bytes6!]).found).toBe(given)
    expect(table.at([240, 64, 0, 1])).toEqual({ inside: true, found: null })
    expect(table.at([10, 0, 0, 1])).toEqual({ inside: false, found: null })
    expect(table.at([...given.bytes6!.subarray(0, 15), 0, 0].slice(0, 16))).toMatchObject({ found: null })
    const other = [...given.bytes6!]
    other[1] = 0
    expect(table.at(other)).toEqual({ inside: false, found: null })
  })

  test('survive a restart, those that lost their place to another too', () => {
    const small = { ...options, addresses: '240.64.0.0/24' }
    const before = virtualAddresses(small)
    for (const name of names.slice(0, 100)) before.assign(name, 5)
    const after = virtualAddresses({ ...small, saved: before.saved() })
    expect([...after.all()]).toEqual([...before.all()])
    for (const name of names.slice(0, 100).toReversed()) after.assign(name, 6)
    expect([...after.all()].map(({ address }) => address)).toEqual([...before.all()].map(({ address }) => address))
  })

  test.each([
    ['no JSON', '{'],
    ['another JSON', '[1]'],
    ['null', 'null'],
    ['addresses of another range', '{"addresses":{"a":["10.0.0.1",1]}}'],
    ['no addresses', '{"addresses":{"a":["x",1],"b":[1,2],"c":null,"d":["240.64.0.0",1],"e":["240.64.1.1"]}}'],
  ])('that were saved as %s are left out', (_what, saved) =>
    expect(virtualAddresses({ ...options, saved }).size).toBe(0),
  )

  test('of two services that were saved with the same one, the first keeps it', () => {
    const table = virtualAddresses({ ...options, saved: '{"addresses":{"a":["240.64.1.1",1],"b":["240.64.1.1",1]}}' })
    expect([...table.all()].map(({ service }) => service)).toEqual(['a'])
  })

  test('are bounded, and one is given to another service only after a day without use', () => {
    const table = virtualAddresses({ ...options, most: 3 })
    for (const [at, name] of ['a', 'b', 'c'].entries()) table.assign(name, at)
    expect(table.assign('d', DAY - 1)).toBe(null)
    // `a` is used again, so `b` is the oldest.
    table.assign('a', DAY - 1)
    expect(table.assign('d', DAY)).toBe(null)
    const result = table.assign('d', DAY + 1)!
    expect(result.dropped!.service).toBe('b')
    expect([...table.all()].map(({ service }) => service).sort()).toEqual(['a', 'c', 'd'])
    expect(table.assign('b', DAY + 1)).toBe(null)
  })
})

test('IPv6 addresses are written as the system writes them', () => {
  const cases: [string, number[]][] = [
    ['fd12:3456:789a:1::f061:3679', [0xfd12, 0x3456, 0x789a, 1, 0, 0, 0xf061, 0x3679]],
    ['fd00::f000:1', [0xfd00, 0, 0, 0, 0, 0, 0xf000, 1]],
    ['fd00:0:0:1::2', [0xfd00, 0, 0, 1, 0, 0, 0, 2]],
    ['1:0:2:3:4:5:6:7', [1, 0, 2, 3, 4, 5, 6, 7]],
    ['::', [0, 0, 0, 0, 0, 0, 0, 0]],
  ]
  for (const [text, groups] of cases) {
    expect(text6(groups)).toBe(text)
    expect(new URL(`http://[${text}]`).hostname).toBe(`[${text}]`)
  }
})

test('the usual prefix is taken where the machine has IPv6', () => {
  expect(usualPrefix('off', () => true)).toBe(null)
  expect(usualPrefix('auto', () => false)).toBe(null)
  expect(usualPrefix('auto', () => true)).toBe('fd6f:7574:7269:6767::/64')
  expect(usualPrefix('fd00::/64', () => false)).toBe('fd00::/64')
})
