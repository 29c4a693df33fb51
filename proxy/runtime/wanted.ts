import type { ToControl, Unknown } from '../core/channel.ts'
import type { Clock, Timer } from '../core/clock.ts'

/**
 * Names asked for at a time: they come from requests. Each is answered in a fraction of a second, while the registry
 * answers.
 */
const MOST = 10_000

/** Services that requests on this data thread wait for. */
export interface Wanted {
  /** Resolves when it is there (null), or with the reason why not. */
  want(service: string, limitMs: number): Promise<Unknown | null>
  /** What came of it; null: it is there. Without effect where no request waits. */
  settle(service: string, why: Unknown | null): void
  /** What is waited for. */
  names(): readonly string[]
}

interface Waiting {
  readonly answer: Promise<Unknown | null>
  readonly resolve: (why: Unknown | null) => void
  readonly timer: Timer
}

/** One question a service to the control thread, however many requests wait for it. */
export function wanted(clock: Clock, send: (message: ToControl) => void): Wanted {
  const waiting = new Map<string, Waiting>()

  function settle(service: string, why: Unknown | null): void {
    const one = waiting.get(service)
    if (one === undefined) return
    waiting.delete(service)
    one.timer.cancel()
    one.resolve(why)
  }

  return {
    want(service, limitMs) {
      const known = waiting.get(service)
      if (known !== undefined) return known.answer
      if (waiting.size >= MOST)
        return Promise.resolve({
          certain: false,
          reason: `${MOST} unknown names are being looked up already: name "${service}" in a file`,
        })
      const { promise, resolve } = Promise.withResolvers<Unknown | null>()
      const late = { certain: false, reason: `the registry gave no answer on "${service}" within ${limitMs} ms` }
      const timer = clock.timer(() => settle(service, late))
      timer.arm(limitMs)
      waiting.set(service, { answer: promise, resolve, timer })
      send({ kind: 'want', service })
      return promise
    },
    settle,
    names: () => [...waiting.keys()],
  }
}
