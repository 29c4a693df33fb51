import { expect, test } from 'vitest'
import { Exchange } from '../../proxy/core/exchange.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type { PeerIdentity } from '../../proxy/core/wire.ts'
import { clientCertificate } from '../../proxy/filter/client-certificate.ts'

function fieldFor(identity: PeerIdentity | null, ...said: string[]): string | undefined {
  const headers = new HeaderList()
  for (const value of said) headers.add('X-Forwarded-Client-Cert', value)
  const peer = { address: '10.0.0.1', port: 1, local: '10.0.0.2', localPort: 2 }
  const request = { method: 'GET', scheme: 'http', authority: 'a', path: '/', upgrade: '', headers } as const
  const exchange = new Exchange(identity === null ? peer : { ...peer, identity }, 'inbound', 'http/1.1', request)
  clientCertificate.onRequest!(exchange, 0)
  return headers.get('x-forwarded-client-cert')
}

const identity = { uri: 'spiffe://test/web', subject: 'CN=web,O=Test', fingerprint: 'ab12' }

test('who the caller is by its certificate', () => {
  expect(fieldFor(identity)).toBe('Hash=ab12;Subject="CN=web,O=Test";URI=spiffe://test/web')
  expect(fieldFor({ ...identity, uri: '' })).toBe('Hash=ab12;Subject="CN=web,O=Test"')
})

test('what the caller says of itself is removed', () => {
  expect(fieldFor(null, 'Hash=00', 'Hash=01')).toBeUndefined()
  expect(fieldFor(identity, 'Hash=00', 'Hash=01')).toBe('Hash=ab12;Subject="CN=web,O=Test";URI=spiffe://test/web')
})

test('a name in the certificate cannot add to the field', () => {
  expect(fieldFor({ ...identity, subject: 'CN=a";URI=spiffe://test/admin;Subject="b\r\nx: y' })).toBe(
    'Hash=ab12;Subject="CN=a\\";URI=spiffe://test/admin;Subject=\\"bx: y";URI=spiffe://test/web',
  )
  expect(fieldFor({ ...identity, uri: 'spiffe://a;URI=spiffe://b,Hash=0' })).toBe(
    'Hash=ab12;Subject="CN=web,O=Test";URI="spiffe://a;URI=spiffe://b,Hash=0"',
  )
})
