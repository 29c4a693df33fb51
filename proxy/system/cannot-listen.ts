import { formatAddress } from '../../mesh-config/address.ts'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'

/** One line on a port that cannot be had. `place`: where the files ask for it; undefined: it is a default. */
export function cannotListen(place: string | undefined, what: string, address: AddressSpec, why: string): string {
  return `${place === undefined ? '' : `${place}: `}cannot listen on ${what}${formatAddress(address)}: ${why}`
}
