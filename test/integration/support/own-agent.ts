import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, node, startChild, temporaryFolder } from './child.ts'
import { outrigger, type RunningProxy } from './proxy.ts'
import { until } from './until.ts'

export interface AgentFolder {
  readonly socket: string
  /** Writes a policy document: it is watched. */
  policy(service: string, document: object): void
  /** The program that users run. Resolves once it listens. */
  start(): Promise<Child>
}

/** Where an agent lives: its socket, its policies and its state, over its restarts. */
export function agentFolder(): AgentFolder {
  const folder = temporaryFolder()
  const socket = join(folder, 'agent.sock')
  const file = join(folder, 'agent.yaml')
  const policies = join(folder, 'policies')
  mkdirSync(policies)
  writeFileSync(
    file,
    JSON.stringify({
      listen: `unix:${socket}`,
      admin: 'off',
      state: join(folder, 'state'),
      policies: { folder: policies },
    }),
  )
  return {
    socket,
    policy: (service, document) => writeFileSync(join(policies, `${service}.json`), JSON.stringify(document)),
    async start() {
      const child = startChild(node, [outrigger, 'agent', '-c', file])
      await child.said('an agent that listens', out => out.includes(`ready on unix:${socket}`))
      return child
    },
  }
}

export interface Synced {
  readonly state: string
  readonly trouble: string
  readonly agent: string
  readonly services: readonly {
    readonly service: string
    readonly version: string
    readonly from: string
    readonly staleMs: number
    readonly refused: string
    readonly reasons: readonly string[]
  }[]
}

/** /sync, once it is as wanted. */
export function synced(proxy: RunningProxy, what: string, isThere: (now: Synced) => boolean): Promise<Synced> {
  return until(`/sync with ${what}`, async () => {
    const now = JSON.parse((await proxy.admin('/sync')).body) as Synced
    return isThere(now) ? now : null
  })
}
