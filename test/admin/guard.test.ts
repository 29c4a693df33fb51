import { describe, expect, test } from 'vitest'
import { refusal } from '../../proxy/admin/guard.ts'

const none = { origin: undefined, fetchSite: undefined }

describe('on loopback', () => {
  test.each(['localhost:15000', '127.0.0.1:15000', '127.0.0.2', '[::1]:15000', 'LOCALHOST', 'web.localhost:15000'])(
    '%s may ask',
    host => {
      expect(refusal({ method: 'GET', host, ...none }, '127.0.0.1', [])).toBeNull()
    },
  )

  test.each([
    'evil.example',
    'evil.example:15000',
    '127.0.0.1.evil.example',
    'localhost.evil.example:80',
    '',
    '[::2]:15000',
    '10.0.0.1',
  ])('%s may not: it may be a name that was pointed here', host => {
    expect(refusal({ method: 'GET', host, ...none }, '127.0.0.1', [])).toContain('localhost')
    expect(refusal({ method: 'GET', host, ...none }, '::1', [])).toContain('localhost')
  })
})

describe.each(['0.0.0.0', '::', '10.0.0.5'])('on %s, opened on purpose', listen => {
  const asked = (host: string | undefined, hosts: readonly string[] = []) =>
    refusal({ method: 'GET', host, ...none }, listen, hosts)

  test.each([
    '10.0.0.5:15000',
    '192.168.1.7',
    '[fd00::5]:15000',
    '[::1]',
    'localhost:15000',
    '127.0.0.1',
    '',
    undefined,
  ])('%s may ask', host => {
    expect(asked(host)).toBeNull()
  })

  test.each([
    'evil.example:15000',
    'sidecar.pod',
    '10.0.0.5.evil.example',
    '1.2.3',
    '[fd00::5].evil.example',
    'rebind',
    '0x7f000001',
    '[::ffff:zz]',
  ])('%s may not, unless it is listed', host => expect(asked(host)).toContain('adminHosts'))

  test('a listed name may, in any case and with any port', () => {
    for (const host of ['sidecar.pod:15000', 'SIDECAR.pod', 'sidecar.pod.'])
      expect(asked(host, ['sidecar.pod'])).toBeNull()
    expect(asked('other.pod', ['sidecar.pod'])).toContain('adminHosts')
  })

  test('a page from elsewhere may not change anything, by whatever address it asks', () => {
    const change = (host: string, origin: string, fetchSite?: string) =>
      refusal({ method: 'POST', host, origin, fetchSite }, listen, [])
    expect(change('10.0.0.5:15000', 'http://10.0.0.5:15000')).toBeNull()
    expect(change('10.0.0.5:15000', 'http://evil.example')).toContain('from elsewhere')
    expect(change('10.0.0.5:15000', 'http://10.0.0.5:15000', 'cross-site')).toContain('from elsewhere')
  })
})

describe('a change', () => {
  const from = (origin: string | undefined, fetchSite?: string) =>
    refusal({ method: 'POST', host: 'localhost:15000', origin, fetchSite }, '127.0.0.1', [])

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
