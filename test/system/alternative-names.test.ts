import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { urisIn } from '../../proxy/system/alternative-names.ts'
import { issue } from '../support/certificates.ts'

const authority = issue('CA', null)
const urisOf = (...names: string[]) =>
  urisIn(new X509Certificate(issue('a', authority, { names }).cert).subjectAltName ?? '')

test('the URIs of a certificate, among its other names', () => {
  expect(urisOf('a.example', 'spiffe://test/web', '10.0.0.1')).toEqual(['spiffe://test/web'])
  expect(urisOf('spiffe://test/web', 'spiffe://test/other')).toEqual(['spiffe://test/web', 'spiffe://test/other'])
  expect(urisOf('a.example')).toEqual([])
  expect(urisIn('')).toEqual([])
})

test('no name can look like a URI, nor one URI like two', () => {
  expect(urisOf('a.example, URI:spiffe:test')).toEqual([])
  expect(urisOf('a", URI:spiffe:test, DNS:"b')).toEqual([])
  expect(urisOf('spiffe://test/web, URI:spiffe://test/admin')).toEqual(['spiffe://test/web, URI:spiffe://test/admin'])
  expect(urisOf('spiffe://test/web", URI:"spiffe://test/admin')).toEqual([
    'spiffe://test/web", URI:"spiffe://test/admin',
  ])
  expect(urisOf('x://a\\", URI:spiffe://test/admin')).toEqual(['x://a\\", URI:spiffe://test/admin'])
})
