import { describe, expect, test } from 'vitest'
import { refusal } from '../../proxy/admin/guard.ts'

const none = { origin: undefined, fetchSite: undefined }

describe('on loopback', () => {
  test.each(['localhost:15000', '127.0.0.1:15000', '127.0.0.2', '[::1]:15000', 'LOCALHOST', 'web.localhost:15000'])('%s may ask', host => {
    expect(refusal({ method: 'GET', host, ...none }, '127.0.0.1')).toBeNull()
  })

  test.each(['evil.example', 'evil.example:15000', '127.0.0.1.evil.example', 'localhost.evil.example:80', '', '[::2]:15000', '10.0.0.1'])(
    '%s may not: it may be a name that was pointed here',
    host => {
      expect(refusal({ method: 'GET', host, ...none }, '127.0.0.1')).toContain('localhost')
      expect(refusal({ method: 'GET', host, ...none }, '::1')).toContain('localhost')
    },
  )
})

test('an address opened on purpose is asked by any name', () => {
  expect(refusal({ method: 'GET', host: 'sidecar.pod:15000', ...none }, '0.0.0.0')).toBeNull()
})

describe('a change', () => {
  const from = (origin: string | undefined, fetchSite?: string) => refusal({ method: 'POST', host: 'localhost:15000', origin, fetchSite }, '127.0.0.1')

  test('from a program, or from a page of the port itself, is obeyed', () => {
    expect(from(undefined)).toBeNull()
    expect(from('http://localhost:15000', 'same-origin')).toBeNull()
    expect(from(undefined, 'none')).toBeNull()
  })

  test('from a page of another site is not', () => {
    expect(from('http://evil.example')).toContain('from elsewhere')
    expect(from('http://localhost:3000')).toContain('from elsewhere')
    expect(from('null')).toContain('from elsewhere')
    expect(from(undefined, 'cross-site')).toContain('from elsewhere')
    expect(from(undefined, 'same-site')).toContain('from elsewhere')
  })
})
