import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { DUE, type PacerData, STOP } from './pacer.ts'
import { ResponseReader } from './response-reader.ts'

// Why not a ready tool: wrk knows no rate; h2load's --rps sends in bursts 10 ms apart and starts its watch only when it
// sends, so a proxy that stalls is not charged for the requests that should have gone out meanwhile (coordinated
// omission).

export interface RateLoad {
  readonly port: number
  readonly path: string
  readonly connections: number
  readonly perSecond: number
  readonly seconds: number
}

export interface RateResult {
  readonly sent: number
  readonly failures: number
  /** From the moment a request should have been sent to the end of its answer. */
  readonly p50Us: number
  readonly p99Us: number
  readonly maxUs: number
  /** How late the generator itself was at the 99th percentile: contained in the latencies above. */
  readonly lateP99Us: number
}

const DRAIN_MS = 3000

/**
 * Sends GETs by a fixed schedule over keep-alive connections, one request at a time on each; when none is idle the next
 * ones wait, and their time runs.
 */
export async function fixedRate(load: RateLoad): Promise<RateResult> {
  const total = Math.round(load.perSecond * load.seconds)
  const intervalNs = 1e9 / load.perSecond
  const latencies = new Float64Array(total)
  const lateness = new Float64Array(total)
  const request = Buffer.from(`GET ${load.path} HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n`)
  const all = new Set<Connection>()
  const idle: Connection[] = []
  let noticed = 0
  let sent = 0
  let answered = 0
  let refused = 0 // answered, but not with 200
  let lost = 0 // the connection closed before the answer
  let startAt = 0n
  let isOver = false

  const open = async (): Promise<Connection> => {
    const opened = await connection(load.port, {
      answered(from, sequence, ok) {
        const endNs = Number(process.hrtime.bigint() - startAt)
        // a request may leave a few us before its time: then it is measured from when it left
        latencies[answered++] = (endNs - Math.min(sequence * intervalNs, from.sentAtNs)) / 1000
        if (!ok) refused++
        idle.push(from)
        sendDue()
      },
      closed(gone, hadRequest) {
        if (isOver) return
        all.delete(gone)
        if (hadRequest) lost++
        else idle.splice(idle.indexOf(gone), 1)
        open().then(fresh => {
          idle.push(fresh)
          sendDue()
        }, noteNothing)
      },
    })
    all.add(opened)
    if (isOver) opened.close()
    return opened
  }
  idle.push(...(await Promise.all(Array.from({ length: load.connections }, open))))

  const cell = new Int32Array(new SharedArrayBuffer(8))
  const sendDue = () => {
    const due = Atomics.load(cell, DUE)
    const nowNs = Number(process.hrtime.bigint() - startAt)
    // late here is the generator's own doing; waiting for a free connection is the proxy's
    for (; noticed < due; noticed++) lateness[noticed] = Math.max(0, nowNs - noticed * intervalNs) / 1000
    while (sent < due) {
      const free = idle.shift()
      if (free === undefined) return
      free.send(request, sent++, nowNs)
    }
  }

  startAt = process.hrtime.bigint() + 100_000_000n // the worker needs a moment to start
  const data: PacerData = { due: cell.buffer as SharedArrayBuffer, total, intervalNs, startAt }
  const pacer = new Worker(new URL('./pacer.ts', import.meta.url), { workerData: data })
  let pacerError: unknown = null
  pacer.once('error', error => {
    pacerError = error
  })
  try {
    const giveUpAt = performance.now() + load.seconds * 1000 + DRAIN_MS
    while (answered + lost < total && performance.now() < giveUpAt) {
      if (pacerError !== null) throw pacerError
      sendDue()
      const due = Atomics.load(cell, DUE)
      const turn = due < total ? Atomics.waitAsync(cell, DUE, due, 100) : { async: true as const, value: sleep(20) }
      if (turn.async) await turn.value
    }
  } finally {
    isOver = true
    Atomics.store(cell, STOP, 1)
    await pacer.terminate()
    for (const one of all) one.close()
  }
  const done = latencies.subarray(0, answered).sort()
  const late = lateness.subarray(0, noticed).sort()
  const at = (sorted: Float64Array, share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return {
    sent,
    failures: refused + total - answered,
    p50Us: at(done, 0.5),
    p99Us: at(done, 0.99),
    maxUs: at(done, 1),
    lateP99Us: at(late, 0.99),
  }
}

interface Connection {
  readonly sentAtNs: number
  send(request: Buffer, sequence: number, nowNs: number): void
  close(): void
}

interface Owner {
  answered(from: Connection, sequence: number, ok: boolean): void
  closed(gone: Connection, hadRequest: boolean): void
}

function connection(port: number, owner: Owner): Promise<Connection> {
  const reader = new ResponseReader()
  const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let sequence = -1
  const self = {
    sentAtNs: 0,
    send(request: Buffer, next: number, nowNs: number) {
      sequence = next
      self.sentAtNs = nowNs
      socket.write(request)
    },
    close: () => socket.destroy(),
  }
  socket.on('data', (chunk: Buffer) => {
    try {
      if (!reader.feed(chunk)) return
      const done = sequence
      sequence = -1
      owner.answered(self, done, reader.status === 200)
    } catch {
      socket.destroy() // counted when it closes
    }
  })
  return new Promise((resolve, reject) => {
    socket.once('connect', () => {
      socket.on('close', () => owner.closed(self, sequence >= 0))
      resolve(self)
    })
    socket.on('error', reject)
  })
}

function noteNothing(): void {
  // It cannot connect any more: what waits is counted as failed at the end.
}
