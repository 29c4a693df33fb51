import { connect } from 'node:net'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import { lookupName } from './names.ts'

/** Whether the address takes TCP connections: opens one and closes it. `answered` is called once, later. */
export function askPort({ address, port }: AddressSpec, timeoutMs: number, answered: (accepts: boolean) => void): void {
  const socket = connect({ host: address, port, timeout: timeoutMs, lookup: lookupName })
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
