import { formatAddress } from '../../../mesh-config/address.ts'
import type { AddressSpec } from '../../../mesh-config/snapshot.ts'
import type { Clock } from '../../core/clock.ts'
import type { Probe } from '../probe.ts'
import { pause } from './pause.ts'

/** Whether the application behind the sidecar takes connections, for the heartbeat of its registration. */
export interface ApplicationCheck {
  listens(): boolean
  /** A message for people; empty: it listens. */
  trouble(): string
  /** Resolves with the first result. */
  first(): Promise<void>
  /** Runs until the signal aborts. */
  watch(signal: AbortSignal): Promise<void>
}

const LISTENING_MS = 2_000
const DOWN_MS = 500
/** A single failure does not count: the connection queue of an application may be full for a moment. */
const FAILURES = 3

/** `application`: its present address, which a reload may change; null: there is none to check. */
export function applicationCheck(application: () => AddressSpec | null, probe: Probe, clock: Clock): ApplicationCheck {
  let failures = FAILURES
  const first = Promise.withResolvers<void>()

  function look(): Promise<void> {
    const address = application()
    return new Promise(resolve => {
      const answered = (accepts: boolean) => {
        failures = accepts ? 0 : failures + 1
        first.resolve()
        resolve()
      }
      if (address === null) answered(true)
      else probe(address, answered)
    })
  }

  const listens = () => failures < FAILURES
  return {
    listens,
    trouble() {
      const address = application()
      return listens() || address === null ? '' : `the application takes no connections at ${formatAddress(address)}`
    },
    first: () => first.promise,
    async watch(signal) {
      while (!signal.aborted) {
        await look()
        await pause(clock, failures === 0 ? LISTENING_MS : DOWN_MS, signal)
      }
    },
  }
}

/** The check that is off. */
export const unchecked: ApplicationCheck = {
  listens: () => true,
  trouble: () => '',
  first: () => Promise.resolve(),
  watch: () => Promise.resolve(),
}
