import type { Clock, Random } from '../../core/clock.ts'
import type { Answer, Asked } from './answer.ts'
import type { ConsulClient, Follower, Pulse, Where } from './consul-client.ts'
import { watchConsul } from './watch.ts'

/** The servers answer at least this often. */
const WAIT_MS = 20_000

export function pulseOf(
  client: Pick<ConsulClient, 'servers' | 'spec'>,
  where: Where,
  { clock, random }: { clock: Clock; random: Random },
): Pulse {
  const followers = new Set<Follower>()
  const { waitMs, maxStaleMs } = client.spec
  let end: AbortController | null = null
  let broken = false
  let trouble = ''
  let index = 0

  function tell(reason: string): void {
    trouble = reason
    for (const { onTrouble } of [...followers]) onTrouble(reason)
  }

  function well(answer: Answer): void {
    const renewed = broken || answer.index < index
    broken = false
    index = answer.index
    if (trouble !== '') tell('')
    if (renewed) for (const { onRenewed } of [...followers]) onRenewed()
  }

  async function ask(asked: Asked, signal: AbortSignal): Promise<Answer> {
    try {
      return await client.servers(where, asked, signal)
    } catch (error) {
      broken = true
      throw error
    }
  }

  function start(): AbortController {
    const control = new AbortController()
    const watched = {
      ask,
      onAnswer: (_json: unknown, answer: Answer) => well(answer),
      isNews: () => true,
      onSame: well,
      onTrouble: tell,
    }
    void watchConsul(watched, { clock, random, waitMs: Math.min(waitMs, WAIT_MS), maxStaleMs }, control.signal)
    return control
  }

  return {
    follow(follower) {
      followers.add(follower)
      end ??= start()
      if (trouble !== '') follower.onTrouble(trouble)
      return () => {
        followers.delete(follower)
        if (followers.size > 0) return
        end?.abort()
        end = null
        broken = false
        trouble = ''
      }
    },
  }
}
