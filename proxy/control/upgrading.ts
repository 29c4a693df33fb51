import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { Predecessor } from './inherited.ts'
import type { OpenOwnPorts } from './own-ports.ts'
import type { Sidecar } from './sidecar.ts'
import type { NoUpgrade, Serving, Upgrade, Upgrader } from './successor.ts'

/** The program may be started anew, to take over from this process; what that needs is loaded when it is asked for. */
export interface Upgrading {
  request(why: string, patienceMs?: number): Promise<Upgrade | NoUpgrade>
  /** Reads the files again, or where a new process is reading them anyway, after that has failed. */
  reread(why: string): void
  /** This process ends. */
  cancel(): void
}

/** The socket of the supervisor, as a successor gets it. */
export interface SupervisorLink {
  /** The variable that names its descriptor. */
  readonly variable: string
  /** Its descriptor: a successor reads from it, and this process does not any longer. Null: there is no supervisor. */
  handOver(): number | null
  /** There is no successor after all. */
  takeBack(): void
  /** It is the proxy from here on. */
  succeededBy(pid: number): void
}

export interface UpgradingDeps {
  readonly version: string
  readonly sidecar: Sidecar
  readonly ownPorts: OpenOwnPorts
  /** The process before this one. */
  readonly predecessor: Predecessor | null
  /** The supervisor of this process; absent: it has none. */
  readonly supervisor?: SupervisorLink
  /** Another process serves from here on. */
  readonly handedOver: () => void
  readonly clock: Clock
  readonly log: Log
}

export function upgrading(deps: UpgradingDeps): Upgrading {
  const { version, sidecar, ownPorts, predecessor, supervisor, clock, log } = deps
  const { threads, life, registrar, saved, agent, lock, reload } = sidecar
  let made: Upgrader | null = null
  let waiting: string | null = null
  let isOver = false

  async function sockets() {
    // A listener that is being opened or closed has no number that one could rely on.
    await reload.settled()
    const replies = await threads.ask({ what: 'sockets' })
    const byName = new Map<string, ReturnType<OpenOwnPorts['sockets']>[number]>()
    for (const { answer } of replies) {
      if (answer === null || !('sockets' in answer)) throw new Error('a data thread did not say what it listens on')
      for (const socket of answer.sockets) {
        const descriptors = [...(byName.get(socket.name)?.descriptors ?? []), ...socket.descriptors]
        byName.set(socket.name, { ...socket, descriptors })
      }
    }
    const all = [...byName.values(), ...ownPorts.sockets()]
    const silent = all.find(({ descriptors }) => descriptors.length === 0)
    if (silent !== undefined) throw new Error(`the socket of ${silent.name} cannot be passed on`)
    return all.map(socket => ({ ...socket, shared: sidecar.count > 1 }))
  }

  function refusal(): string {
    if (life.draining()) return 'it drains'
    const before = predecessor?.drains() ?? null
    if (before !== null)
      return `process ${before}, from which this one has taken over, still finishes what it had begun (at most drain.timeout): try again when it has ended`
    if (process.pid === 1)
      return 'it is the first process of its container, which would end with it: run it under "outrigger run", or replace the container'
    if (process.env.npm_command === 'exec') return 'npx started it, and would end with it: install outrigger'
    return ''
  }

  function letGo({ pid, registers }: Serving): Promise<object | null> {
    const done = Promise.withResolvers<object | null>()
    const began = life.handOver(`process ${pid} has taken over`, async () => {
      ownPorts.stopListening()
      deps.handedOver()
      const goesOn = registers !== '' && registers === registrar.id(threads.listeners())
      const [registration] = await Promise.all([
        goesOn ? registrar.release() : registrar.stop().then(() => null),
        saved.flush().then(saved.close),
        agent.saved.flush().then(agent.saved.close),
      ])
      lock.release()
      supervisor?.succeededBy(pid)
      done.resolve({ do: 'take-over', registration })
    })
    return began ? done.promise : Promise.resolve(null)
  }

  async function load(): Promise<Upgrader> {
    const { upgrader } = await import('./successor.ts')
    made ??= upgrader({
      version,
      refusal,
      sockets,
      give: sidecar.give,
      also() {
        const fd = supervisor?.handOver() ?? null
        return fd === null ? {} : { [supervisor!.variable]: fd }
      },
      letGo,
      drainMs: () => sidecar.config().snapshot.drain.timeoutMs,
      clock,
      log,
    })
    if (isOver) made.cancel()
    return made
  }

  return {
    async request(why, patienceMs) {
      const outcome = await (await load()).request(why, patienceMs)
      if (!outcome.ok && !outcome.refused) supervisor?.takeBack()
      if (!outcome.ok && waiting !== null) void reload.request(waiting)
      waiting = null
      return outcome
    },
    reread(why) {
      if (life.draining()) return
      if (made?.running() === true) waiting = why
      else void reload.request(why)
    },
    cancel() {
      isOver = true
      made?.cancel()
    },
  }
}
