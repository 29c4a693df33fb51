import type { PemTexts, ServiceSpec, Snapshot, TlsSpec } from '../../mesh-config/snapshot.ts'
import type { Log } from '../core/log.ts'
import type { FilledSnapshot } from './workers.ts'

/**
 * The files that the `tls` of services names: certificates and keys. They are read here, and data threads get what is
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

export interface CredentialsDeps {
  /** Of all files of one service, or why they are not usable: in system/, loaded only where there are any. */
  readonly read: (tls: TlsSpec) => Promise<PemTexts | string>
  readonly watch: (files: readonly string[], changed: () => void) => () => void
  /** Files have changed: what is in force is sent again. */
  readonly changed: () => void
  readonly log: Log
}

export function credentials({ read, watch, changed, log }: CredentialsDeps): Credentials {
  /** By the files that a service names. */
  let texts: ReadonlyMap<string, PemTexts> = new Map()
  let inForce: readonly ServiceSpec[] = []
  let stopWatching: (() => void) | null = null
  let watched = ''
  /** What was said last of the files of a service. */
  const said = new Map<string, string>()

  async function reread(): Promise<void> {
    const next = new Map(texts)
    let isNew = false
    for (const { name, tls } of inForce) {
      const now = await read(tls!)
      const trouble = typeof now === 'string' ? now : ''
      if (trouble !== (said.get(name) ?? '')) {
        said.set(name, trouble)
        if (trouble !== '') log.warn(`the certificates for ${name} stay as they are: ${trouble}`, { service: name })
      }
      if (typeof now === 'string' || isSame(now, next.get(keyOf(tls!)))) continue
      next.set(keyOf(tls!), now)
      isNew = true
      log.info(`new certificates for ${name}`, { service: name })
    }
    if (!isNew) return
    texts = next
    changed()
  }

  return {
    async prepare(snapshot) {
      const reasons: string[] = []
      const next = new Map(texts)
      for (const { name, tls } of secured(snapshot)) {
        if (next.has(keyOf(tls!))) continue
        const found = await read(tls!)
        if (typeof found === 'string') reasons.push(`services.${name}.tls: ${found}`)
        else next.set(keyOf(tls!), found)
      }
      if (reasons.length === 0) texts = next
      return reasons
    },
    commit(snapshot) {
      inForce = secured(snapshot)
      const keys = new Set(inForce.map(({ tls }) => keyOf(tls!)))
      texts = new Map([...texts].filter(([key]) => keys.has(key)))
      const files = [...new Set(inForce.flatMap(({ tls }) => filesOf(tls!)))]
      if (files.join('\n') === watched) return
      watched = files.join('\n')
      stopWatching?.()
      stopWatching = files.length === 0 ? null : watch(files, () => void reread())
    },
    into(filled) {
      const { services } = filled.snapshot
      if (secured(filled.snapshot).length === 0) return filled
      const withPem = Object.entries(services).map(([name, service]): [string, ServiceSpec] => {
        const pem = service.tls === undefined ? undefined : texts.get(keyOf(service.tls))
        return [name, pem === undefined ? service : { ...service, tls: { ...service.tls!, pem } }]
      })
      return { ...filled, snapshot: { ...filled.snapshot, services: Object.fromEntries(withPem) } }
    },
    stop: () => stopWatching?.(),
  }
}

function secured({ services }: Snapshot): ServiceSpec[] {
  return Object.values(services).filter(({ tls }) => tls !== undefined)
}

function filesOf({ ca, cert, key }: TlsSpec): string[] {
  return [ca, cert, key].filter(file => file !== null)
}

function keyOf({ ca, cert, key }: TlsSpec): string {
  return JSON.stringify([ca, cert, key])
}

function isSame(one: PemTexts, other: PemTexts | undefined): boolean {
  return one.ca === other?.ca && one.cert === other?.cert && one.key === other?.key
}
