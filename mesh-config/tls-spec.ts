/** TLS of services and listeners. */

/** TLS to the endpoints of a service. `ca`, `cert` and `key` are files; null: there is none. */
export interface TlsSpec {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
  /** Null: the host of the address. */
  readonly serverName: string | null
  readonly minVersion: '1.2' | '1.3'
  /**
   * What is in the files. The control thread fills it in for the data threads: it is never written down or shown.
   */
  readonly pem?: PemTexts
}

/** TLS of callers. `ca`: of their certificates; null: they are not asked for one. */
export interface ServerTlsSpec {
  readonly ca: string | null
  readonly cert: string
  readonly key: string
  /** Callers that speak no TLS are refused. */
  readonly isStrict: boolean
  readonly minVersion: '1.2' | '1.3'
  /** As in `TlsSpec`. */
  readonly pem?: PemTexts
  /** Likewise: tickets of sessions are encrypted with what comes of it. */
  readonly ticketSecret?: string
}

export interface PemTexts {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}
