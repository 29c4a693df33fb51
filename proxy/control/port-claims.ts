import { overlap } from '../../mesh-config/address.ts'
import type { AddressSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import { cannotListen } from '../system/cannot-listen.ts'

/**
 * Where several data threads share each port (SO_REUSEPORT), the system would let any process of this user share it
 * too, and give it a part of the connections. Two processes are on one port only where that is wanted, so a port is
 * looked at before it is opened and, at a start, once more afterwards: two that start at once find each other.
 */
export interface PortClaims {
  /** Before the data threads open what is new in `next`: why they must not, empty when they may. */
  before(next: Snapshot, inForce: Snapshot | null): Promise<readonly string[]>
  after(opened: Snapshot): Promise<readonly string[]>
}

export const noClaims: PortClaims = { before: async () => [], after: async () => [] }

/** `inherited`: listeners whose sockets came from a process before this one, which is no stranger. */
export const sharedPortClaims = (inherited: ReadonlySet<string> = new Set()): PortClaims => ({
  before(next, inForce) {
    const open = new Set(inForce?.listeners.map(({ name }) => name))
    const added = next.listeners.filter(({ name }) => !open.has(name) && (inForce !== null || !inherited.has(name)))
    const isOursInTheWay = (address: AddressSpec) =>
      inForce?.listeners.some(({ listen }) => overlap(listen, address)) === true
    return reasons(next, added, async address => (await looking()).isTakenByOthers(address, isOursInTheWay(address)))
  },
  after: opened =>
    reasons(
      opened,
      opened.listeners.filter(({ name }) => !inherited.has(name)),
      async address => (await (await looking()).holdersOf(address, { certain: true })).length > 0,
    ),
})

/** Loaded where it is needed: most sidecars have one data thread. */
async function looking() {
  const [{ explainInUse, isTakenByOthers }, { holdersOf }] = await Promise.all([
    import('../system/listen-error.ts'),
    import('../system/port-holders.ts'),
  ])
  return { explainInUse, isTakenByOthers, holdersOf }
}

async function reasons(
  { places }: Snapshot,
  listeners: Snapshot['listeners'],
  isTaken: (address: AddressSpec) => Promise<boolean>,
): Promise<readonly string[]> {
  const found: string[] = []
  for (const { name, listen } of listeners) {
    if (await isTaken(listen))
      found.push(cannotListen(places[name], '', listen, await (await looking()).explainInUse(listen)))
  }
  return found
}
