import { readFileSync } from 'node:fs'
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import type { OnSummary } from '../followers.ts'
import type { AgentLog } from '../log.ts'
import type { AgentPart } from '../part.ts'
import { grpcService } from '../sync/protos.ts'
import { compareLocal } from './compare.ts'
import { type History, history } from './history.ts'
import {
  type CompareAnswers,
  type CompareRequest,
  type KnownAgent,
  type MeshTls,
  type OtherAgents,
  otherAgents,
} from './other-agents.ts'
import { type AgentFacts, localStatus } from './status.ts'
import { readSummary } from './summary.ts'
import { localTop, mergeTops } from './top.ts'

export interface MeshPart extends AgentPart {
  /** A summary of one of the proxies of this host. */
  readonly onSummary: OnSummary
  readonly history: History
  /** Over all agents that answer, this one included. */
  compare(request: CompareRequest): Promise<CompareAnswers>
}

export interface MeshPartDeps {
  readonly facts: AgentFacts
  /** The others, this one not. */
  readonly known: () => readonly KnownAgent[]
  /** Null: no other agent asks this one, nor it them. */
  readonly tls: MeshTls | null
  /** Null: this agent listens on its Unix socket only. */
  readonly listen: { readonly address: string; readonly port: number } | null
  readonly log: AgentLog
}

interface MeshRequest {
  readonly local: boolean
  readonly seconds: number
}

const DEFAULT_SECONDS = 10
const MAX_SECONDS = 60
const REPLY_MS = 1_000
const SWEEP_MS = 60_000
/** Screens that are open at a time, of this host; and as many of others. */
const MAX_TOPS = 32

/** What runs in the mesh: statistics of the proxies of this host, and what other agents say of theirs. */
export function meshPart({ facts, known, tls, listen, log }: MeshPartDeps): MeshPart {
  const startedAt = Date.now()
  const kept = history(Date.now)
  const others: OtherAgents = otherAgents(known, tls, Date.now)
  let remote: Server | null = null
  const sweeping = setInterval(() => kept.sweep(), SWEEP_MS)
  sweeping.unref()

  /** `isOwn`: asked over the Unix socket; other agents are told of this one only, so questions go in no circle. */
  function implementation(isOwn: boolean) {
    let tops = 0
    return {
      Status(call: ServerUnaryCall<MeshRequest, object>, reply: sendUnaryData<object>) {
        const historyMs = Math.min(3_600_000, Date.now() - startedAt)
        const own = localStatus(facts, startedAt, historyMs, Date.now())
        if (call.request.local || !isOwn) return reply(null, { agents: [own] })
        others.status().then(
          found => reply(null, { agents: [own, ...found] }),
          (error: Error) => reply({ code: status.INTERNAL, details: error.message }),
        )
      },

      Top(call: ServerWritableStream<MeshRequest, object>) {
        if (tops >= MAX_TOPS) {
          call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: `${MAX_TOPS} others look already` })
          return
        }
        tops++
        const { local, seconds } = call.request
        const spanMs = Math.min(MAX_SECONDS, seconds || DEFAULT_SECONDS) * 1000
        const followed = local || !isOwn ? null : others.followTop(spanMs / 1000)
        const tell = () => {
          // A reader that does not read gets the next one.
          if (call.writableLength > 0) return
          const own = localTop(kept, spanMs, Date.now())
          const { replies, troubles } = followed?.latest() ?? { replies: [], troubles: [] }
          call.write(followed === null ? own : mergeTops([own, ...replies], troubles))
        }
        const timer = setInterval(tell, REPLY_MS)
        // At first the others have said nothing yet.
        if (followed === null) tell()
        let over = false
        const end = () => {
          if (over) return
          over = true
          tops--
          clearInterval(timer)
          followed?.end()
        }
        call.on('cancelled', end)
        call.on('close', end)
      },

      Compare(call: ServerUnaryCall<CompareRequest, object>, reply: sendUnaryData<object>) {
        reply(null, compareLocal(kept, facts.followers(), call.request))
      },
    }
  }

  return {
    name: 'stats',
    history: kept,
    onSummary(follower, summary) {
      kept.add(follower.proxy, follower.service, readSummary(summary))
    },
    async compare(request) {
      const answers = await others.compare(request)
      const own = compareLocal(kept, facts.followers(), request)
      return { ...answers, replies: [own, ...answers.replies] }
    },
    register(server) {
      server.addService(grpcService('Mesh').service, implementation(true))
    },
    async start() {
      if (listen === null || tls === null) return
      remote = new Server()
      remote.addService(grpcService('Mesh').service, implementation(false))
      await bind(remote, listen, tls)
      log.info('other agents are answered', { listen: `${listen.address}:${listen.port}` })
    },
    async stop() {
      clearInterval(sweeping)
      remote?.forceShutdown()
      others.stop()
    },
  }
}

/** Only who has a certificate of the mesh's CA gets through the handshake. */
async function bind(
  server: Server,
  { address, port }: { readonly address: string; readonly port: number },
  { ca, key, cert }: MeshTls,
): Promise<void> {
  const pair = { private_key: readFileSync(key), cert_chain: readFileSync(cert) }
  const credentials = ServerCredentials.createSsl(readFileSync(ca), [pair], true)
  const host = address.includes(':') ? `[${address}]` : address
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`${host}:${port}`, credentials, error =>
      error === null ? resolve() : reject(new Error(`mesh.listen: cannot listen on ${host}:${port}: ${error.message}`)),
    ),
  )
}
