import { setTimeout as sleep } from 'node:timers/promises'
import type { ConsulApi } from '../consul.ts'
import type { Leadership } from '../leadership.ts'
import type { AgentLog } from '../log.ts'

export interface Election extends Leadership {
  start(): void
  /** Gives the lock back, so that another one leads at once. */
  stop(): Promise<void>
}

export interface ElectionDeps {
  readonly consul: ConsulApi
  /** Of this agent in the mesh, for people who look at the key. */
  readonly name: string
  /** `outrigger/leader`. */
  readonly key: string
  readonly log: AgentLog
}

/** A dead leader's session ends after this time, and Consul lets the lock go a second later. */
const SESSION_TTL_S = 10
const RENEW_MS = 3_000
const LOCK_DELAY_S = 1
/** Without a renewal for so long the session may be over: who is not sure does not lead. */
const SURE_MS = 8_000

/** A session lock in Consul: one agent has it, the others try again when it becomes free. */
export function election({ consul, name, key, log }: ElectionDeps): Election {
  const end = new AbortController()
  const { signal } = end
  let session: string | null = null
  let held = false
  let renewedAt = 0
  let running: Promise<void> = Promise.resolve()

  const isLeader = () => held && performance.now() - renewedAt < SURE_MS

  async function run(): Promise<void> {
    let told = ''
    while (!signal.aborted) {
      try {
        await step()
        told = ''
      } catch (error) {
        const { message } = error as Error
        if (message !== told && !signal.aborted) log.warn('no part in choosing a leader', { reason: message })
        told = message
      }
      await sleep(RENEW_MS * (0.8 + Math.random() * 0.2), undefined, { signal }).catch(() => {})
    }
  }

  async function step(): Promise<void> {
    const began = performance.now()
    if (session !== null) {
      const renewed = await consul.call('PUT', `session/renew/${session}`, { signal })
      if (renewed.status === 404) {
        session = null
        lose('its session has ended')
      }
    }
    if (session === null) {
      const body = { Name: `outrigger ${name}`, TTL: `${SESSION_TTL_S}s`, LockDelay: `${LOCK_DELAY_S}s` }
      const made = await consul.call('PUT', 'session/create', { body, signal })
      session = (made.json() as { ID: string }).ID
    }
    const taken = await consul.call('PUT', `kv/${key}`, {
      query: { acquire: session },
      body: Buffer.from(name),
      signal,
    })
    renewedAt = began
    if (taken.json() !== true) lose('another one has the lock')
    else if (!held) {
      held = true
      log.info('this agent leads the mesh')
    }
  }

  function lose(reason: string): void {
    if (held) log.warn('this agent leads the mesh no more', { reason })
    held = false
  }

  return {
    isLeader,
    start() {
      running = run()
    },
    async stop() {
      end.abort()
      await running
      held = false
      if (session !== null) await consul.call('PUT', `session/destroy/${session}`).catch(() => {})
    },
  }
}
