import type { AddressSpec } from '../../mesh-config/snapshot.ts'

/** Whether the address takes connections. `answered` is called once, later, and soon. */
export type Probe = (endpoint: AddressSpec, answered: (accepts: boolean) => void) => void

/** A registry that loses a thousand instances must not cause a thousand connections at once. */
const AT_ONCE = 20

/** The same, with a limit on how many run at a time. */
export function probesInTurn(probe: Probe): Probe {
  const waiting: (() => void)[] = []
  let running = 0

  function start(endpoint: AddressSpec, answered: (accepts: boolean) => void): void {
    running++
    probe(endpoint, accepts => {
      running--
      waiting.shift()?.()
      answered(accepts)
    })
  }

  return (endpoint, answered) => {
    if (running < AT_ONCE) start(endpoint, answered)
    else waiting.push(() => start(endpoint, answered))
  }
}
