import { get, keepAliveAgent } from '../support/get.ts'

/**
 * A load on kept connections that grows for some seconds and is then steady, like visitors: it does not wait for one
 * answer before it sends the next request, up to a bound.
 */
export interface Load {
  readonly sent: number
  readonly succeeded: number
  readonly failed: number
  /** Requests that were due while as many as may wait were waiting for their answers, and were not sent. */
  readonly heldBack: number
  readonly underWay: number
  /** The last ones, oldest first. */
  readonly failures: readonly string[]
  /** Sends no more, and waits for what is under way. */
  stop(): Promise<void>
}

/** Requests that wait at most: a machine that is busy with other things gets fewer of them, and not longer queues. */
const UNDER_WAY = { least: 16, secondsOfRate: 0.25 }
/** Far beyond what a request takes on a busy machine: what has no answer by then never gets one. */
const TIMEOUT_MS = 60_000
const RAMP_SECONDS = 3
const TICK_MS = 10
const KEPT_FAILURES = 20

export function startLoad(port: number, perSecond: number): Load {
  const agent = keepAliveAgent()
  const failures: string[] = []
  const load = { sent: 0, succeeded: 0, failed: 0, heldBack: 0, underWay: 0, failures, stop }
  const mostUnderWay = Math.max(UNDER_WAY.least, Math.round(perSecond * UNDER_WAY.secondsOfRate))
  const startedAt = performance.now()
  let onQuiet = () => {}
  let due = 0

  const timer = setInterval(() => {
    const wanted = dueAfter((performance.now() - startedAt) / 1000, perSecond)
    for (; due < wanted; due++) {
      if (load.underWay < mostUnderWay) void send()
      else load.heldBack++
    }
  }, TICK_MS)

  async function send(): Promise<void> {
    load.sent++
    load.underWay++
    try {
      const { status, body } = await get(port, '/', { headers: { host: 'web' }, agent, timeoutMs: TIMEOUT_MS })
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

/** Requests due after so many seconds. */
export function dueAfter(seconds: number, perSecond: number): number {
  const ramp = Math.min(seconds, RAMP_SECONDS)
  return Math.floor(perSecond * ((ramp * ramp) / (2 * RAMP_SECONDS) + (seconds - ramp)))
}
