import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto'
import { bits, boolean, explicit, implicit, integer, octets, oid, sequence, set, time, utf8 } from './der.ts'

/** Issues X.509 certificates (RFC 5280) with ECDSA on P-256, which node:crypto can sign but not put together. */

export interface KeyPair {
  /** PEM. */
  readonly certificate: string
  readonly key: string
}

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'))
/** Clocks of other machines may be behind. */
export const BACKDATE_MS = 5 * 60_000

/** A certificate authority of its own, which signs nothing but what is issued here. */
export function makeAuthority(name: string, now: number, lifetimeMs: number): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subject = { name, publicKey }
  const extensions = [
    // A CA, with no other below it.
    extension('2.5.29.19', sequence(boolean(true), integer(Buffer.from([0]))), true),
    // keyCertSign, cRLSign.
    extension('2.5.29.15', bits(Buffer.from([0x06]), 1), true),
    extension('2.5.29.14', octets(keyId(publicKey))),
  ]
  return issue(subject, { name, key: privateKey }, extensions, now, lifetimeMs, privateKey)
}

/** A certificate of a server. `by`: the authority. */
export function makeServerCertificate(
  names: readonly string[],
  by: { readonly certificate: string; readonly key: KeyObject },
  now: number,
  lifetimeMs: number,
): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const authority = new X509Certificate(by.certificate)
  const extensions = [
    extension('2.5.29.19', sequence(), true),
    // digitalSignature.
    extension('2.5.29.15', bits(Buffer.from([0x80]), 7), true),
    // serverAuth.
    extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.1'))),
    extension('2.5.29.17', sequence(...names.map(generalName))),
    extension('2.5.29.35', sequence(implicit(0, keyId(authority.publicKey)))),
  ]
  const issuer = { name: authority.subject.replace(/^CN=/, ''), key: by.key }
  // It does not outlive what it is verified with.
  const end = Math.min(now + lifetimeMs, Date.parse(authority.validTo))
  return issue({ name: names[0]!, publicKey }, issuer, extensions, now, end - now, privateKey)
}

function issue(
  subject: { readonly name: string; readonly publicKey: KeyObject },
  issuer: { readonly name: string; readonly key: KeyObject },
  extensions: readonly Buffer[],
  now: number,
  lifetimeMs: number,
  key: KeyObject,
): KeyPair {
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    // 20 bytes at most, and positive.
    integer(Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
    ECDSA_SHA256,
    nameOf(issuer.name),
    sequence(time(now - BACKDATE_MS), time(now + lifetimeMs)),
    nameOf(subject.name),
    subject.publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...extensions)),
  )
  const whole = sequence(body, ECDSA_SHA256, bits(sign('sha256', body, issuer.key)))
  return {
    certificate: pem('CERTIFICATE', whole),
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** A common name: of 64 characters at most. */
function nameOf(name: string): Buffer {
  return sequence(set(sequence(oid('2.5.4.3'), utf8(name.slice(0, 64)))))
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value))
}

/** A DNS name, or an IPv4 address. */
function generalName(name: string): Buffer {
  const address = /^\d+\.\d+\.\d+\.\d+$/.test(name) ? Buffer.from(name.split('.').map(Number)) : null
  return address === null ? implicit(2, Buffer.from(name, 'latin1')) : implicit(7, address)
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

/** The certificates of a bundle, each as PEM. */
export function certificatesOf(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----\n?/g) ?? []
}
