import { connect } from 'node:net'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import { lookupName } from './names.ts'

const TIMEOUT_MS = 1_000

/** Whether the address takes TCP connections: opens one and closes it. `answered` is called once, later. */
export function probe({ address, port }: AddressSpec, answered: (accepts: boolean) => void): void {
  const socket = connect({ host: address, port, timeout: TIMEOUT_MS, lookup: lookupName })
  const finish = (accepts: boolean) => {
    socket.removeAllListeners()
    // Later errors of this connection do not matter.
    socket.on('error', () => {})
    socket.destroy()
    answered(accepts)
  }
  socket.once('connect', () => finish(true))
  socket.once('error', () => finish(false))
  socket.once('timeout', () => finish(false))
}
