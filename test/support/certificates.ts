import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import {
  bits,
  boolean,
  explicit,
  implicit,
  integer,
  octets,
  oid,
  sequence,
  set,
  time,
  utf8,
} from '../../inject/webhook/der.ts'

/** Certificates as tests need them: good ones, and every kind of bad one. ECDSA on P-256. */
export interface Issued {
  /** PEM. */
  readonly cert: string
  readonly key: string
  readonly name: string
}

export interface Wanted {
  /** DNS names, IPv4 addresses, or URIs. */
  readonly names?: readonly string[]
  readonly isCa?: boolean
  readonly usage?: 'server' | 'client' | 'both'
  /** From now on, in milliseconds. */
  readonly from?: number
  readonly until?: number
}

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'))
const HOUR = 3_600_000
const USAGES = {
  server: [oid('1.3.6.1.5.5.7.3.1')],
  client: [oid('1.3.6.1.5.5.7.3.2')],
  both: [oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2')],
}

/** By itself where `by` is null. */
export function issue(name: string, by: Issued | null, wanted: Wanted = {}): Issued {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { names = [], isCa = by === null && names.length === 0, usage = 'both', from = -HOUR, until = HOUR } = wanted
  const now = Date.now()
  const extensions = isCa
    ? [
        extension('2.5.29.19', sequence(boolean(true)), true),
        extension('2.5.29.15', bits(Buffer.from([0x06]), 1), true),
        extension('2.5.29.14', octets(keyId(publicKey))),
      ]
    : [
        extension('2.5.29.19', sequence(), true),
        extension('2.5.29.15', bits(Buffer.from([0x80]), 7), true),
        extension('2.5.29.37', sequence(...USAGES[usage])),
        extension('2.5.29.17', sequence(...names.map(generalName))),
      ]
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
    ECDSA_SHA256,
    nameOf(by?.name ?? name),
    sequence(time(now + from), time(now + until)),
    nameOf(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...extensions)),
  )
  const signature = sign('sha256', body, by === null ? privateKey : createPrivateKey(by.key))
  const whole = sequence(body, ECDSA_SHA256, bits(signature))
  return { cert: pem(whole), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), name }
}

function nameOf(name: string): Buffer {
  return sequence(set(sequence(oid('2.5.4.3'), utf8(name))))
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value))
}

function generalName(name: string): Buffer {
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) return implicit(7, Buffer.from(name.split('.').map(Number)))
  return implicit(name.includes('://') ? 6 : 2, Buffer.from(name, 'latin1'))
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
