import { get, keepAliveAgent } from '../support/get.ts'

/**
 * So many callers, each of which waits for its answer before it asks again: as many as the machine can answer, and no
 * more.
 */
const CALLERS = 8
const ANSWERS = 400
const AT_LEAST_MS = 2_000
const AT_MOST_MS = 30_000

/** What is left of what the machine can do is for the things that go wrong, and for whatever else it does. */
const SHARE = 0.25
const SLOWEST = 10
const FASTEST = 200

export interface WarmUp {
  /** Requests that the mesh answered a second, once it was warm. */
  readonly capacity: number
  /** What the load is to be. */
  readonly perSecond: number
}

/**
 * Calls web until all is compiled and connected, and measures what this machine can answer. What fails here counts for
 * nothing.
 */
export async function warmUp(port: number, quit: AbortSignal): Promise<WarmUp> {
  const agent = keepAliveAgent()
  const startedAt = performance.now()
  const answeredAt: number[] = []
  const isWarm = () => {
    const passed = performance.now() - startedAt
    return quit.aborted || passed > AT_MOST_MS || (passed > AT_LEAST_MS && answeredAt.length >= ANSWERS)
  }
  const caller = async () => {
    while (!isWarm()) {
      const answer = await get(port, '/', { headers: { host: 'web' }, agent, timeoutMs: AT_MOST_MS }).catch(() => null)
      if (answer?.status === 200) answeredAt.push(performance.now())
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, caller))
  agent.destroy()
  // Of the second half: the first was slow because all was new.
  const half = answeredAt.slice(Math.floor(answeredAt.length / 2))
  const seconds = Math.max(0.001, ((half.at(-1) ?? 0) - (half[0] ?? 0)) / 1000)
  const capacity = half.length / seconds
  return { capacity, perSecond: Math.min(FASTEST, Math.max(SLOWEST, Math.round((capacity * SHARE) / 10) * 10)) }
}
