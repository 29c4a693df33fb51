import { parseJson } from '../../../mesh-config/bounded-json.ts'
import { firstLine, messageOf } from '../words.ts'

/** A query that Consul can hold until something changes. */
export interface Asked {
  /** Answered when the index is greater than this, or after `waitMs`. 0: at once. */
  readonly index: number
  readonly waitMs: number
  /** Any server may answer, not only the leader. */
  readonly stale: boolean
}

/** Consul's answer, with what its headers say of it. */
export interface Answer {
  /** JSON, not parsed yet. */
  readonly body: Buffer
  /** X-Consul-Index; 0: it had none. */
  readonly index: number
  readonly knownLeader: boolean
  /** How long ago the answering server last heard from the leader. */
  readonly lastContactMs: number
  /** The token does not see all of it. */
  readonly filtered: boolean
  /**
   * From the copy that the agent keeps (`use_streaming_backend`, for queries that wait). Such an answer says neither
   * how old it is nor what was left out, and with a revoked token it is just empty.
   */
  readonly streamed: boolean
  /** Without a token everything is hidden; such answers are not marked `filtered`. */
  readonly deniesByDefault: boolean
  /** X-Consul-ContentHash of the agent's own state; empty: none. */
  readonly contentHash: string
}

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>

/**
 * Reads the header fields of https://developer.hashicorp.com/consul/api-docs/features/blocking and .../consistency; an
 * absent field counts as harmless.
 */
export function answerOf(headers: ResponseHeaders, body: Buffer): Answer {
  const text = (name: string) => String(headers[name] ?? '')
  const streamed = text('x-consul-query-backend') === 'streaming'
  return {
    body,
    index: wholeNumber(text('x-consul-index')),
    // A streamed answer always has `false`.
    knownLeader: streamed || text('x-consul-knownleader') !== 'false',
    lastContactMs: wholeNumber(text('x-consul-lastcontact')),
    filtered: text('x-consul-results-filtered-by-acls') === 'true',
    streamed,
    deniesByDefault: text('x-consul-default-acl-policy') === 'deny',
    contentHash: text('x-consul-contenthash'),
  }
}

function wholeNumber(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : 0
}

/** Throws an Error with a message for people. */
export function jsonOf({ body }: Answer): unknown {
  try {
    return parseJson(body.toString('utf8'))
  } catch (error) {
    throw new Error(
      `the answer of Consul makes no sense: ${messageOf(error)}; it begins with ${JSON.stringify(firstLine(body.toString('utf8', 0, 400), 60))}`,
    )
  }
}

/** Why Consul did not answer, or not as asked; the message is one line for people. */
export class ConsulTrouble extends Error {
  /** HTTP status; 0: there was no answer. */
  readonly status: number
  /** The first line of the answer; empty: none. */
  readonly said: string

  constructor(message: string, status: number, said = '') {
    super(message)
    this.name = 'ConsulTrouble'
    this.status = status
    this.said = said
  }
}

/** A new token is needed: asking again soon is useless. */
export function isDenied(error: unknown): boolean {
  return error instanceof ConsulTrouble && (error.status === 403 || error.status === 401)
}

/**
 * The agent takes no more connections from this host (`limits.http_max_conns_per_client`, 200 by default, shared by all
 * processes of the host).
 */
export function isCrowdedOut(error: unknown): boolean {
  return error instanceof ConsulTrouble && error.status === 429 && error.said.includes('concurrent connections')
}
