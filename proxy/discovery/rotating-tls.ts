import type { AgentOptions } from 'node:https'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { watchedFiles } from './watched-file.ts'

export interface RegistryTls {
  /** `https://...` */
  readonly address: string
  /** Of the registry, for people. */
  readonly server: string
  readonly tls: {
    readonly ca: string | null
    readonly cert: string | null
    readonly key: string | null
    readonly serverName: string | null
  }
}

export interface RotatingTlsDeps {
  readonly clock: Clock
  readonly log: Log
  /** PEM; where there is no `tls.ca`. Absent: Node's own. */
  readonly systemCertificates?: () => readonly string[]
}

/**
 * What connections are made with: `connect` is called again when a file of `tls` has changed, and `retire` with what it
 * had made before. Throws as long as the files could never be read.
 */
export function rotatingTls<Connections>(
  { address, server, tls }: RegistryTls,
  connect: (options: AgentOptions) => Connections,
  retire: (connections: Connections) => void,
  { clock, log, systemCertificates }: RotatingTlsDeps,
): () => Connections {
  const names = (['ca', 'cert', 'key'] as const).filter(name => tls[name] !== null)
  const files = watchedFiles(
    names.map(name => tls[name]!),
    clock,
  )
  const host = new URL(address).hostname.replace(/^\[|\]$/g, '')
  const servername = tls.serverName ?? (isAddress(host) ? '' : host)
  let latest: Connections | null = null
  let version = -1
  let warned = ''
  return () => {
    const texts = files.read()
    if (files.trouble() !== warned) {
      warned = files.trouble()
      if (warned !== '') log.warn(`the certificates for ${server} stay as they are: a file ${warned}`)
    }
    if (latest !== null && version === files.version()) return latest
    if (latest !== null) retire(latest)
    version = files.version()
    const given = Object.fromEntries(names.map((name, i) => [name, texts[i]!]))
    const ca = given.ca ?? systemCertificates?.()
    latest = connect({ ...given, ...(ca === undefined ? {} : { ca: ca as string[] }), servername })
    return latest
  }
}

/** Server Name Indication is for names only (RFC 6066 section 3). */
function isAddress(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(':')
}
