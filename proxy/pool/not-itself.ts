import { isLoopback, isWildcard } from '../../mesh-config/address.ts'
import type { Turns } from '../core/turn.ts'
import type { Dial, DialListener } from '../core/wire.ts'

/** An open port of this sidecar, and the service it is for; null: for all. */
export interface OwnListener {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly service: string | null
}

/** What `DialListener.failed` is told, before the name of the listener. */
export const ITSELF = "the endpoint is this sidecar's own listener "

/**
 * For endpoints that may turn out to be this sidecar: what is sent to its own listener for the same service comes back
 * for ever, each time as a request more. Most are seen by their address; names, and addresses of this machine where a
 * listener is on all of them, when the connection is there. Those are remembered: over TCP the connection alone makes
 * the listener dial again.
 */
export function notItself(dial: Dial, service: string, listeners: () => Iterable<OwnListener>, turns: Turns): Dial {
  const leadBack = new Set<string>()

  function found(port: number, isHere: (own: OwnListener) => boolean): OwnListener | null {
    for (const own of listeners())
      if (own.port === port && (own.service === null || own.service === service) && isHere(own)) return own
    return null
  }

  return (address, port, listener) => {
    const name = `${address}:${port}`
    const before = found(port, own => leadBack.has(name) || isAt(own.address, address, ''))
    if (before !== null) return refuse(listener, `${ITSELF}${before.name}`, turns)
    return dial(address, port, {
      connected(wire) {
        const { peer } = wire
        const own = found(port, ({ address: at }) => isAt(at, peer.address, peer.local))
        if (own === null) return listener.connected(wire)
        leadBack.add(name)
        wire.destroy()
        listener.failed(`${ITSELF}${own.name}`)
      },
      failed: code => listener.failed(code),
    })
  }
}

/** Not inside the call, as no dial fails there. Returns what cancels it. */
function refuse(listener: DialListener, reason: string, turns: Turns): () => void {
  let isCancelled = false
  turns.atEnd({
    turnEnded() {
      if (!isCancelled) listener.failed(reason)
    },
  })
  return () => {
    isCancelled = true
  }
}

/**
 * Is `address` one that a listener at `own` has? `local`: where a connection to it comes from, which is the same
 * address on one machine.
 */
function isAt(own: string, address: string, local: string): boolean {
  if (isWildcard(own)) return isLoopback(address) || address === local
  return numeric(address) === numeric(own)
}

function numeric(address: string): string {
  return address === 'localhost' ? '127.0.0.1' : address
}
