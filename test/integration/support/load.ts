import { Agent, type IncomingMessage, request } from 'node:http'

export interface LoadOptions {
  /** Loopback where it is not said. */
  readonly host?: string
  readonly port: number
  readonly path: string | (() => string)
  /** Requests a second at most: where the machine answers fewer, as many as it answers. */
  readonly rate: number
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  /** What counts as good: 200 when it is not said. */
  readonly expect?: number
  readonly timeoutMs?: number
  /** Called as each has ended: what went wrong (empty: nothing), when it was sent, and how long it took. */
  readonly observe?: (failure: string, sentAt: number, tookMs: number) => void
}

export interface LoadResult {
  readonly sent: number
  readonly good: number
  /** What went wrong, in words, with how often. */
  readonly failures: ReadonlyMap<string, number>
  /** Milliseconds to the last byte of the good ones, sorted. */
  readonly latencies: readonly number[]
}

export interface Load {
  /** So far. */
  good(): number
  failed(): number
  /** No more are sent; resolves when all have ended. */
  stop(): Promise<LoadResult>
}

const TICK_MS = 10
/** Wait for their answers at most: a slow machine gets fewer requests, and not a queue in which they time out. */
const UNDER_WAY = 64

/** Kept connections and a steady rate, as a busy application has them. */
export function startLoad(options: LoadOptions): Load {
  const { rate } = options
  const agent = new Agent({
    keepAlive: true,
    maxSockets: Number.POSITIVE_INFINITY,
    maxFreeSockets: 1024,
    scheduling: 'lifo',
  })
  const failures = new Map<string, number>()
  const latencies: number[] = []
  const began = performance.now()
  let sent = 0
  let heldBack = 0
  let ended = 0
  let failed = 0
  let allEnded = () => {}

  function one(): void {
    const at = performance.now()
    sent++
    void exchange(options, agent).then(failure => {
      options.observe?.(failure, at, performance.now() - at)
      if (failure === '') latencies.push(performance.now() - at)
      else {
        failed++
        failures.set(failure, (failures.get(failure) ?? 0) + 1)
      }
      if (++ended === sent) allEnded()
    })
  }

  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - began) * rate) / 1000)
    // A machine that stood still must not be answered by a flood.
    for (let burst = 0; sent + heldBack < due && burst < Math.max(10, rate / 10); burst++) {
      if (sent - ended < UNDER_WAY) one()
      else heldBack++
    }
  }, TICK_MS)

  return {
    good: () => latencies.length,
    failed: () => failed,
    async stop() {
      clearInterval(timer)
      if (ended < sent) await new Promise<void>(resolve => (allEnded = resolve))
      agent.destroy()
      return { sent, good: latencies.length, failures, latencies: latencies.toSorted((a, b) => a - b) }
    },
  }
}

/**
 * Empty, or what went wrong. Never retried, not even on a kept connection that was closed: what a caller would see is
 * what counts.
 */
function exchange(
  {
    host = '127.0.0.1',
    port,
    path,
    method = 'GET',
    headers = {},
    body,
    expect = 200,
    timeoutMs = 120_000,
  }: LoadOptions,
  agent: Agent,
): Promise<string> {
  return new Promise(resolve => {
    const target = typeof path === 'string' ? path : path()
    const length = body === undefined ? {} : { 'content-length': String(body.length) }
    const sent = request({ host, port, path: target, method, headers: { ...headers, ...length }, agent }, response => {
      void read(response).then(bytes => {
        const declared = response.headers['content-length']
        if (bytes < 0) resolve(`the answer ${response.statusCode} broke off`)
        else if (response.statusCode !== expect) resolve(`status ${response.statusCode}`)
        else if (declared !== undefined && method !== 'HEAD' && Number(declared) !== bytes)
          resolve(`${bytes} of ${declared} bytes`)
        else resolve('')
      })
    })
    sent.setTimeout(timeoutMs, () => sent.destroy(new Error('timed out')))
    sent.on('error', (error: NodeJS.ErrnoException) =>
      resolve(`${error.code ?? error.message}${sent.reusedSocket ? ' on a kept connection' : ''}`),
    )
    sent.end(body)
  })
}

/** Bytes of the body; -1: it broke off. */
function read(response: IncomingMessage): Promise<number> {
  return new Promise(resolve => {
    let bytes = 0
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    response.on('end', () => resolve(response.complete ? bytes : -1))
    response.on('error', () => resolve(-1))
    response.on('close', () => resolve(response.complete ? bytes : -1))
  })
}

export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
