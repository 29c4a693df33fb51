import { overlap } from '../../mesh-config/address.ts'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'
import type { Acceptor, Listen, Wire } from '../core/wire.ts'

export interface WantedPort {
  readonly name: string
  readonly address: AddressSpec
  accept(wire: Wire): void
}

/** The new ports are open. Call either `commit`, which cannot fail, or `undo`. */
export interface PortChange {
  commit(): void
  undo(): Promise<void>
}

export interface OpenPortsOptions {
  readonly listen: Listen
  /** Several sockets may share a port (SO_REUSEPORT), so an old one need not close before a new one opens. */
  readonly shared: boolean
  readonly clock: Clock
  /** A process before this one listens there still: opened last, so that a refusal comes before it accepts anything. */
  readonly isInherited?: ((name: string) => boolean) | undefined
  /** An open port failed. */
  readonly trouble: (name: string, error: Error) => void
}

export interface OpenPorts {
  /**
   * Opens `added` while those in `leaving` are about to close. Rejects with a `PortRefused`, and then all ports are as
   * before.
   */
  change(added: readonly WantedPort[], leaving: ReadonlySet<string>): Promise<PortChange>
  close(name: string): void
  /** The real port, where the address says 0; 0: none is open. */
  portOf(name: string): number
  /** Of its listening sockets; empty: none is open, or the system does not tell. */
  descriptorsOf(name: string): readonly number[]
}

/** The port that keeps a snapshot from being applied, and the system's error as `cause`. */
export class PortRefused extends Error {
  readonly port: WantedPort

  constructor(port: WantedPort, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.port = port
  }
}

interface Port {
  wanted: WantedPort
  /** Null: closed for another socket, or not opened again yet. */
  acceptor: Acceptor | null
  isClosed: boolean
}

const FIRST_RETRY_MS = 200
const MAX_RETRY_MS = 10_000

/**
 * The ports of a data thread. A listener at the same address as a leaving one (outbound instead of inbound) takes over
 * its socket, and no connection is lost. With another address on the same port (0.0.0.0 instead of 127.0.0.1) the old
 * socket is closed first, and opened again if the new one is refused.
 */
export function openPorts({ listen, shared, clock, isInherited, trouble }: OpenPortsOptions): OpenPorts {
  const open = new Map<string, Port>()

  async function opened(wanted: WantedPort): Promise<Port> {
    const port: Port = { wanted, acceptor: null, isClosed: false }
    await acquire(port).catch((error: unknown) => {
      throw new PortRefused(wanted, error)
    })
    return port
  }

  async function acquire(port: Port): Promise<void> {
    // Through `wanted`, because the socket may be handed to another listener.
    const accept = (wire: Wire) => port.wanted.accept(wire)
    const { address, name } = port.wanted
    port.acceptor = await listen(address, accept, error => trouble(port.wanted.name, error), name)
  }

  function shut(port: Port): void {
    port.isClosed = true
    port.acceptor?.close()
    port.acceptor = null
  }

  /** Tries again, because the process that took the port may release it. */
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
        // First the ports that need no other to close: a refusal then closes nothing.
        const lastly = (wanted: WantedPort) => inTheWay(wanted).length + (isInherited?.(wanted.name) === true ? 1 : 0)
        for (const wanted of rest.toSorted((a, b) => lastly(a) - lastly(b))) {
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
    descriptorsOf: name => open.get(name)?.acceptor?.descriptors ?? [],
  }
}

/** Port 0 is a new port each time. */
function isSame(a: AddressSpec, b: AddressSpec): boolean {
  return a.port === b.port && a.port !== 0 && a.address === b.address
}
