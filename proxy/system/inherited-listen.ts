import { closeSync } from 'node:fs'
import type { ListeningSocket } from '../core/channel.ts'
import type { Listen } from '../core/wire.ts'
import { listenInherited } from './net.ts'

/**
 * Listens on the sockets that an earlier process had open for a listener, and on a new one for any other. Each is used
 * once: the same listener opens its own when it comes back.
 */
export function inheritedOr(inherited: readonly ListeningSocket[] | undefined, listen: Listen): Listen {
  if (inherited === undefined || inherited.length === 0) return listen
  const left = new Map(inherited.map(socket => [socket.name, socket]))
  return (address, onWire, onError, name = '') => {
    const found = left.get(name)
    if (found === undefined) return listen(address, onWire, onError, name)
    left.delete(name)
    return listenInherited(found.descriptors, address.port, onWire, onError)
  }
}

/** Lets go of sockets that nothing listens on. */
export function closeDescriptors(descriptors: readonly number[]): void {
  for (const fd of descriptors) {
    try {
      closeSync(fd)
    } catch {
      // It was closed already.
    }
  }
}
