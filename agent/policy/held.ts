import type { Located, Problem } from '../../mesh-config/located.ts'
import type { PolicyDocument } from './source.ts'

/** A document that was read and found good by itself. */
export interface Held {
  readonly source: string
  readonly document: PolicyDocument
  readonly root: Located
}

/** A version of a document that is not in force. */
export interface Refused {
  readonly source: string
  /** Null: the document was removed, and others need it. */
  readonly document: PolicyDocument | null
  /** Null: it is wrong by itself. Else it does not fit the other documents, and is tried again when they change. */
  readonly root: Located | null
  readonly errors: readonly string[]
  /** The text of the errors that are known to the log already. */
  readonly service: string
  readonly at: string
}

export interface Change {
  readonly source: string
  readonly service: string
  /** Null: the document is gone. */
  readonly held: Held | null
  readonly at: string
}

export const keyOf = (source: string, service: string): string => `${source}\n${service}`

export type Problems = readonly Problem[]
