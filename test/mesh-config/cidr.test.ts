import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cidrOf, contains, formatCidr, mergeCidrs, parseCidr, wrongCidr } from '../../mesh-config/cidr.ts'
import { formatPorts, mergePorts, parsePorts, portsOf } from '../../mesh-config/port-range.ts'

describe('ranges of addresses', () => {
  test.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.1.2.3', '10.1.2.3'],
    ['10.1.2.3/32', '10.1.2.3'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['::/0', '::/0'],
    ['::1', '::1'],
    ['FD00:0:0:0::/8', 'fd00::/8'],
    ['2001:db8:0:0:1:0:0:0', '2001:db8:0:0:1::'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:10.0.0.1', '::ffff:a00:1'],
  ])('%s is %s', (text, shown) => {
    expect(formatCidr(cidrOf(text))).toBe(shown)
  })

  test.each([
    '',
    '10',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'fe80::1%eth0',
    'a.example',
    '10.0.0.0/-1',
  ])('%j is none', text => {
    expect(parseCidr(text)).toBeNull()
  })

  test('an address inside a range gets the range that was meant', () => {
    expect(wrongCidr('10.1.2.3/8')).toMatchObject({ meant: '10.0.0.0/8' })
    expect(wrongCidr('fd00::1/64')).toMatchObject({ meant: 'fd00::/64' })
  })

  const any = fc
    .tuple(fc.constantFrom(4 as const, 6 as const), fc.bigInt(0n, (1n << 128n) - 1n), fc.integer({ min: 0, max: 128 }))
    .map(([family, address, length]) => {
      const width = family === 4 ? 32 : 128
      const bits = Math.min(length, width)
      const rest = BigInt(width - bits)
      return { family, first: ((address & ((1n << BigInt(width)) - 1n)) >> rest) << rest, bits }
    })

  test('what is written is read as the same', () => {
    fc.assert(
      fc.property(any, cidr => {
        expect(cidrOf(formatCidr(cidr))).toEqual(cidr)
      }),
    )
  })

  test('a merged list covers the same, and no member contains another', () => {
    fc.assert(
      fc.property(fc.array(any, { maxLength: 12 }), cidrs => {
        const merged = mergeCidrs(cidrs)
        for (const cidr of cidrs) expect(merged.filter(outer => contains(outer, cidr))).toHaveLength(1)
        for (const one of merged) expect(merged.filter(outer => contains(outer, one))).toHaveLength(1)
      }),
    )
  })
})

describe('ports', () => {
  test.each(['', '0', '65536', '80-', '-80', '90-80', 'http', '1.5', '80,81'])('%j is none', text => {
    expect(parsePorts(text)).toBeNull()
  })

  test('a number, a text and a range', () => {
    expect([portsOf(80), portsOf('80'), portsOf('80-90')].map(formatPorts)).toEqual(['80', '80', '80-90'])
  })

  test('those that touch are made one', () => {
    const ranges = ['90', '1-5', '80', '6', '81-89', '3', '100-200', '150'].map(portsOf)
    expect(mergePorts(ranges).map(formatPorts)).toEqual(['1-6', '80-90', '100-200'])
  })
})
