/** The proxies of this host, as `agent/sync/` knows them: for `outrigger status`, metrics and roll-outs. */
export interface Follower {
  /** Its name in the mesh, the same over restarts. */
  readonly proxy: string
  readonly service: string
  readonly version: string
  readonly host: string
  readonly zone: string
  readonly pid: number
  /** address:port; empty: none. */
  readonly admin: string
  readonly connected: boolean
  /** Wall time in milliseconds. */
  readonly lastWordAt: number
  readonly policies: readonly FollowerPolicy[]
}

export interface FollowerPolicy {
  readonly service: string
  /** The version that the agent wants it to have; empty: the agent cannot say yet. */
  readonly wanted: string
  /** The version that it has in force; empty: none of the agent's. */
  readonly has: string
  /** Why it has not taken the wanted one (its NACK), or why the agent cannot make one for it. */
  readonly reasons: readonly string[]
  /** Wall time in milliseconds since it has had another one than the wanted; null: it has that. */
  readonly staleSince: number | null
}

/** A message of FromProxy.summary: the decoded `Summary` of stats.proto. */
export type OnSummary = (follower: Pick<Follower, 'proxy' | 'service' | 'host' | 'zone'>, summary: unknown) => void
