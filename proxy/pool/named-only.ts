import { isInside, isLiteral } from '../../mesh-config/address.ts'
import type { Dial } from '../core/wire.ts'

/**
 * For destinations that are names of others: what a name leads to may change, and must not be this machine, or the
 * metadata service of a cloud. A user who wants that names the address itself. Nothing is written before it is known.
 */
export function namedOnly(dial: Dial): Dial {
  return (address, port, listener) =>
    dial(address, port, {
      connected(wire) {
        const { address: reached } = wire.peer
        if (isLiteral(address) || !isInside(reached)) return listener.connected(wire)
        wire.destroy()
        listener.failed(`${address} leads to ${reached}, which has to be named itself`)
      },
      failed: code => listener.failed(code),
    })
}
