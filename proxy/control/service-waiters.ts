import type { Clock, Timer } from '../core/clock.ts'

/** Who waits for word of a service. */
export interface ServiceWaiters<Result> {
  /** `answered` is called once, with `late` after this time; the returned function gives up. */
  wait(service: string, limitMs: number, answered: (result: Result) => void): () => void
  settle(service: string, result: Result): void
  services(): readonly string[]
}

interface Waiter<Result> {
  readonly answered: (result: Result) => void
  readonly timer: Timer
}

export function serviceWaiters<Result>(clock: Pick<Clock, 'timer'>, late: Result): ServiceWaiters<Result> {
  const waiting = new Map<string, Set<Waiter<Result>>>()

  function remove(service: string, waiter: Waiter<Result>): boolean {
    const all = waiting.get(service)
    if (all === undefined || !all.delete(waiter)) return false
    waiter.timer.cancel()
    if (all.size === 0) waiting.delete(service)
    return true
  }

  return {
    wait(service, limitMs, answered) {
      const timer = clock.timer(() => {
        if (remove(service, waiter)) answered(late)
      })
      const waiter = { answered, timer }
      timer.arm(limitMs)
      waiting.set(service, (waiting.get(service) ?? new Set<Waiter<Result>>()).add(waiter))
      return () => void remove(service, waiter)
    },
    settle(service, result) {
      for (const waiter of [...(waiting.get(service) ?? [])]) if (remove(service, waiter)) waiter.answered(result)
    },
    services: () => [...waiting.keys()],
  }
}
