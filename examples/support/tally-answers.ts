import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from './get.ts'

/** Makes so many calls, a few at a time, and counts the answers by what `nameOf` says of each. */
export async function tallyAnswers(
  calls: number,
  call: () => Promise<Answer>,
  nameOf: (answer: Answer) => string,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  const atATime = 10
  for (let done = 0; done < calls; done += atATime) {
    const answers = await Promise.all(Array.from({ length: Math.min(atATime, calls - done) }, call))
    for (const answer of answers) {
      const name = nameOf(answer)
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    await sleep(1)
  }
  return new Map([...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
}

export function tallyText(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `  ${String(count).padStart(5)}  ${name}`).join('\n')
}
