import { createPrivateKey, X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { certificatesOf, makeAuthority, makeServerCertificate } from '../../../inject/webhook/certificate.ts'
import { integer, oid, time } from '../../../inject/webhook/der.ts'
import { type Held, type Lifetimes, rotated } from '../../../inject/webhook/rotation.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const lifetimes: Lifetimes = { authorityMs: 30 * DAY, certificateMs: 3 * DAY, spreadMs: 12 * HOUR }
const names = ['outrigger-injector.outrigger-system.svc']
const begin = Date.UTC(2026, 10, 30)

const trusts = (held: Held, pem: string) =>
  certificatesOf(held.authorities).some(each => new X509Certificate(pem).verify(new X509Certificate(each).publicKey))

test('DER: numbers, object identifiers and times, as X.690 has them', () => {
  expect(integer(Buffer.from([0, 0, 0x80])).toString('hex')).toBe('02020080')
  expect(integer(Buffer.from([0])).toString('hex')).toBe('020100')
  expect(oid('1.2.840.10045.4.3.2').toString('hex')).toBe('06082a8648ce3d040302')
  expect(time(Date.UTC(2049, 11, 31, 23, 59, 59)).toString('latin1')).toContain('491231235959Z')
  expect(time(Date.UTC(2050, 0, 1)).toString('latin1')).toContain('20500101000000Z')
})

test('a certificate is of its authority and for its names, and no authority itself', () => {
  const authority = makeAuthority('ca', begin, 30 * DAY)
  const by = { certificate: authority.certificate, key: createPrivateKey(authority.key) }
  const own = new X509Certificate(makeServerCertificate([...names, '127.0.0.1'], by, begin, 3 * DAY).certificate)
  const parsed = new X509Certificate(authority.certificate)
  expect(own.checkIssued(parsed)).toBe(true)
  expect(own.verify(parsed.publicKey)).toBe(true)
  expect([parsed.ca, own.ca]).toEqual([true, false])
  expect(own.checkHost(names[0]!)).toBe(names[0])
  expect(own.checkHost('other.svc')).toBeUndefined()
  expect(own.checkIP('127.0.0.1')).toBe('127.0.0.1')
  expect(own.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
  expect(Date.parse(own.validTo)).toBe(begin + 3 * DAY)
})

test('what is held stays until two thirds of its time', () => {
  const first = rotated(null, names, begin, lifetimes)
  expect(rotated(first, names, begin + DAY, lifetimes)).toBe(first)
  const second = rotated(first, names, begin + 2 * DAY, lifetimes)
  expect(second.certificate).not.toBe(first.certificate)
  expect(second.authorities).toBe(first.authorities)
})

test('an authority is replaced in two steps: at each moment every certificate in use is trusted', () => {
  let held = rotated(null, names, begin, lifetimes)
  // A replica that has looked last one round ago still serves the certificate of then.
  let before = held
  const seen = new Set(certificatesOf(held.authorities))
  for (let now = begin; now < begin + 90 * DAY; now += 6 * HOUR) {
    const next = rotated(held, names, now, lifetimes)
    for (const certificate of [next.certificate, before.certificate]) {
      expect(trusts(next, certificate)).toBe(true)
      expect(Date.parse(new X509Certificate(certificate).validTo)).toBeGreaterThan(now)
    }
    // The bundle that the API server has may be one round old, too.
    expect(trusts(held, next.certificate)).toBe(true)
    for (const each of certificatesOf(next.authorities)) seen.add(each)
    expect(certificatesOf(next.authorities).length).toBeLessThanOrEqual(3)
    before = held
    held = next
  }
  expect(seen.size).toBeGreaterThanOrEqual(4)
})

test('a new authority issues nothing before all know it, even for a certificate that is old', () => {
  const first = rotated(null, names, begin, { ...lifetimes, certificateMs: 29 * DAY })
  const second = rotated(first, names, begin + 21 * DAY, lifetimes)
  expect(certificatesOf(second.authorities)).toHaveLength(2)
  expect(rotated(second, names, begin + 21 * DAY + HOUR, lifetimes)).toBe(second)
  const third = rotated(second, names, begin + 21 * DAY + 13 * HOUR, lifetimes)
  const newest = new X509Certificate(certificatesOf(third.authorities)[0]!)
  expect(new X509Certificate(third.certificate).verify(newest.publicKey)).toBe(true)
})

test.each<[string, (held: Held) => Held]>([
  ['an expired certificate', held => held],
  ['a key of another certificate', held => ({ ...held, key: held.authorityKey })],
  ['no certificate', held => ({ ...held, certificate: 'garbage' })],
  [
    'a certificate of a strange authority',
    held => ({ ...held, certificate: rotated(null, names, begin, lifetimes).certificate }),
  ],
])('%s is replaced at once', (name, change) => {
  const held = change(rotated(null, names, begin, lifetimes))
  const now = name.startsWith('an expired') ? begin + 4 * DAY : begin
  const next = rotated(held, names, now, lifetimes)
  expect(trusts(next, next.certificate)).toBe(true)
  expect(new X509Certificate(next.certificate).checkPrivateKey(createPrivateKey(next.key))).toBe(true)
})

test('another name of the Service gets another certificate, of the same authority', () => {
  const held = rotated(null, names, begin, lifetimes)
  const next = rotated(held, ['injector.mesh.svc'], begin, lifetimes)
  expect(new X509Certificate(next.certificate).checkHost('injector.mesh.svc')).toBe('injector.mesh.svc')
  expect(next.authorities).toBe(held.authorities)
})
