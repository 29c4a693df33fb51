import type { Ledger } from '../core/ledger.ts'
import type { Dial, Wire } from '../core/wire.ts'

/** What the connection holds of bodies counts in the ledger of the data thread. */
export function accounted(wire: Wire, ledger: Ledger): Wire {
  wire.ledger = ledger
  return wire
}

export function accountedDial(dial: Dial, ledger: Ledger): Dial {
  return (address, port, listener) =>
    dial(address, port, {
      connected: wire => listener.connected(accounted(wire, ledger)),
      failed: code => listener.failed(code),
    })
}
