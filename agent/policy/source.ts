/**
 * Where policy documents come from: files, Consul KV, Consul config entries, ZooKeeper. A source delivers whole sets,
 * never deltas. On trouble it keeps quiet about documents, says so in `onTrouble`, and tries again with back-off by
 * itself: what it delivered last stays in force.
 */
export interface PolicySource {
  /** Such as `files policies/`, `consul kv`, `zookeeper`: for provenance, logs, metrics and `outrigger status`. */
  readonly name: string
  /** Its documents are files of this host: they may contain variables of the agent's environment. */
  readonly isLocal?: true
  watch(watcher: PolicyWatcher, signal: AbortSignal): void
  /** Where `outrigger policy put` may write; null: this source is written by others. */
  readonly store: PolicyStore | null
}

export interface PolicyWatcher {
  /** The last run of the agent left documents of this source, which are in force until the first `onSet`. */
  readonly hadDocuments?: boolean
  /** All documents there are now, also when nothing changed. */
  onSet(documents: readonly PolicyDocument[]): void
  /** The source cannot be reached or makes no sense: one line for people. Until the next `onSet`. */
  onTrouble(reason: string): void
}

/** One document as its author wrote it, or as a source translated it. */
export interface PolicyDocument {
  /** The service it is for; `*`: the defaults of all. */
  readonly service: string
  /** Where its author finds it: `policies/orders.yaml`, `consul kv outrigger/services/orders`. Stands before errors. */
  readonly at: string
  /** YAML or JSON of the policy document's schema (mesh-config/policy-document.ts). */
  readonly text: string
  /** Of its source, such as a ModifyIndex: another one means another text. */
  readonly version: string
  /** Why the source itself refuses it; the version before stays in force. Empty: it does not. */
  readonly errors: readonly string[]
  readonly warnings: readonly string[]
}

/** Keeps each version with its author and time. Rejects with an error for people. */
export interface PolicyStore {
  /** `expect`: the version that is replaced; null: whatever is there; '': there must be none. */
  put(document: StoredVersion, expect: string | null): Promise<string>
  /** Newest first. */
  history(service: string): Promise<readonly (StoredVersion & { readonly version: string })[]>
}

export interface StoredVersion {
  readonly service: string
  readonly text: string
  readonly author: string
  readonly comment: string
  /** Wall time in milliseconds. */
  readonly at: number
}
