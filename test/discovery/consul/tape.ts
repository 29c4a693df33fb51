import type { Clock } from '../../../proxy/core/clock.ts'
import { type Answer, type Asked, ConsulTrouble } from '../../../proxy/discovery/consul/answer.ts'
import { manualClock } from '../../support/clock.ts'
import { EventLoop } from '../../support/event-loop.ts'

/** Time for code that awaits: what is due runs, and so does what was waiting for that. */
export interface VirtualTime {
  readonly clock: Clock
  readonly now: () => number
  pass(milliseconds: number, stepMs?: number): Promise<void>
}

export function virtualTime(): VirtualTime {
  const loop = new EventLoop()
  const origin = loop.now
  return {
    clock: manualClock(loop),
    now: () => loop.now - origin,
    async pass(milliseconds, stepMs = 10) {
      for (let left = milliseconds; ; left -= stepMs) {
        await settled()
        if (left <= 0) return
        loop.advance(Math.min(left, stepMs))
      }
    },
  }
}

/** So that each promise that hangs on another that is resolved has gone on. */
async function settled(): Promise<void> {
  for (let i = 0; i < 40; i++) await null
}

export function answer(body: unknown, over: Partial<Omit<Answer, 'body'>> = {}): Answer {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  return {
    index: 1,
    knownLeader: true,
    lastContactMs: 0,
    filtered: false,
    streamed: false,
    deniesByDefault: false,
    contentHash: '',
    ...over,
    body: bytes,
  }
}

export const refused = () => new ConsulTrouble('Consul at http://127.0.0.1:8500 refuses connections', 0)
export const denied = () => new ConsulTrouble('Consul denies it', 403)

export interface Question extends Asked {
  readonly at: number
}

type Reply = Answer | Error | 'hang' | { readonly after: number; readonly answer: Answer }

/** Answers with what is next on its list, and then no more; notes what it was asked. */
export function scripted(time: VirtualTime, replies: Reply[]) {
  const asked: Question[] = []
  const ask = (question: Asked, signal: AbortSignal) => {
    asked.push({ ...question, at: time.now() })
    const reply = replies.shift() ?? 'hang'
    return new Promise<Answer>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new ConsulTrouble('aborted', 0)))
      if (reply === 'hang') return
      if (reply instanceof Error) return reject(reply)
      if (!('after' in reply)) return resolve(reply)
      time.clock.timer(() => resolve(reply.answer)).arm(reply.after)
    })
  }
  return { ask, asked, replies }
}
