import type { ConsulServiceSpec, DnsSourceSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'

/** The policy of one service, as the agent has it. */
export interface AgentPolicy {
  /** Short hash of the content. */
  readonly version: string
  /** Without endpoints. Null: no source of the agent has anything for this service, and the sidecar's files count. */
  readonly spec: ServiceSpec | null
  /** Where the endpoints are; null: where the sidecar's files say. */
  readonly discovery: AgentDiscovery | null
  /** JSON {"retries.attempts": {"at": ..., "value": ...}}: kept as text, since it is seldom asked for. */
  readonly provenance: string
}

/** For one service, in place of what the files say; null: as they say. */
export interface AgentDiscovery {
  readonly consul: readonly ConsulServiceSpec[] | null
  readonly dns: readonly DnsSourceSpec[] | null
}

/** By service. */
export type Policies = ReadonlyMap<string, AgentPolicy>

/** What the sidecar's own file says of one service: the last layer of its policy. */
export interface OwnPolicy {
  /** JSON {"policy": {...}, "at": {"retries.attempts": "sidecar.yaml:12"}}. */
  readonly text: string
  /** Of the policy alone: it stays the same where only lines have moved. */
  readonly hash: number
}
