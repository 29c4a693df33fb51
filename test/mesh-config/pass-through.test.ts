import { describe, expect, test } from 'vitest'
import { canonicalAddress } from '../../mesh-config/address.ts'
import { allowsOf, parseRule } from '../../mesh-config/pass-through.ts'

describe('canonicalAddress', () => {
  // RFC 5952 section 4.
  test.each([
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0DB8::0001', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['fe80:0::', 'fe80::'],
    ['::ffff:10.0.0.7', '::ffff:a00:7'],
    ['10.0.0.7', '10.0.0.7'],
    ['orders', 'orders'],
  ])('%s is written %s', (written, canonical) => expect(canonicalAddress(written)).toBe(canonical))
})

describe('allowsOf', () => {
  const to = (text: string) => {
    const colon = text.lastIndexOf(':')
    return { address: text.slice(0, colon).replace(/[[\]]/g, ''), port: Number(text.slice(colon + 1)) }
  }

  test.each([
    ['10.0.0.0/8', '10.255.0.1:80', '', true],
    ['10.0.0.0/8', '11.0.0.1:80', '', false],
    ['10.0.0.0/9', '10.128.0.1:80', '', false],
    ['0.0.0.0/0', '8.8.8.8:53', '', true],
    ['0.0.0.0/0', '[2001:db8::1]:53', '', false],
    ['10.1.2.3', '10.1.2.3:1', '', true],
    ['10.1.2.3:443', '10.1.2.3:80', '', false],
    ['fd00::/8', '[fd12::1]:80', '', true],
    ['[fd00::1]:80', '[fd00::1]:80', '', true],
    ['api.example.com:443', '192.0.2.1:443', 'API.example.com:443', true],
    ['api.example.com:443', '192.0.2.1:443', 'api.example.com.evil.org', false],
    ['*.example.com:443', '192.0.2.1:443', 'a.b.example.com', true],
    ['*.example.com:443', '192.0.2.1:443', '.example.com', false],
    ['*.example.com:443', '192.0.2.1:443', 'badexample.com', false],
  ])('%s: %s as "%s" is %s', (rule, original, host, allowed) => {
    expect(allowsOf([rule])(to(original), host)).toBe(allowed)
  })

  test.each(['', 'orders', 'example.com', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/x', '*:80', '*.1.2.3.4:80', 'a:0'])(
    '"%s" is no rule',
    text => expect(parseRule(text)).toBeNull(),
  )
})
