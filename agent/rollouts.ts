import type { PolicyOfAgent } from '../mesh-config/policy-schema.ts'

/** Staged roll-outs, as the documents see them: which versions go to a part of the proxies first. */
export interface Rollouts {
  /**
   * Whether a good new version goes out step by step: then it is the candidate until `promote` or `revert` of
   * `Candidates`. Called with each new version; one that comes during a roll-out replaces the candidate.
   */
  isStaged(change: StagedChange): boolean
  /** Whether this proxy gets the candidate of the documents for the service (`*`: of those for all). */
  takes(service: string, proxy: string): boolean
  /** Such as `step 2 of 4: 25 %`; empty: there is none. */
  words(service: string): string
}

export interface StagedChange {
  /** `*`: a document for all services. */
  readonly service: string
  /** Where its author finds it. */
  readonly at: string
  /** Versions as the source counts them. Null: there was no document. */
  readonly before: string | null
  readonly version: string
  /** The keys of this document alone, defaults filled in. */
  readonly policy: PolicyOfAgent
}

/** What a roll-out does with the candidates of a service. */
export interface Candidates {
  /** In force for all from now on. */
  promote(service: string): void
  /** Refused, with the reason. */
  revert(service: string, reason: string): void
  /** `takes` answers otherwise now. */
  chosenAnew(service: string): void
}

export const noRollouts: Rollouts = { isStaged: () => false, takes: () => false, words: () => '' }
