import type { OwnPolicies } from '../../mesh-config/own-policy.ts'
import type { AgentSpec, Bootstrap, DiscoverySpec, Snapshot } from '../../mesh-config/snapshot.ts'

export interface LoadedConfig {
  readonly ok: true
  readonly bootstrap: Bootstrap
  readonly discovery: DiscoverySpec
  readonly agent: AgentSpec
  readonly snapshot: Snapshot
  readonly warnings: readonly string[]
  /** For /config. Compressed, and by the child: with hundreds of services it is megabytes, and seldom asked for. */
  readonly effective: Promise<EffectiveConfig>
}

export interface EffectiveConfig {
  json(): string
  text(): string
  /** What the files say of each service, for the agent: as mesh-config/own-policy.ts has it. */
  own(): OwnPolicies
}

export interface RefusedConfig {
  readonly ok: false
  readonly errors: readonly string[]
}

/**
 * What the child writes, one JSON value a line (load-config.ts). The effective configuration is deflated and in base64.
 */
export type ChildLine =
  | (Omit<LoadedConfig, 'effective'> | RefusedConfig)
  | { readonly json: string; readonly text: string; readonly own: string }
