import { parseJson } from '../../../mesh-config/bounded-json.ts'
import { printable } from '../../core/printable.ts'

/** How Consul is asked for something that it can wait for. */
export interface Asked {
  /** The answer comes once there is more than this, or after `waitMs`. 0: at once. */
  readonly index: number
  readonly waitMs: number
  /** Any server may answer, not only the leader. */
  readonly stale: boolean
}

/** What Consul said, with what its headers say of it. */
export interface Answer {
  /** JSON, not yet read. */
  readonly body: Buffer
  /** X-Consul-Index; 0: it had none. */
  readonly index: number
  readonly knownLeader: boolean
  /** How long ago the server that answered last heard of the leader. */
  readonly lastContactMs: number
  /** The token may not see all of it. */
  readonly filtered: boolean
  /**
   * From the copy that the agent keeps (`use_streaming_backend`, where a question waits): it says neither how old it is
   * nor what was left out, and with a token that was revoked it is just empty.
   */
  readonly streamed: boolean
  /** Without a token nothing may be seen at all; such answers are not marked `filtered`. */
  readonly deniesByDefault: boolean
  /** X-Consul-ContentHash of what the agent itself knows; empty: it had none. */
  readonly contentHash: string
}

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>

/**
 * Header fields are those of https://developer.hashicorp.com/consul/api-docs/features/blocking and .../consistency; one
 * that is missing says nothing bad.
 */
export function answerOf(headers: ResponseHeaders, body: Buffer): Answer {
  const text = (name: string) => String(headers[name] ?? '')
  const streamed = text('x-consul-query-backend') === 'streaming'
  return {
    body,
    index: wholeNumber(text('x-consul-index')),
    // A stream always says `false`.
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

/** Throws an Error for people. */
export function jsonOf({ body }: Answer): unknown {
  try {
    return parseJson(body.toString('utf8'))
  } catch (error) {
    throw new Error(
      `the answer of Consul makes no sense: ${messageOf(error)}; it begins with ${JSON.stringify(firstLine(body.toString('utf8', 0, 400), 60))}`,
    )
  }
}

/** Why Consul did not answer, or not what was asked; the message is one line for people. */
export class ConsulTrouble extends Error {
  /** HTTP status; 0: there was no answer. */
  readonly status: number
  /** The first line of its answer; empty: there was none. */
  readonly said: string

  constructor(message: string, status: number, said = '') {
    super(message)
    this.name = 'ConsulTrouble'
    this.status = status
    this.said = said
  }
}

/** The token has to change: asking again soon is no use. */
export function isDenied(error: unknown): boolean {
  return error instanceof ConsulTrouble && (error.status === 403 || error.status === 401)
}

/**
 * The agent takes no more connections from this host (`limits.http_max_conns_per_client`, 200 by default, shared by all
 * there is on the host).
 */
export function isCrowdedOut(error: unknown): boolean {
  return error instanceof ConsulTrouble && error.status === 429 && error.said.includes('concurrent connections')
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Text from elsewhere: its first line that says something, printable and bounded. */
export function firstLine(text: string, atMost = 200): string {
  const line = printable(text.trim().split(/[\r\n]/, 1)[0]!)
  return line.length > atMost ? `${line.slice(0, atMost - 3)}...` : line
}
