import { parentPort, workerData } from 'node:worker_threads'
import { ownCells } from './core/cells.ts'
import type { ToData, WorkerData } from './core/channel.ts'
import { type DataThread, dataThread } from './data-thread.ts'
import { sharedCells } from './runtime/shared-cells.ts'
import { systemClock, systemRandom } from './system/clock.ts'
import { inheritedOr } from './system/inherited-listen.ts'
import { dial, listen } from './system/net.ts'
import { shrinkHeap } from './system/shrink-heap.ts'
import { systemTurns } from './system/turns.ts'

/** A data thread of the real proxy: the wire is TCP, the time is the system's. */
const port = parentPort!
/** Null: it booted before it was known what its work is; that comes as the first message. */
let thread = workerData === null ? null : begin(workerData as WorkerData)
port.on('message', (message: WorkerData | ToData) => {
  if (thread === null) thread = begin(message as WorkerData)
  else thread.receive(message as ToData)
})

function begin(given: WorkerData): DataThread {
  const { index, snapshot, shared, origins, spanAgent, virtualAddresses, inherited, learnt, cells } = given
  const begun = dataThread({
    index,
    clock: systemClock,
    random: systemRandom,
    turns: systemTurns,
    cells: cells === undefined ? ownCells : sharedCells(cells.memory, index, cells.threads),
    dial,
    listen: inheritedOr(inherited, (address, onWire, onError) => listen({ ...address, shared }, onWire, onError)),
    isInherited: name => inherited?.some(socket => socket.name === name) === true,
    learnt,
    loadTls: async () => (await import('./system/tls.ts')).tls,
    shared,
    // Only where a listener needs it.
    loadOriginals: async () => (await import('./system/original-destination.ts')).loadOriginals(),
    explainListen: async (error, address) => (await import('./system/listen-error.ts')).explainListen(error, address),
    shrinkHeap: () => shrinkHeap(),
    send: message => port.postMessage(message),
  })
  begun.receive({ kind: 'origins', zones: origins })
  begun.receive({ kind: 'span-agent', isThere: spanAgent })
  if (virtualAddresses.length > 0) begun.receive({ kind: 'virtual-addresses', id: 0, put: virtualAddresses, drop: [] })
  begun.receive({ kind: 'snapshot', snapshot, services: Object.keys(snapshot.services) })
  return begun
}
