/** The policy that one proxy is to have for one service. Proxies that are to have the same share one object. */
export interface WantedPolicy {
  /** Short hash of the content; `none` where the agent knows nothing about the service. */
  readonly version: string
  /** A ServiceSpec as JSON; empty: as the proxy's own files say. */
  readonly spec: Buffer
  /** JSON: where each written value came from. */
  readonly provenance: Buffer
  /** A part of DiscoverySpec as JSON; empty: as the proxy's own files say. */
  readonly discovery: Buffer
  readonly warnings: readonly string[]
}

/** What the agent knows of policies, as the server of the proxies sees it. */
export interface PolicyBook {
  wanted(asked: AskedPolicy): WantedPolicy | Withheld
  /** `all`: of every service. Called when what `wanted` says may have changed. */
  onChange(listener: (services: ReadonlySet<string> | 'all') => void): void
}

export interface AskedPolicy {
  readonly proxy: string
  /** The service that it stands beside: what `calls` of its policy says counts. Absent: none. */
  readonly caller?: string
  readonly service: string
  /** The last layer: what the sidecar's own file says. Null: nothing. */
  readonly own: OwnLayer | null
  /** The proxy has a policy already. */
  readonly has: boolean
}

export interface OwnLayer {
  /** Of `bytes`. */
  readonly hash: string
  /** JSON {"policy": {...}, "at": {path: "sidecar.yaml:12"}}. */
  readonly bytes: Buffer
}

/** There is none to send: the proxy keeps what it has. */
export interface Withheld {
  /** For people. */
  readonly withheld: string
}
