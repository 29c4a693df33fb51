import { canonicalAddress } from '../../mesh-config/address.ts'
import type { Original } from '../core/wire.ts'

/** An endpoint, as far as it is known by addresses. */
export interface Addressed {
  /** `address:port`. */
  readonly name: string
  /** The address and port that stand for its whole service in the registry; absent: none. */
  readonly virtual?: string | undefined
}

/**
 * Which service an address belongs to: that of the endpoint there, or the one it stands for as a virtual address. Kept
 * while connections are redirected; else it is empty.
 */
export class Addresses {
  #isOn = false
  /** By `address:port`; several services, in order of their names, may have one endpoint. */
  readonly #endpoints = new Map<string, string | readonly string[]>()
  /** By `address:port`, with how many endpoints say so. */
  readonly #tagged = new Map<string, Map<string, number>>()
  /** By address, whatever the port; the name server gave them out. */
  #virtual: ReadonlyMap<string, string> = new Map()

  /** Addresses by which the name server answers, and the service of each. IPv6 as RFC 5952 writes it. */
  setVirtual(services: ReadonlyMap<string, string>): void {
    this.#virtual = services
  }

  get isOn(): boolean {
    return this.#isOn
  }

  /** From here on endpoints are kept; those there are come by `add`. */
  turnOn(): void {
    this.#isOn = true
  }

  turnOff(): void {
    this.#isOn = false
    this.#endpoints.clear()
    this.#tagged.clear()
  }

  add({ name, virtual }: Addressed, service: string): void {
    if (!this.#isOn) return
    const key = keyOf(name)
    const known = this.#endpoints.get(key)
    const all = known === undefined ? [] : typeof known === 'string' ? [known] : known
    if (!all.includes(service)) this.#endpoints.set(key, all.length === 0 ? service : [...all, service].sort())
    if (virtual === undefined) return
    const counts = this.#tagged.get(keyOf(virtual)) ?? new Map<string, number>()
    counts.set(service, (counts.get(service) ?? 0) + 1)
    this.#tagged.set(keyOf(virtual), counts)
  }

  remove({ name, virtual }: Addressed, service: string): void {
    if (!this.#isOn) return
    const key = keyOf(name)
    const known = this.#endpoints.get(key)
    const left = typeof known === 'string' || known === undefined ? [] : known.filter(other => other !== service)
    if (left.length > 0) this.#endpoints.set(key, left.length === 1 ? left[0]! : left)
    else if (known === service) this.#endpoints.delete(key)
    const counts = virtual === undefined ? undefined : this.#tagged.get(keyOf(virtual))
    if (counts === undefined) return
    const count = (counts.get(service) ?? 0) - 1
    if (count > 0) counts.set(service, count)
    else counts.delete(service)
    if (counts.size === 0) this.#tagged.delete(keyOf(virtual!))
  }

  /** Null: of none that is known. Of several the first by name, whatever the order they came in. */
  serviceOf({ address, name }: Original): string | null {
    const virtual = this.#virtual.get(address)
    if (virtual !== undefined) return virtual
    const tagged = this.#tagged.get(name)
    if (tagged !== undefined) return [...tagged.keys()].sort()[0]!
    const known = this.#endpoints.get(name)
    return known === undefined ? null : typeof known === 'string' ? known : known[0]!
  }

  /** The service that the name server gave this address to; null: it gave it to none. */
  virtualOf({ address }: Original): string | null {
    return this.#virtual.get(address) ?? null
  }
}

function keyOf(name: string): string {
  const end = name.startsWith('[') ? name.indexOf(']') : -1
  return end < 0 ? name : `[${canonicalAddress(name.slice(1, end))}${name.slice(end)}`
}
