import { parentPort, workerData } from 'node:worker_threads'
import type { ToData, WorkerData } from './core/channel.ts'
import { dataThread } from './data-thread.ts'
import { systemClock, systemRandom } from './system/clock.ts'
import { dial, listen } from './system/net.ts'
import { systemTurns } from './system/turns.ts'

/** A data thread of the real proxy: the wire is TCP, the time is the system's. */
const port = parentPort!
const { index, snapshot, shared, origins, spanAgent } = workerData as WorkerData
const thread = dataThread({
  index,
  clock: systemClock,
  random: systemRandom,
  turns: systemTurns,
  dial,
  listen: (address, onWire, onError) => listen({ ...address, shared }, onWire, onError),
  shared,
  // Only where a listener needs it.
  loadOriginals: async () => (await import('./system/original-destination.ts')).loadOriginals(),
  explainListen: async (error, address) => (await import('./system/listen-error.ts')).explainListen(error, address),
  send(message) {
    // The memory of spans is given away, not copied.
    if (message.kind === 'spans') port.postMessage(message, [message.bytes.buffer])
    else port.postMessage(message)
  },
})
port.on('message', (message: ToData) => thread.receive(message))
thread.receive({ kind: 'origins', zones: origins })
thread.receive({ kind: 'span-agent', isThere: spanAgent })
thread.receive({ kind: 'snapshot', snapshot, services: Object.keys(snapshot.services) })
