import type { Snapshot } from '../../mesh-config/snapshot.ts'
import type { SnapshotMessage, ToControl } from '../core/channel.ts'
import type { Applier } from './apply.ts'
import type { Change } from './change.ts'
import type { Listeners } from './listeners.ts'
import type { Tls } from './pools-of.ts'
import type { Records } from './records.ts'
import type { Patterns } from './regex.ts'
import { needsTls } from './tls.ts'
import { wholeSnapshot } from './whole-snapshot.ts'

export interface ApplySnapshotDeps {
  readonly records: Records
  readonly applier: Applier
  readonly listeners: Listeners
  readonly tls: Pick<Tls, 'load'>
  readonly patterns: (snapshot: Snapshot) => Promise<Patterns>
  /** It is in force from here on. */
  readonly applied: (snapshot: Snapshot) => void
  readonly send: (message: ToControl) => void
}

/**
 * All or nothing: each part is made ready, what is new is opened, then everything is swapped in and what is gone is
 * closed. A port that cannot be had is a NACK, and everything runs on as it was.
 */
export async function applySnapshot(message: SnapshotMessage, deps: ApplySnapshotDeps): Promise<void> {
  const { records, applier, listeners, patterns, applied, send } = deps
  const { version } = message.snapshot
  const ready: Change[] = []
  let snapshot: Snapshot
  try {
    snapshot = wholeSnapshot(message, applier.inForce()?.snapshot ?? null)
    ready.push(records.prepare(snapshot))
    if (needsTls(snapshot)) await deps.tls.load()
    const regexes = await patterns(snapshot)
    const prepared = applier.prepare(snapshot, regexes.compile)
    regexes.done()
    ready.push(prepared)
    ready.push(await listeners.prepare(snapshot, prepared.runtime.listeners))
  } catch (error) {
    for (const change of ready.reverse()) await change.abandon()
    send({ kind: 'nack', version, reasons: [error instanceof Error ? error.message : String(error)] })
    return
  }
  for (const change of ready) change.commit()
  applied(snapshot)
  send({ kind: 'ack', version, listeners: listeners.names() })
}
