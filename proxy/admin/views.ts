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
