import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Far beyond what anything takes on a busy machine: a test waits for what comes about, and fails only where nothing
 * will.
 */
const PATIENCE_MS = 120_000

/**
 * Asks again and again until the answer is neither `null`, `undefined` nor `false`; `what` is for the error when it
 * never is.
 */
export async function until<T>(
  what: string,
  ask: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (answer !== null && answer !== undefined && answer !== false) return answer
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await sleep(20)
  }
}

/** Resolves as `promise` does, or rejects: a test that waits for what never comes should say for what. */
export async function within<T>(what: string, promise: Promise<T>, timeoutMs = PATIENCE_MS): Promise<T> {
  const abort = new AbortController()
  const late = sleep(timeoutMs, undefined, { signal: abort.signal }).then(() => {
    throw new Error(`not within ${timeoutMs} ms: ${what}`)
  })
  late.catch(() => {})
  try {
    return await Promise.race([promise, late])
  } finally {
    abort.abort()
  }
}
