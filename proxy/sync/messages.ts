import { ProtoReader, type ProtoWriter } from '../core/protobuf.ts'

/** The messages of agent/sync/sync.proto, with the names they have there. */

export interface Hello {
  readonly formats: readonly number[]
  readonly proxy: string
  readonly service: string
  readonly version: string
  readonly host: string
  readonly zone: string
  readonly pid: number
  readonly admin: string
  readonly config: string
}

export interface Wanted {
  readonly service: string
  /** JSON; empty: the sidecar's own file writes nothing for it. */
  readonly own: string
  readonly have: string
}

export interface Update {
  readonly service: string
  readonly version: string
  readonly unchanged: boolean
  /** JSON; empty: no source of the agent has anything for this service. */
  readonly spec: string
  /** JSON. */
  readonly provenance: string
  /** JSON; empty: as the proxy's own files say. */
  readonly discovery: string
  readonly warnings: readonly string[]
}

export interface Welcome {
  readonly format: number
  readonly agent: string
  readonly version: string
}

export type FromAgent =
  | { readonly kind: 'welcome'; readonly welcome: Welcome }
  | { readonly kind: 'update'; readonly update: Update }
  | { readonly kind: 'refusal'; readonly reason: string }
  /** Of a later version of the agent. */
  | { readonly kind: 'unknown' }

/** The longest name or version that is taken. */
export const MOST_NAME = 1024
/** Lines for people: the rest of a longer one is of no use. */
const MOST_TEXT = 64 * 1024
const MOST_WARNINGS = 100

// ── to the agent: FromProxy ──

export function writeHello(writer: ProtoWriter, hello: Hello): void {
  const mark = writer.open(1)
  const formats = writer.open(1)
  for (const format of hello.formats) writer.packed(format)
  writer.close(formats)
  writer.string(2, hello.proxy)
  writer.string(3, hello.service)
  writer.string(4, hello.version)
  writer.string(5, hello.host)
  writer.string(6, hello.zone)
  writer.uint(7, hello.pid)
  writer.string(8, hello.admin)
  writer.string(9, hello.config)
  writer.close(mark)
}

export function writeSubscribe(writer: ProtoWriter, services: readonly Wanted[]): void {
  const mark = writer.open(2)
  for (const { service, own, have } of services) {
    const wanted = writer.open(1)
    writer.string(1, service)
    if (own !== '') writer.string(2, own)
    if (have !== '') writer.string(3, have)
    writer.close(wanted)
  }
  writer.close(mark)
}

/** `reasons`: empty: it is in force. */
export function writeAnswer(writer: ProtoWriter, service: string, version: string, reasons: readonly string[]): void {
  const mark = writer.open(3)
  writer.string(1, service)
  writer.string(2, version)
  for (const reason of reasons) writer.string(3, reason)
  writer.close(mark)
}

/** `summary`: an encoded Summary of stats.proto. */
export function writeSummary(writer: ProtoWriter, summary: Uint8Array): void {
  writer.bytes(4, summary)
}

// ── from the agent ──

/** Or, as a text, what is wrong with it. */
export function readFromAgent(bytes: Uint8Array): FromAgent | string {
  const reader = new ProtoReader(bytes)
  let message: FromAgent = { kind: 'unknown' }
  while (reader.next()) {
    if (reader.field === 1) message = { kind: 'welcome', welcome: reader.message(readWelcome) }
    else if (reader.field === 2) message = { kind: 'update', update: reader.message(readUpdate) }
    else if (reader.field === 3) message = { kind: 'refusal', reason: reader.message(readRefusal) }
    else reader.skip()
  }
  return reader.problem === '' ? message : reader.problem
}

function readWelcome(reader: ProtoReader): Welcome {
  const welcome = { format: 0, agent: '', version: '' }
  while (reader.next()) {
    if (reader.field === 1) welcome.format = reader.uint()
    else if (reader.field === 2) welcome.agent = reader.string(MOST_NAME)
    else if (reader.field === 3) welcome.version = reader.string(MOST_NAME)
    else reader.skip()
  }
  return welcome
}

function readUpdate(reader: ProtoReader): Update {
  const warnings: string[] = []
  const update = { service: '', version: '', unchanged: false, spec: '', provenance: '', discovery: '', warnings }
  while (reader.next()) {
    if (reader.field === 1) update.service = reader.string(MOST_NAME)
    else if (reader.field === 2) update.version = reader.string(MOST_NAME)
    else if (reader.field === 3) update.unchanged = reader.bool()
    else if (reader.field === 4) update.spec = reader.string(Number.POSITIVE_INFINITY)
    else if (reader.field === 5) update.provenance = reader.string(Number.POSITIVE_INFINITY)
    else if (reader.field === 6) update.discovery = reader.string(Number.POSITIVE_INFINITY)
    else if (reader.field === 7 && warnings.length < MOST_WARNINGS) warnings.push(reader.string(MOST_TEXT))
    else reader.skip()
  }
  return update
}

function readRefusal(reader: ProtoReader): string {
  let reason = ''
  while (reader.next()) {
    if (reader.field === 1) reason = reader.string(MOST_TEXT)
    else reader.skip()
  }
  return reason
}

/**
 * Of the beginning of a message that is too long to be read whole: which update it would be. Null: it is none, or its
 * beginning does not say. Fields come in the order of their numbers, so these two come first.
 */
export function headOfUpdate(beginning: Uint8Array): { readonly service: string; readonly version: string } | null {
  const whole = new ProtoReader(beginning)
  if (!whole.next() || whole.field !== 2) return null
  // The message is longer than what there is of it: its fields are read as if it ended there.
  const from = 1 + lengthBytes(beginning)
  const reader = new ProtoReader(beginning, from)
  const found = { service: '', version: '' }
  while ((found.service === '' || found.version === '') && reader.next()) {
    if (reader.field === 1) found.service = reader.string(MOST_NAME)
    else if (reader.field === 2) found.version = reader.string(MOST_NAME)
    else break
  }
  return reader.problem === '' && found.service !== '' && found.version !== '' ? found : null
}

/** Of the length that stands behind a tag of one byte. */
function lengthBytes(bytes: Uint8Array): number {
  let count = 1
  while (count < 10 && bytes[count]! > 127) count++
  return count
}
