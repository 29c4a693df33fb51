import type { ListeningSocket, WorkerData } from '../core/channel.ts'
import type { Log } from '../core/log.ts'
import { closeDescriptors } from '../system/inherited-listen.ts'
import { sharePort } from '../system/share-port.ts'
import type { HandedParts } from './handed.ts'
import { type InheritedListener, type Predecessor, sharesOf } from './inherited.ts'
import type { LoadedConfig } from './loaded-config.ts'
import { OWN_PORTS, type OwnPortName } from './own-ports.ts'

/** What this process has of the one before it, as its parts use it. */
export interface Inherited {
  readonly parts: HandedParts
  /** How many data threads there are to be. */
  readonly threads: number
  /** For a data thread that starts first. */
  of(thread: number): Pick<WorkerData, 'inherited' | 'learnt'>
  /** Listeners that have a socket of it. */
  readonly names: ReadonlySet<string>
  /** The descriptor of a port of the sidecar itself, as the other process has it; undefined: there is none. */
  own(name: OwnPortName): number | undefined
  /** Resolves when the process before this one has let go of what only one can have. */
  readonly letGo: Promise<unknown>
}

export interface InheritDeps {
  readonly predecessor: Predecessor
  readonly parts: HandedParts
  readonly loaded: LoadedConfig
  /** As the configuration wants it. */
  readonly threads: number
  readonly letGo: Promise<unknown>
  readonly log: Log
}

/** Gives each socket to what goes on listening there, and closes the others. */
export function inherit({ predecessor, parts, loaded, threads: wanted, letGo, log }: InheritDeps): Inherited {
  const { bootstrap, snapshot } = loaded
  const isOwn = ({ name }: ListeningSocket) => (OWN_PORTS as readonly string[]).includes(name)
  const own = predecessor.listeners.filter(isOwn)
  const listeners = predecessor.listeners.filter(socket => !isOwn(socket))
  const threads = shareable(listeners, wanted, log)
  const shares = sharesOf(listeners, snapshot.listeners, threads)
  const kept = own.filter(({ name, address, port }) => {
    const listen = bootstrap[name as OwnPortName]
    return listen?.address === address && listen.port === port
  })
  closeDescriptors([...shares.left, ...own.filter(each => !kept.includes(each)).flatMap(each => each.descriptors)])
  const { learnt = [] } = parts
  return {
    parts,
    threads,
    names: shares.names,
    letGo,
    of(thread) {
      const known = learnt[thread % learnt.length]
      return { inherited: shares.threads[thread] ?? [], ...(known === undefined ? {} : { learnt: known }) }
    },
    own: name => kept.find(each => each.name === name)?.descriptors[0],
  }
}

/** More data threads than sockets share each port: that must be allowed for those which were opened for one thread. */
function shareable(listeners: readonly InheritedListener[], wanted: number, log: Log): number {
  if (wanted === 1) return wanted
  const alone = listeners.filter(({ shared, descriptors }) => !shared && descriptors.length < wanted)
  if (alone.every(({ descriptors }) => descriptors.every(sharePort))) return wanted
  log.warn(
    `workers: ${wanted}: this Node cannot share ports that one data thread had open, so there is one until the next restart`,
  )
  return 1
}
