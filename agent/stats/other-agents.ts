import { readFileSync } from 'node:fs'
import { checkServerIdentity } from 'node:tls'
import { type Client, type ClientReadableStream, credentials, type ServiceError } from '@grpc/grpc-js'
import { addressOf } from '../../mesh-config/address.ts'
import { grpcService } from '../sync/protos.ts'
import type { AgentStatus } from './status.ts'
import type { TopReply } from './top.ts'

/** An agent as Consul, or the agent file, names it. */
export interface KnownAgent {
  /** Empty: not known. */
  readonly host: string
  readonly version: string
  /** host:port; empty: it cannot be reached from elsewhere. */
  readonly address: string
  /** Whether Consul says that it lives. */
  readonly isPassing: boolean
}

export interface MeshTls {
  readonly cert: string
  readonly key: string
  readonly ca: string
  /** The name that certificates of agents have; null: the address that is dialled. */
  readonly name: string | null
}

/** Asks the other agents of the mesh; none of them can hold up an answer. */
export interface OtherAgents {
  /** One for each that is known: of now, or as it was last with the trouble. */
  status(): Promise<readonly AgentStatus[]>
  /** Follows all that are known now. The last reply of each that is not older than some seconds. */
  followTop(seconds: number): FollowedTop
  compare(request: CompareRequest): Promise<CompareAnswers>
  stop(): void
}

export interface FollowedTop {
  latest(): { readonly replies: readonly TopReply[]; readonly troubles: readonly string[] }
  end(): void
}

export interface CompareRequest {
  readonly service: string
  /** In 1/10,000. */
  readonly share: number
  readonly spanMs: number
}

export interface CompareReply {
  readonly candidate: Compared | null
  readonly others: Compared | null
}

export interface Compared {
  readonly proxies: number
  readonly requests: number
  readonly failed: number
  readonly buckets: readonly number[]
  readonly bucketCounts: readonly number[]
  readonly refusals: readonly string[]
}

export interface CompareAnswers {
  readonly replies: readonly CompareReply[]
  readonly silent: number
}

interface MeshClient extends Client {
  Status(request: object, options: object, done: (error: ServiceError | null, reply: StatusReply) => void): void
  Compare(request: object, options: object, done: (error: ServiceError | null, reply: CompareReply) => void): void
  Top(request: object): ClientReadableStream<TopReply>
}

interface StatusReply {
  readonly agents: readonly AgentStatus[]
}

/** An agent that has not answered by then is shown as it was last. */
const DEADLINE_MS = 2_000
const FRESH_MS = 5_000
const AGAIN_MS = 2_000
const MAX_REPLY = 16 * 1024 * 1024

export function otherAgents(known: () => readonly KnownAgent[], tls: MeshTls | null, now: () => number): OtherAgents {
  const clients = new Map<string, MeshClient>()
  const last = new Map<string, { readonly status: AgentStatus; readonly at: number }>()
  const Mesh = grpcService('Mesh')

  function clientOf(address: string): MeshClient {
    let client = clients.get(address)
    if (client === undefined) {
      client = new Mesh(address, clientCredentials(tls!, address), clientOptions(tls!)) as unknown as MeshClient
      clients.set(address, client)
    }
    return client
  }

  /** Also lets go of those that are known no more. */
  function agents(): readonly KnownAgent[] {
    const all = known()
    const addresses = new Set(all.map(({ address }) => address))
    for (const [address, client] of clients) {
      if (addresses.has(address)) continue
      client.close()
      clients.delete(address)
      last.delete(address)
    }
    return all
  }

  /** Why it is not even asked; empty: it is. */
  function obstacle({ address, isPassing }: KnownAgent): string {
    if (address === '') return 'it has no mesh.listen, so only its own host can ask it'
    if (tls === null) return 'this agent has no mesh.tls, so it can ask no other'
    return isPassing ? '' : 'Consul says that it does not live'
  }

  function ask<Reply>(address: string, method: 'Status' | 'Compare', request: object): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    const done = (error: ServiceError | null, reply: unknown) =>
      error === null ? resolve(reply as Reply) : reject(error)
    try {
      clientOf(address)[method](request, { deadline: now() + DEADLINE_MS }, done as never)
    } catch (error) {
      reject(error as Error)
    }
    return promise
  }

  function remembered(agent: KnownAgent, trouble: string): AgentStatus {
    const before = last.get(agent.address)
    const { host, version, address } = agent
    const ageMs = before === undefined ? 0 : Math.max(1, now() - before.at)
    return before === undefined
      ? { ...nothing, host: host || address, version, address, trouble }
      : { ...before.status, address, trouble, ageMs, leader: false }
  }

  return {
    status: () =>
      Promise.all(
        agents().map(async agent => {
          const reason = obstacle(agent)
          // One that Consul takes for dead may live all the same: Consul sees it by other ways than we.
          if (reason !== '' && (agent.address === '' || tls === null)) return remembered(agent, reason)
          try {
            const { agents: found } = await ask<StatusReply>(agent.address, 'Status', { local: true })
            const status = found[0]
            if (status === undefined) return remembered(agent, 'its answer is empty')
            const own = { ...status, address: agent.address, ageMs: 0 }
            last.set(agent.address, { status: own, at: now() })
            return own
          } catch (error) {
            return remembered(agent, troubleOf(error as ServiceError, reason))
          }
        }),
      ),

    followTop(seconds) {
      const followed = agents().map(agent => following(agent, seconds))
      return {
        latest() {
          const replies: TopReply[] = []
          const troubles: string[] = []
          for (const { agent, state } of followed) {
            if (state.reply !== null && now() - state.at < FRESH_MS) replies.push(state.reply)
            else if (state.trouble !== '') troubles.push(`${agent.host || agent.address}: ${state.trouble}`)
          }
          return { replies, troubles }
        },
        end() {
          for (const { state } of followed) {
            state.over = true
            state.call?.cancel()
          }
        },
      }
    },

    async compare(request) {
      const asked = agents().filter(({ address }) => address !== '' && tls !== null)
      const answers = await Promise.allSettled(
        asked.map(({ address }) => ask<CompareReply>(address, 'Compare', request)),
      )
      const replies = answers.flatMap(answer => (answer.status === 'fulfilled' ? [answer.value] : []))
      return { replies, silent: agents().length - replies.length }
    },

    stop() {
      for (const client of clients.values()) client.close()
      clients.clear()
    },
  }

  function following(agent: KnownAgent, seconds: number) {
    const state = {
      reply: null as TopReply | null,
      at: 0,
      trouble: obstacle(agent),
      over: false,
      call: null as ClientReadableStream<TopReply> | null,
    }
    const begin = () => {
      if (state.over) return
      try {
        state.call = clientOf(agent.address).Top({ local: true, seconds })
      } catch (error) {
        state.trouble = (error as Error).message
        return
      }
      state.call.on('data', (reply: TopReply) => {
        state.reply = reply
        state.at = now()
        state.trouble = ''
      })
      // Both come at an end by an error; one new call is enough.
      state.call.on('error', (error: ServiceError) => {
        state.trouble = troubleOf(error, '')
      })
      state.call.on('close', () => setTimeout(begin, AGAIN_MS).unref())
    }
    if (agent.address !== '' && tls !== null) begin()
    return { agent, state }
  }
}

const nothing: AgentStatus = {
  host: '',
  version: '',
  address: '',
  upMs: 0,
  trouble: '',
  leader: false,
  proxies: [],
  sources: [],
  refused: [],
  exporting: [],
  ageMs: 0,
  historyMs: 0,
}

/** Read for each new client, so a renewed certificate is used from the next connection on. */
function clientCredentials({ ca, key, cert, name }: MeshTls, address: string) {
  const expected = name ?? addressOf(address).address
  return credentials.createSsl(readFileSync(ca), readFileSync(key), readFileSync(cert), {
    checkServerIdentity: (_, certificate) => checkServerIdentity(expected, certificate),
  })
}

/** What is sent as the server name: an IP address may not be, so it is the same word for all. */
const SERVER_NAME = 'outrigger-agent'

function clientOptions({ name }: MeshTls): Record<string, string | number> {
  return {
    'grpc.max_receive_message_length': MAX_REPLY,
    // Other agents come back at once where they can, and a dead one costs little.
    'grpc.initial_reconnect_backoff_ms': 500,
    'grpc.max_reconnect_backoff_ms': 5_000,
    'grpc.ssl_target_name_override': name ?? SERVER_NAME,
    'grpc.default_authority': name ?? SERVER_NAME,
  }
}

const DEADLINE_EXCEEDED = 4

function troubleOf({ code, details, message }: ServiceError, also: string): string {
  const why = code === DEADLINE_EXCEEDED ? `no answer within ${DEADLINE_MS / 1000} s` : plainly(details || message)
  return also === '' ? why : `${why}; ${also}`
}

/** What grpc-js writes around the error that people look for. */
function plainly(details: string): string {
  return details
    .replace(/^No connection established\. Last error: (?:\w*Error: )?/, '')
    .replace(/\.? ?Resolution note: ?$/, '')
}
