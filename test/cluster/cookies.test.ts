import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readCookie, writeCookie } from '../../proxy/cluster/cookies.ts'
import '../support/seed.ts'

describe('a Cookie header', () => {
  test.each([
    ['s=1', '1'],
    ['a=0; s=1; b=2', '1'],
    ['a=0;s=1;b=2', '1'],
    [' \t s=1 \t ', '1'],
    ['s="1"', '1'],
    ['s= "1" ', '1'],
    ['s="', '"'],
    ['s=""', ''],
    ['s=', ''],
    ['s', ''],
    ['S=1', ''],
    ['xs=1; sx=2', ''],
    ['a=s=1', ''],
    ['s=a=b', 'a=b'],
    ['s=1; s=2', '1'],
    ['s =1', ''],
    [';;;s=1;;', '1'],
    ['', ''],
    [';', ''],
    [`s=${'x'.repeat(4096)}`, 'x'.repeat(4096)],
    [`s=${'x'.repeat(4097)}`, ''],
  ])('%j says %j', (header, value) => {
    expect(readCookie(header, 's')).toBe(value)
  })

  test('that is missing says nothing', () => {
    expect(readCookie(undefined, 's')).toBe('')
  })

  test('of any cookies gives the one that is asked for', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,4}$/)
    const value = fc.stringMatching(/^[!#-+./-:<-[\]-~]{0,12}$/)
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(name, value), { selector: ([name]) => name, maxLength: 8 }),
        fc.constantFrom('; ', ';', ' ;  '),
        (cookies, between) => {
          const header = cookies.map(([name, value]) => `${name}=${value}`).join(between)
          for (const [name, value] of cookies) expect(readCookie(header, name)).toBe(value)
          expect(readCookie(header, 'other')).toBe('')
        },
      ),
    )
  })

  test('of any text is read to its end and no further', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('s', '=', ';', ' ', '"', 'x'), maxLength: 40 }), header => {
        const value = readCookie(header, 's')
        expect(header).toContain(value)
        expect(value).not.toContain(';')
      }),
    )
  })
})

describe('a Set-Cookie header', () => {
  test('has its life in seconds, rounded up, or none', () => {
    expect(writeCookie({ name: 's', ttlMs: 1500, path: '/api' }, 'v')).toBe(
      's=v; Max-Age=2; Path=/api; HttpOnly; SameSite=Lax',
    )
    expect(writeCookie({ name: 's', ttlMs: 0, path: '/' }, 'v')).toBe('s=v; Path=/; HttpOnly; SameSite=Lax')
  })
})
