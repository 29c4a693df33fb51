import type { AddressSpec, Direction, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'
import type { ListenerRuntime } from '../core/listener.ts'
import type { ProxyEvent } from '../core/telemetry.ts'
import type { Listen, Wire } from '../core/wire.ts'
import { openPorts, PortRefused } from '../listener/open-ports.ts'
import type { OwnListener } from '../pool/not-itself.ts'
import { cannotListen } from '../system/cannot-listen.ts'
import type { StatsWriter } from '../telemetry/stats.ts'
import type { Change } from './change.ts'
import type { OpenListener } from './open-listener.ts'

export interface ListenersDeps {
  readonly clock: Clock
  readonly listen: Listen
  /** Several data threads have each port open. */
  readonly shared: boolean
  readonly stats: StatsWriter
  readonly event: (event: ProxyEvent) => void
  /** Before a connection is served. */
  readonly accepted: (wire: Wire) => Wire
  /** Of a redirected connection: it is one that this sidecar made, and is closed. */
  readonly isOwn: (wire: Wire, listener: string) => boolean
  openListener(runtime: ListenerRuntime): OpenListener
  /** Makes `Wire.original` known; rejects where this system cannot tell. */
  loadOriginals(): Promise<void>
  /** What an error of `listen` means, and what to do about it. */
  explainListen(error: unknown, address: AddressSpec): Promise<string>
}

type Runtimes = ReadonlyMap<string, ListenerRuntime>

/** The listeners of a data thread, and their ports. */
export interface Listeners {
  /** Opens what is new. Rejects with an Error for people where a port cannot be had. */
  prepare(snapshot: Snapshot, runtimes: Runtimes): Promise<Change>
  /** By name, with the ports that the system chose. */
  names(): string[]
  own(): Iterable<OwnListener>
  /** Stops accepting on one side and finishes what runs there; how many requests were cut after `timeoutMs`. */
  drain(direction: Direction, timeoutMs: number): Promise<number>
}

export function listeners(deps: ListenersDeps): Listeners {
  const { clock, listen, shared, stats, event } = deps
  const open = new Map<string, OpenListener>()
  const ports = openPorts({
    listen,
    shared,
    clock,
    trouble: (listener, error) => event({ kind: 'listener-error', listener, detail: error.message }),
  })

  function close(name: string, entry: OpenListener, timeoutMs: number): void {
    open.delete(name)
    ports.close(name)
    void entry.listener.drain(timeoutMs).then(() => stats.retire(entry.series()))
  }

  function openNew(snapshot: Snapshot, runtimes: Runtimes): Map<string, OpenListener> {
    const added = snapshot.listeners.filter(({ name }) => !open.has(name))
    return new Map(added.map(({ name }) => [name, deps.openListener(runtimes.get(name)!)]))
  }

  function discard(opened: ReadonlyMap<string, OpenListener>): void {
    for (const { listener } of opened.values()) void listener.drain(0)
    stats.retire([...opened.values()].flatMap(entry => entry.series()))
  }

  function changePorts({ listeners }: Snapshot, opened: ReadonlyMap<string, OpenListener>) {
    const added = listeners.flatMap(({ name, listen: address }) => {
      const entry = opened.get(name)
      const accept = (wire: Wire) => {
        const { listener } = entry!
        const { transparent, name: now } = listener.runtime.spec
        if (transparent === undefined || !deps.isOwn(wire, now)) listener.accept(deps.accepted(wire))
      }
      return entry === undefined ? [] : [{ name, address, accept }]
    })
    const stay = new Set(listeners.map(({ name }) => name))
    return ports.change(added, new Set([...open.keys()].filter(name => !stay.has(name))))
  }

  async function reasonOf(error: unknown, { places }: Snapshot): Promise<unknown> {
    if (!(error instanceof PortRefused)) return error
    const { name, address } = error.port
    return new Error(cannotListen(places[name], '', address, await deps.explainListen(error.cause, address)))
  }

  async function loadOriginals({ listeners, places }: Snapshot): Promise<void> {
    const transparent = listeners.find(spec => spec.transparent !== undefined)
    if (transparent === undefined) return
    await deps.loadOriginals().catch((error: unknown) => {
      const place = places[transparent.name]
      throw new Error(`${place === undefined ? transparent.name : place}: ${(error as Error).message}`)
    })
  }

  return {
    async prepare(snapshot, runtimes) {
      await loadOriginals(snapshot)
      const opened = openNew(snapshot, runtimes)
      try {
        const change = await changePorts(snapshot, opened)
        return {
          commit() {
            change.commit()
            for (const [name, entry] of opened) open.set(name, entry)
            for (const [name, entry] of open) {
              const next = runtimes.get(name)
              if (next !== undefined) entry.listener.configure(next)
              else close(name, entry, snapshot.drain.timeoutMs)
            }
          },
          async abandon() {
            await change.undo()
            discard(opened)
          },
        }
      } catch (error) {
        discard(opened)
        throw await reasonOf(error, snapshot)
      }
    },
    names: () => [...open.keys()].map(name => withPort(name, ports.portOf(name))),
    *own() {
      for (const { listener } of open.values()) {
        const { name, listen, service } = listener.runtime.spec
        yield { name, address: listen.address, port: ports.portOf(name), service }
      }
    },
    async drain(direction, timeoutMs) {
      const side = [...open].filter(([, { listener }]) => listener.runtime.spec.direction === direction)
      for (const [name] of side) ports.close(name)
      const cut = await Promise.all(side.map(([, { listener }]) => listener.drain(timeoutMs)))
      return cut.reduce((sum, count) => sum + count, 0)
    },
  }
}

/** A listener at port 0 by the port that the system chose. */
function withPort(name: string, port: number): string {
  return name.replace(/:0( #\d+)?$/, `:${port}`)
}
