import type { DataThreads } from './workers.ts'

/** Requests so far, over all data threads, by service. */
export async function usesOf(threads: Pick<DataThreads, 'ask'>): Promise<ReadonlyMap<string, number>> {
  const uses = new Map<string, number>()
  for (const { answer } of await threads.ask({ what: 'uses' })) {
    if (answer === null || !('uses' in answer)) continue
    for (const [service, count] of Object.entries(answer.uses)) uses.set(service, (uses.get(service) ?? 0) + count)
  }
  return uses
}
