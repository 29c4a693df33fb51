import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  addressPattern,
  explainAddress,
  formatAddress,
  isLoopback,
  isWildcard,
  overlap,
  parseAddress,
} from '../../mesh-config/address.ts'

const port = fc.integer({ min: 0, max: 65_535 })

describe('addresses', () => {
  test.each([
    ['127.0.0.1:80', '127.0.0.1', 80],
    ['[::1]:80', '::1', 80],
    ['[FE80::1]:0', 'fe80::1', 0],
    ['localhost:3000', 'localhost', 3000],
    ['Orders.internal:8080', 'orders.internal', 8080],
    ['my_service:65535', 'my_service', 65_535],
  ])('%s', (text, address, number) => {
    expect(parseAddress(text)).toEqual({ address, port: number })
  })

  test.each([
    '',
    ':80',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '256.0.0.1:80',
    '1.2.3:80',
    '::1:80',
    '[::1]',
    '[::g]:80',
    '[127.0.0.1]:80',
    'a b:80',
    '-a:80',
    'a..b:80',
    '*:80',
    'http://a:80',
  ])('%j is not one', text => {
    expect(parseAddress(text)).toBeNull()
  })

  test('are the same after being written and read', () => {
    const host = fc.oneof(
      fc.ipV4(),
      fc.ipV6().map(address => `[${address}]`),
      fc.domain(),
    )
    fc.assert(
      fc.property(host, port, (name, number) => {
        const parsed = parseAddress(`${name}:${number}`)!
        expect(parsed.port).toBe(number)
        expect(parseAddress(formatAddress(parsed))).toEqual(parsed)
        expect(`${name}:${number}`).toMatch(new RegExp(addressPattern))
      }),
    )
  })

  test.each([
    [8080, '127.0.0.1:8080'],
    [':80', '127.0.0.1:80'],
    ['*:80', '0.0.0.0:80'],
    ['http://127.0.0.1:80/x', '127.0.0.1:80'],
    ['::1:80', '[::1]:80'],
    ['2001:db8::1', null],
    ['orders', null],
  ])('%j probably meant %s', (input, meant) => {
    expect(explainAddress(input, '0.0.0.0').meant).toBe(meant)
  })

  test('a guess is always an address', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9:./*[\]]{0,20}$/), port), input => {
        const { meant } = explainAddress(input, '0.0.0.0')
        expect(meant === null || parseAddress(meant) !== null).toBe(true)
      }),
    )
  })

  test('overlap when both would have the same connections', () => {
    const at = (text: string) => parseAddress(text)!
    expect(overlap(at('127.0.0.1:80'), at('127.0.0.1:80'))).toBe(true)
    expect(overlap(at('127.0.0.1:80'), at('0.0.0.0:80'))).toBe(true)
    expect(overlap(at('[::]:80'), at('127.0.0.1:80'))).toBe(true)
    expect(overlap(at('localhost:80'), at('127.0.0.1:80'))).toBe(true)
    expect(overlap(at('127.0.0.1:80'), at('127.0.0.2:80'))).toBe(false)
    expect(overlap(at('127.0.0.1:80'), at('127.0.0.1:81'))).toBe(false)
    expect(overlap(at('127.0.0.1:0'), at('127.0.0.1:0'))).toBe(false)
  })

  test('are of this machine only, or of everyone', () => {
    expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost'].every(isLoopback)).toBe(true)
    expect(['0.0.0.0', '::', '10.0.0.1', 'example.com'].some(isLoopback)).toBe(false)
    expect(['0.0.0.0', '::'].every(isWildcard)).toBe(true)
    expect(isWildcard('127.0.0.1')).toBe(false)
  })
})
