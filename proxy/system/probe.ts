import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import { askPort } from './check-port.ts'

const TIMEOUT_MS = 1_000

/** Whether the address takes TCP connections. `answered` is called once, later. */
export function probe(address: AddressSpec, answered: (accepts: boolean) => void): void {
  askPort(address, TIMEOUT_MS, answered)
}
