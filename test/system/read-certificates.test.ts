import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readCertificates } from '../../proxy/system/read-certificates.ts'
import { issue } from '../support/certificates.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const folder = temporaryFolder()
const authority = issue('CA', null)
const between = issue('intermediate', authority, { isCa: true })
const leaf = issue('web', between, { names: ['web.internal'] })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const cert = file('web.pem', leaf.cert + between.cert)
const key = file('web.key', leaf.key)
const ca = file('ca.pem', authority.cert)

test('certificates, their chain and the key are read as they are', async () => {
  expect(await readCertificates({ ca, cert, key })).toEqual({
    ca: authority.cert,
    cert: leaf.cert + between.cert,
    key: leaf.key,
  })
  expect(await readCertificates({ ca, cert: null, key: null })).toEqual({ ca: authority.cert, cert: null, key: null })
})

describe('what cannot be used is refused, with the file and what to do', () => {
  const encrypted = rsa.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString()
  const cases: readonly (readonly [string, { ca?: string; cert?: string; key?: string }, RegExp])[] = [
    ['a file that is not there', { ca: join(folder, 'no.pem') }, /no\.pem cannot be read: there is no such file/],
    ['a folder', { ca: folder }, /cannot be read: it is no file/],
    ['a text that is no PEM', { ca: file('text', 'hello') }, /text has no certificate in it: write it as PEM/],
    [
      'a broken certificate',
      { ca: file('broken', authority.cert.replace(/[A-Za-z]{20}/, 'A'.repeat(20))) },
      /certificate 1 in .*broken cannot be read/,
    ],
    [
      'the key of another certificate',
      { key: file('other.key', issue('other', null).key) },
      /other\.key is not the key of the certificate in .*web\.pem/,
    ],
    [
      'a chain in the wrong order',
      { cert: file('order.pem', between.cert + leaf.cert) },
      /certificate 2 in .*order\.pem is that of .*web\.key: it has to come first/,
    ],
    [
      'an encrypted key',
      { key: file('encrypted.key', encrypted) },
      /encrypted\.key is encrypted: write it without a passphrase/,
    ],
    ['a certificate in place of the key', { key: cert }, /web\.pem has no private key in it/],
  ]

  test.each(cases)('%s', async (_name, given, reason) => {
    const said = await readCertificates({ ca, cert, key, ...given })
    expect(said).toMatch(reason)
    expect(said).not.toContain(leaf.key.split('\n')[1])
  })

  test('a file without end', async () => {
    expect(await readCertificates({ ca: '/dev/zero', cert: null, key: null })).toMatch(/it is no file/)
  })
})
