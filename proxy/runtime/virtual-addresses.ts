import type { VirtualAddressEntry } from '../core/channel.ts'

/** The addresses that the name server of this sidecar gives for services. */
export interface VirtualAddresses {
  /** The service that a connection to this address is for; null: it is no virtual address. */
  serviceAt(address: string): string | null
  change(put: readonly VirtualAddressEntry[], drop: readonly string[]): void
}

export function virtualAddresses(): VirtualAddresses {
  const services = new Map<string, string>()
  return {
    serviceAt: address => services.get(address) ?? null,
    change(put, drop) {
      for (const address of drop) services.delete(address)
      for (const [address, service] of put) services.set(address, service)
    },
  }
}
