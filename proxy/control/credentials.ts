import { own } from '../../mesh-config/own.ts'
import type { ListenerSpec, PemTexts, ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Log } from '../core/log.ts'
import type { FilledSnapshot } from './workers.ts'

/**
 * The files that the `tls` of services and listeners names: certificates and keys. They are read here, and data threads get what is
 * in them with their snapshot; it is never written down, logged or shown.
 */
export interface Credentials {
  /** Reads what a snapshot needs, before it comes into force. Why it cannot; empty: it can. */
  prepare(snapshot: Snapshot): Promise<readonly string[]>
  /** It is in force: its files are watched, and those of the one before no longer. */
  commit(snapshot: Snapshot): void
  /** With what is in the files. */
  into(filled: FilledSnapshot): FilledSnapshot
  stop(): void
}

/** Certificates of authorities, a certificate and its key. */
interface Files {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}

/** Files, and what they are for: `services.orders`, or where the listener is written. */
interface Secured {
  readonly name: string
  readonly tls: Files
}

export interface CredentialsDeps {
  /** Of one service or listener, or why they are not usable: in system/, loaded only where there are any. */
  readonly read: (files: Files) => Promise<PemTexts | string>
  /** Of this process: what tickets of sessions are encrypted with comes of it. */
  readonly ticketSecret: () => string
  readonly watch: (files: readonly string[], changed: () => void) => () => void
  /** Files have changed: what is in force is sent again. */
  readonly changed: () => void
  readonly log: Log
}

export function credentials({ read, watch, changed, ticketSecret, log }: CredentialsDeps): Credentials {
  /** By the names of the files. */
  let texts: ReadonlyMap<string, PemTexts> = new Map()
  let inForce: readonly Secured[] = []
  let stopWatching: (() => void) | null = null
  let watched = ''
  /** What was said last of the files of each. */
  const said = new Map<string, string>()

  async function reread(): Promise<void> {
    const next = new Map(texts)
    let isNew = false
    for (const { name, tls } of inForce) {
      const now = await read(tls)
      const trouble = typeof now === 'string' ? now : ''
      if (trouble !== (said.get(name) ?? '')) {
        said.set(name, trouble)
        if (trouble !== '') log.warn(`the certificates of ${name} stay as they are: ${trouble}`)
      }
      if (typeof now === 'string' || isSame(now, next.get(keyOf(tls)))) continue
      next.set(keyOf(tls), now)
      isNew = true
      log.info(`new certificates of ${name}`)
    }
    if (!isNew) return
    texts = next
    changed()
  }

  function withPem(service: ServiceSpec): ServiceSpec {
    const pem = service.tls === undefined ? undefined : texts.get(keyOf(service.tls))
    return pem === undefined ? service : { ...service, tls: { ...service.tls!, pem } }
  }

  function withCertificate(listener: ListenerSpec): ListenerSpec {
    const pem = listener.tls === undefined ? undefined : texts.get(keyOf(listener.tls))
    return pem === undefined ? listener : { ...listener, tls: { ...listener.tls!, pem, ticketSecret: ticketSecret() } }
  }

  return {
    async prepare(snapshot) {
      const reasons: string[] = []
      const next = new Map(texts)
      for (const { name, tls } of securedIn(snapshot)) {
        if (next.has(keyOf(tls))) continue
        const found = await read(tls)
        if (typeof found === 'string') reasons.push(`${name}: ${found}`)
        else next.set(keyOf(tls), found)
      }
      if (reasons.length === 0) texts = next
      return reasons
    },
    commit(snapshot) {
      inForce = securedIn(snapshot)
      const keys = new Set(inForce.map(({ tls }) => keyOf(tls)))
      texts = new Map([...texts].filter(([key]) => keys.has(key)))
      const files = [...new Set(inForce.flatMap(({ tls }) => filesOf(tls)))]
      if (files.join('\n') === watched) return
      watched = files.join('\n')
      stopWatching?.()
      stopWatching = files.length === 0 ? null : watch(files, () => void reread())
    },
    into(filled) {
      const { snapshot } = filled
      if (securedIn(snapshot).length === 0) return filled
      const services = Object.entries(snapshot.services).map(([name, spec]): [string, ServiceSpec] => [
        name,
        withPem(spec),
      ])
      const listeners = snapshot.listeners.map(withCertificate)
      return { ...filled, snapshot: { ...snapshot, services: Object.fromEntries(services), listeners } }
    },
    stop: () => stopWatching?.(),
  }
}

function securedIn({ services, listeners, places }: Snapshot): Secured[] {
  return [
    ...Object.values(services).flatMap(({ name, tls }) =>
      tls === undefined ? [] : [{ name: `services.${name}.tls`, tls }],
    ),
    ...listeners.flatMap(({ name, tls }) =>
      tls === undefined ? [] : [{ name: `${own(places, name) ?? name}: tls`, tls }],
    ),
  ]
}

function filesOf({ ca, cert, key }: Files): string[] {
  return [ca, cert, key].filter(file => file !== null)
}

function keyOf({ ca, cert, key }: Files): string {
  return JSON.stringify([ca, cert, key])
}

function isSame(one: PemTexts, other: PemTexts | undefined): boolean {
  return one.ca === other?.ca && one.cert === other?.cert && one.key === other?.key
}
