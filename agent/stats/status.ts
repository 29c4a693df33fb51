import type { Follower } from '../followers.ts'

/** `AgentStatus` of control.proto, as @grpc/proto-loader takes and gives it. */
export interface AgentStatus {
  readonly host: string
  readonly version: string
  readonly address: string
  readonly upMs: number
  readonly trouble: string
  readonly leader: boolean
  readonly proxies: readonly ProxyStatus[]
  readonly sources: readonly SourceStatus[]
  readonly refused: readonly RefusedDocument[]
  readonly exporting: readonly string[]
  readonly ageMs: number
  readonly historyMs: number
}

export interface ProxyStatus {
  readonly proxy: string
  readonly service: string
  readonly version: string
  readonly host: string
  readonly zone: string
  readonly pid: number
  readonly admin: string
  readonly connected: boolean
  readonly silentMs: number
  readonly policies: readonly PolicyStatus[]
}

export interface PolicyStatus {
  readonly service: string
  readonly wanted: string
  readonly has: string
  readonly reasons: readonly string[]
  readonly staleMs: number
  readonly rollout: string
}

export interface SourceStatus {
  readonly name: string
  readonly trouble: string
  readonly ageMs: number
  readonly documents: number
}

/** `Document` of control.proto. */
export interface RefusedDocument {
  readonly service: string
  readonly version: string
  readonly at: string
  readonly errors: readonly string[]
}

/** What the other parts of the agent say of themselves. */
export interface AgentFacts {
  readonly host: string
  readonly version: string
  /** Where other agents reach it; empty: they cannot. */
  readonly address: string
  readonly followers: () => readonly Follower[]
  readonly sources: () => readonly SourceStatus[]
  readonly refused: () => readonly RefusedDocument[]
  /** Where spans go, and what is wrong with it. */
  readonly exporting: () => readonly string[]
  /** Of the staged roll-out of this service; empty: there is none. */
  readonly rollout: (service: string) => string
  readonly isLeader: () => boolean
}

export function localStatus(facts: AgentFacts, startedAt: number, historyMs: number, now: number): AgentStatus {
  return {
    host: facts.host,
    version: facts.version,
    address: facts.address,
    upMs: now - startedAt,
    trouble: '',
    leader: facts.isLeader(),
    proxies: facts.followers().map(follower => proxyStatus(follower, facts, now)),
    sources: facts.sources(),
    refused: facts.refused(),
    exporting: facts.exporting(),
    ageMs: 0,
    historyMs,
  }
}

function proxyStatus(follower: Follower, { rollout }: AgentFacts, now: number): ProxyStatus {
  const { proxy, service, version, host, zone, pid, admin, connected, lastWordAt, policies } = follower
  return {
    proxy,
    service,
    version,
    host,
    zone,
    pid,
    admin,
    connected,
    silentMs: Math.max(0, now - lastWordAt),
    policies: policies.map(({ service: of, wanted, has, reasons, staleSince }) => ({
      service: of,
      wanted,
      has,
      reasons,
      staleMs: staleSince === null ? 0 : Math.max(1, now - staleSince),
      rollout: rollout(of),
    })),
  }
}
