/** What discovery asks of DNS; made by proxy/system/. */
export interface Resolver {
  /**
   * A (4) or AAAA (6) records. None: there is no such name, or it has no such record, and an authority said so. Rejects
   * with everything else that may happen, in words for people, at the latest after some seconds.
   */
  addresses(name: string, family: 4 | 6): Promise<readonly AddressRecord[]>
  /** SRV records; as above. Their TTL is not told. */
  services(name: string): Promise<readonly ServiceRecord[]>
  /** The system's own way: /etc/hosts, search domains, `localhost`. Without TTLs; as above. */
  lookup(name: string): Promise<readonly string[]>
  /** What is asked and not answered rejects. */
  cancel(): void
}

export interface AddressRecord {
  readonly address: string
  readonly ttlMs: number
}

export interface ServiceRecord {
  /** A name, not an address. */
  readonly target: string
  readonly port: number
  readonly weight: number
  /** Lower first. */
  readonly priority: number
}
