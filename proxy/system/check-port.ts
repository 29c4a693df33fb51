import { connect } from 'node:net'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import { lookupName } from './names.ts'

/** What is written to an application that is checked, and what its answer says. */
export interface Conversation {
  readonly request: Uint8Array
  /** Of all bytes so far. Undefined: more are needed; else as `answered` of a check. `reply` writes. */
  read(soFar: Buffer, reply: (bytes: Uint8Array) => void): string | undefined
}

const MOST_BYTES = 16 * 1024

/** Connects, and speaks where there is something to say. `answered` is called once: empty, or why not. */
export function askPort(
  { address, port }: AddressSpec,
  timeoutMs: number,
  conversation: Conversation | null,
  answered: (trouble: string) => void,
): void {
  const socket = connect({ host: address, port, lookup: lookupName })
  let soFar: Buffer = Buffer.alloc(0)
  // Of the whole check: bytes that come one by one do not prolong it.
  const timer = setTimeout(() => finish(`no answer within ${timeoutMs} ms`), timeoutMs)
  const finish = (trouble: string) => {
    clearTimeout(timer)
    socket.removeAllListeners()
    // Later errors of this connection do not matter.
    socket.on('error', () => {})
    socket.destroy()
    answered(trouble)
  }
  socket.once('connect', () => {
    if (conversation === null) finish('')
    else socket.write(conversation.request)
  })
  socket.on('data', (chunk: Buffer) => {
    soFar = Buffer.concat([soFar, chunk])
    const end = conversation?.read(soFar, bytes => socket.write(bytes))
    if (end !== undefined) finish(end)
    else if (soFar.length > MOST_BYTES) finish('its answer is too long')
  })
  socket.once('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message))
  socket.once('end', () => finish('it closed the connection without an answer'))
}
