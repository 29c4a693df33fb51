import { get, keepAliveAgent } from '../support/get.ts'

/** A steady load on kept connections, like visitors: it does not wait for one answer before it sends the next request, up to a bound. */
export interface Load {
  readonly sent: number
  readonly succeeded: number
  readonly failed: number
  /** Requests that were due while `MAX_UNDER_WAY` were waiting for their answers, and were not sent. */
  readonly heldBack: number
  readonly underWay: number
  /** The last ones, oldest first. */
  readonly failures: readonly string[]
  /** Sends no more, and waits for what is under way. */
  stop(): Promise<void>
}

const MAX_UNDER_WAY = 200
const TICK_MS = 10
const KEPT_FAILURES = 20

export function startLoad(port: number, perSecond: number): Load {
  const agent = keepAliveAgent()
  const failures: string[] = []
  const load = { sent: 0, succeeded: 0, failed: 0, heldBack: 0, underWay: 0, failures, stop }
  const startedAt = performance.now()
  let onQuiet = () => {}
  let due = 0

  const timer = setInterval(() => {
    const wanted = Math.floor(((performance.now() - startedAt) * perSecond) / 1000)
    for (; due < wanted; due++) {
      if (load.underWay < MAX_UNDER_WAY) void send()
      else load.heldBack++
    }
  }, TICK_MS)

  async function send(): Promise<void> {
    load.sent++
    load.underWay++
    try {
      const { status, body } = await get(port, '/', { headers: { host: 'web' }, agent, timeoutMs: 10_000 })
      if (status === 200) load.succeeded++
      else fail(`answered ${status}: ${body.trim()}`)
    } catch (error) {
      fail(error instanceof Error ? error.message : String(error))
    }
    if (--load.underWay === 0) onQuiet()
  }

  function fail(why: string): void {
    load.failed++
    failures.push(why)
    if (failures.length > KEPT_FAILURES) failures.shift()
  }

  async function stop(): Promise<void> {
    clearInterval(timer)
    if (load.underWay > 0) {
      await new Promise<void>(resolve => {
        onQuiet = resolve
      })
    }
    agent.destroy()
  }

  return load
}
