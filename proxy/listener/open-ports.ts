import { overlap } from '../../mesh-config/address.ts'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'
import type { Acceptor, Listen, Wire } from '../core/wire.ts'

export interface WantedPort {
  readonly name: string
  readonly address: AddressSpec
  accept(wire: Wire): void
}

/** What was asked for is open. Either `commit`, which cannot fail, or `undo`. */
export interface PortChange {
  commit(): void
  undo(): Promise<void>
}

export interface OpenPortsOptions {
  readonly listen: Listen
  /** Several sockets may be open on one port (SO_REUSEPORT), so an old one need not make way for a new one. */
  readonly shared: boolean
  readonly clock: Clock
  /** A port that was open has trouble. */
  readonly trouble: (name: string, error: Error) => void
}

export interface OpenPorts {
  /**
   * Opens `added` while those named in `leaving` are about to go. Rejects with a `PortRefused`, and then everything is
   * open as it was.
   */
  change(added: readonly WantedPort[], leaving: ReadonlySet<string>): Promise<PortChange>
  close(name: string): void
  /** The port that was really opened, where the address says 0; 0: none is open. */
  portOf(name: string): number
}

/** Why a snapshot cannot come into force: the port, and the error of the system as `cause`. */
export class PortRefused extends Error {
  readonly port: WantedPort

  constructor(port: WantedPort, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.port = port
  }
}

interface Port {
  wanted: WantedPort
  /** Null: closed to make way, or not to be had again yet. */
  acceptor: Acceptor | null
  isClosed: boolean
}

const FIRST_RETRY_MS = 200
const MAX_RETRY_MS = 10_000

/**
 * The ports of a data thread. A listener that takes the place of another one at the same address (outbound instead of
 * inbound) takes over its socket: no connection is lost. Where the address is another one on the same port (0.0.0.0
 * instead of 127.0.0.1) the old socket is closed first and opened again if the new one is refused.
 */
export function openPorts({ listen, shared, clock, trouble }: OpenPortsOptions): OpenPorts {
  const open = new Map<string, Port>()

  async function opened(wanted: WantedPort): Promise<Port> {
    const port: Port = { wanted, acceptor: null, isClosed: false }
    await acquire(port).catch((error: unknown) => {
      throw new PortRefused(wanted, error)
    })
    return port
  }

  async function acquire(port: Port): Promise<void> {
    // Through `wanted`: the socket may be handed to another listener.
    const accept = (wire: Wire) => port.wanted.accept(wire)
    port.acceptor = await listen(port.wanted.address, accept, error => trouble(port.wanted.name, error))
  }

  function shut(port: Port): void {
    port.isClosed = true
    port.acceptor?.close()
    port.acceptor = null
  }

  /** Whatever took the port meanwhile may let go of it. */
  async function reopen(port: Port, delayMs = FIRST_RETRY_MS): Promise<void> {
    try {
      await acquire(port)
      if (port.isClosed) shut(port)
    } catch (error) {
      trouble(
        port.wanted.name,
        new Error(
          `it was closed for a new listener, and cannot be opened again: ${String(error)}; next try in ${delayMs} ms`,
        ),
      )
      const again = clock.timer(() => {
        if (!port.isClosed) void reopen(port, Math.min(delayMs * 2, MAX_RETRY_MS))
      })
      again.arm(delayMs)
    }
  }

  return {
    async change(added, leaving) {
      const going = [...open].flatMap(([name, port]) => (leaving.has(name) ? [port] : []))
      const handed = new Map<WantedPort, Port>()
      for (const wanted of added) {
        const port = going.find(each => isSame(each.wanted.address, wanted.address) && each.acceptor !== null)
        if (port !== undefined) handed.set(wanted, port)
      }
      const inTheWay = ({ address }: WantedPort) =>
        shared ? [] : going.filter(({ wanted }) => overlap(wanted.address, address))
      const fresh: Port[] = []
      const cleared: Port[] = []
      const undo = async () => {
        for (const port of fresh) shut(port)
        await Promise.all(cleared.map(port => reopen(port)))
      }
      try {
        const rest = added.filter(wanted => !handed.has(wanted))
        // First what needs no way made: its refusal closes nothing.
        for (const wanted of rest.toSorted((a, b) => inTheWay(a).length - inTheWay(b).length)) {
          for (const port of inTheWay(wanted)) {
            port.acceptor?.close()
            port.acceptor = null
            cleared.push(port)
          }
          fresh.push(await opened(wanted))
        }
      } catch (error) {
        await undo()
        throw error
      }
      return {
        undo,
        commit() {
          for (const port of cleared) open.delete(port.wanted.name)
          for (const port of handed.values()) open.delete(port.wanted.name)
          for (const [wanted, port] of handed) {
            port.wanted = wanted
            open.set(wanted.name, port)
          }
          for (const port of fresh) open.set(port.wanted.name, port)
        },
      }
    },
    close(name) {
      const port = open.get(name)
      if (port === undefined) return
      open.delete(name)
      shut(port)
    },
    portOf: name => open.get(name)?.acceptor?.port ?? 0,
  }
}

/** Port 0 is a new port each time. */
function isSame(a: AddressSpec, b: AddressSpec): boolean {
  return a.port === b.port && a.port !== 0 && a.address === b.address
}
