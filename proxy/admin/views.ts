/** The configuration in force. */
export interface ConfigView {
  readonly version: string
  readonly inForceSince: string
  readonly files: readonly string[]
  readonly warnings: readonly string[]
  /** Later reloads: why a newer one was refused, and which of its changes need a restart. */
  readonly lastErrors: readonly string[]
  readonly needsRestart: readonly string[]
  /** The effective configuration, secrets hidden: JSON text, and YAML with the source of each value. */
  readonly effectiveJson: string
  readonly effectiveText: string
}

/** One check of readiness, or a fact that helps to explain it. */
export interface Check {
  readonly name: string
  /** `warn`: worth a look, without effect on readiness. */
  readonly state: 'ok' | 'warn' | 'fail'
  /** Lines after the first are details. */
  readonly text: string
}

export interface Readiness {
  readonly ready: boolean
  /** Why it is not ready; empty when it is. */
  readonly reason: string
  readonly checks: readonly Check[]
}

/** Whether the applications behind the inbound listeners are ready, by their checks; resolves with the first result. */
export type ApplicationState = () => Promise<{ readonly ready: boolean; readonly reason: string }>

/** The agent of this host, and what each service has of it. */
export interface SyncView {
  /** `off`: no agent is there, or none is configured. */
  readonly state: 'connected' | 'connecting' | 'off'
  /** Why there is no connection; empty: nothing is wrong. */
  readonly trouble: string
  /** Its name and version; empty: none was ever connected. */
  readonly agent: string
  /** Empty: `agent: off`. */
  readonly socket: string
  /** No file names the socket: it is where agents listen by default. */
  readonly isDefault: boolean
  /** In this state. */
  readonly forMs: number
  /** Connections lost. */
  readonly losses: number
  /** Why policies cannot be saved for a start without the agent; empty: they can. */
  readonly saving: string
  readonly services: readonly SyncedService[]
}

export interface SyncedService {
  readonly service: string
  /** Of the policy of the agent in force; empty: none. */
  readonly version: string
  /** `files`: the agent has no policy for it. `disk`: as the agent sent it to an earlier process. */
  readonly from: 'agent' | 'disk' | 'files'
  readonly inForceSince: string
  /** How long something else is in force than the agent wants, or may want while it is away; 0: it is in step. */
  readonly staleMs: number
  /** The version that the agent wants and this proxy refuses; empty: none. */
  readonly refused: string
  readonly reasons: readonly string[]
  readonly warnings: readonly string[]
  /** The section of the sidecar's own file has changed, and the agent has not merged it yet. */
  readonly ownChanged: boolean
}

/** The name server, and the virtual addresses that it gives. */
export interface NamesView {
  readonly listen: string
  readonly domain: string
  /** Where other names are forwarded to. */
  readonly servers: readonly string[]
  readonly names: readonly ServiceNameView[]
  /** Since the start, by kind and result. */
  readonly queries: readonly { readonly kind: string; readonly result: string; readonly count: number }[]
  /** Queries that wait for an answer. */
  readonly waiting: number
  /** Forwarded queries that no server answered in time. */
  readonly timeouts: number
}

export interface ServiceNameView {
  readonly service: string
  readonly name: string
  readonly address: string
  /** Empty: it has none. */
  readonly address6: string
  /** False: the service is not known now, and its address is kept for it. */
  readonly inUse: boolean
  readonly usedAt: string
}
