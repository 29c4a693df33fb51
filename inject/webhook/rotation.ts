import { createPrivateKey, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { BACKDATE_MS, certificatesOf, makeAuthority, makeServerCertificate } from './certificate.ts'

/** What the Secret holds, which all replicas share. */
export interface Held {
  /** The authorities that are trusted, the newest first: the caBundle. */
  readonly authorities: string
  /** The key of the newest. */
  readonly authorityKey: string
  readonly certificate: string
  readonly key: string
}

export interface Lifetimes {
  readonly authorityMs: number
  readonly certificateMs: number
  /** From the time an authority is trusted to the first certificate it issues: until then all know it. */
  readonly spreadMs: number
}

const DAY = 24 * 3_600_000
export const usualLifetimes: Lifetimes = { authorityMs: 365 * DAY, certificateMs: 30 * DAY, spreadMs: 3_600_000 }

const AUTHORITY = 'outrigger-injector-ca'

/**
 * What should be held now; the same object where nothing is to be changed. An authority is replaced in two steps: the
 * new one is trusted beside the old one, and issues only when all have had time to see that.
 */
export function rotated(held: Held | null, names: readonly string[], now: number, lifetimes: Lifetimes): Held {
  if (held === null || !isUsable(held, now)) {
    const { certificate: authorities, key: authorityKey } = makeAuthority(AUTHORITY, now, lifetimes.authorityMs)
    return issued({ authorities, authorityKey, certificate: '', key: '' }, names, now, lifetimes)
  }
  const [newest, ...older] = certificatesOf(held.authorities).map(pem => ({ pem, parsed: new X509Certificate(pem) }))
  const valid = older.filter(({ parsed }) => Date.parse(parsed.validTo) > now)
  if (isOld(newest!.parsed, now)) {
    const next = makeAuthority(AUTHORITY, now, lifetimes.authorityMs)
    const all = [next.certificate, newest!.pem, ...valid.map(({ pem }) => pem)]
    return { ...held, authorities: all.join(''), authorityKey: next.key }
  }
  const own = new X509Certificate(held.certificate)
  const isOfNewest = own.verify(newest!.parsed.publicKey)
  const hasSpread = now - Date.parse(newest!.parsed.validFrom) >= lifetimes.spreadMs + BACKDATE_MS
  const isNamed = names.every(name => (isIP(name) === 0 ? own.checkHost(name) : own.checkIP(name)) !== undefined)
  const isDue = isOld(own, now) || !isOfNewest
  if (!isNamed || (isDue && (isOfNewest || hasSpread))) return issued(held, names, now, lifetimes)
  return held
}

function issued(held: Held, names: readonly string[], now: number, { certificateMs }: Lifetimes): Held {
  const authority = { certificate: certificatesOf(held.authorities)[0]!, key: createPrivateKey(held.authorityKey) }
  const { certificate, key } = makeServerCertificate(names, authority, now, certificateMs)
  return { ...held, certificate, key }
}

/** After two thirds of its time. */
function isOld(certificate: X509Certificate, now: number): boolean {
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]
  return now >= from + ((to - from) * 2) / 3
}

/** What is held is whole, belongs together and has not expired. */
function isUsable(held: Held, now: number): boolean {
  try {
    const newest = new X509Certificate(certificatesOf(held.authorities)[0] ?? '')
    const own = new X509Certificate(held.certificate)
    const isTrusted = certificatesOf(held.authorities).some(pem => own.verify(new X509Certificate(pem).publicKey))
    return (
      newest.checkPrivateKey(createPrivateKey(held.authorityKey)) &&
      own.checkPrivateKey(createPrivateKey(held.key)) &&
      isTrusted &&
      Date.parse(own.validTo) > now
    )
  } catch {
    return false
  }
}

export function expiryOf({ certificate }: Held): number {
  return Date.parse(new X509Certificate(certificate).validTo)
}
