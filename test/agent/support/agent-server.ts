import { join } from 'node:path'
import { Server } from '@grpc/grpc-js'
import { agentLog } from '../../../agent/log.ts'
import { policiesOf } from '../../../agent/policy/policies.ts'
import type { PolicyDocument, PolicySource, PolicyWatcher } from '../../../agent/policy/source.ts'
import { noRollouts, type Rollouts } from '../../../agent/rollouts.ts'
import { followServer } from '../../../agent/sync/follow.ts'
import { listenOnSocket } from '../../../agent/sync/socket.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

/** A source whose documents the test sets. */
export interface TestSource {
  readonly source: PolicySource
  set(...documents: readonly PolicyDocument[]): void
  trouble(reason: string): void
}

export function testSource(name = 'files policies'): TestSource {
  let watcher: PolicyWatcher | null = null
  let last: readonly PolicyDocument[] | null = null
  return {
    source: {
      name,
      isLocal: true,
      store: null,
      watch(to) {
        watcher = to
        if (last !== null) to.onSet(last)
      },
    },
    set(...documents) {
      last = documents
      watcher?.onSet(documents)
    },
    trouble: reason => watcher!.onTrouble(reason),
  }
}

/** Policies and the server of the proxies, as the agent joins them, in this process. */
export async function agentServer({
  sources,
  file = null as string | null,
  rollouts = noRollouts as Rollouts,
  stalledMs = 30_000,
}: {
  readonly sources: readonly PolicySource[]
  readonly file?: string | null
  readonly rollouts?: Rollouts
  readonly stalledMs?: number
}) {
  const lines: string[] = []
  const log = agentLog({ level: 'debug', pretty: true, colors: false, write: line => void lines.push(line) })
  const policies = policiesOf({ sources, file, env: {}, log, rollouts })
  const summaries: unknown[] = []
  const onSummary = (_: unknown, summary: unknown) => void summaries.push(summary)
  const sync = followServer({ book: policies, log, agent: 'test', version: '0.1.0', onSummary, stalledMs })
  const server = new Server()
  sync.register(server)
  await policies.start()
  const socket = join(temporaryFolder(), 'agent.sock')
  await listenOnSocket(server, socket)
  return {
    socket,
    policies,
    sync,
    summaries,
    said: () => lines.join(''),
    async stop() {
      sync.close()
      server.forceShutdown()
      await policies.stop()
    },
  }
}
