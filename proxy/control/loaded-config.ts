import type { Bootstrap, DiscoverySpec, Snapshot } from '../../mesh-config/snapshot.ts'

export interface LoadedConfig {
  readonly ok: true
  readonly bootstrap: Bootstrap
  readonly discovery: DiscoverySpec
  readonly snapshot: Snapshot
  readonly warnings: readonly string[]
  /** For /config. Compressed, and by the child: with hundreds of services it is megabytes, and seldom asked for. */
  readonly effective: Promise<EffectiveConfig>
}

export interface EffectiveConfig {
  json(): string
  text(): string
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
  | { readonly json: string; readonly text: string }
