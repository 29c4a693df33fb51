import { formatAddress, isWildcard } from '../../mesh-config/address.ts'
import { readText } from '../../mesh-config/read-file.ts'
import type { AddressSpec, DiscoverySpec, NameServerSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { NamesView } from '../admin/views.ts'
import type { Unknown, VirtualAddressEntry } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { ServiceNames } from '../dns/answerer.ts'
import { type NameServer, openNameServer } from '../dns/name-server.ts'
import { readSavedFile, savedFile } from '../dns/saved-file.ts'
import { usualPrefix, type VirtualAddress, virtualAddresses } from '../dns/virtual-addresses.ts'
import { cannotListen } from '../system/cannot-listen.ts'
import { askByDatagram, openDatagrams } from '../system/datagrams.ts'
import { hasAddress, speaks } from '../system/families.ts'
import { dial, listen } from '../system/net.ts'
import { replaceFile } from '../system/replace-file.ts'
import { randomUint16 } from '../system/secret-bits.ts'
import { serviceWaiters } from './service-waiters.ts'

const RESOLV_CONF = '/etc/resolv.conf'
const MAX_BYTES = 64 * 1024
/** A data thread that does not take a new address in this time does not hold up the query for ever. */
const TOLD_MS = 2_000
/** How soon a successor looks whether the port is free. */
const AGAIN_MS = 100

export interface NameServiceDeps {
  readonly spec: NameServerSpec
  /** The state folder; null: nothing is kept. */
  readonly folder: string | null
  readonly claim: () => Promise<string>
  readonly know: (put: readonly VirtualAddressEntry[], drop: readonly string[]) => Promise<boolean>
  readonly ask: (service: string, answer: (why: Unknown) => void) => void
  readonly datacenter: () => string
  readonly discovery: () => DiscoverySpec
  /** It takes over from another process, which may have the port still. */
  readonly isSuccessor: boolean
  readonly clock: Clock
  readonly log: Log
}

/** The name server and the virtual addresses that it gives: loaded where the file asks for one. */
export interface NameService {
  /** All addresses, for a data thread that starts. */
  entries(): readonly VirtualAddressEntry[]
  /** A snapshot is in force: each of its services has an address from here on. */
  applied(snapshot: Snapshot): void
  /** Opens the port. `place`: where the files ask for it. The reasons why not. */
  open(place: string | undefined): Promise<readonly string[]>
  /** Null: it is not open. */
  port(): AddressSpec | null
  view(): NamesView
  /** Null: it is not open. */
  server(): NameServer | null
  stop(): Promise<void>
}

export type MakeNameService = (deps: NameServiceDeps) => NameService

export const nameService: MakeNameService = deps => {
  const { spec, clock, log } = deps
  const table = virtualAddresses({
    addresses: spec.addresses,
    prefix: usualPrefix(spec.ipv6, () => speaks(6)),
    saved: readSavedFile(deps.folder, log),
  })
  /** The data threads know them. */
  const told = new Set([...table.all()].map(({ service }) => service))
  let inForce = new Set<string>()
  let onDemandMs = 0
  let opened: NameServer | null = null
  let hasSaidFull = false
  let isOver = false
  const waiters = serviceWaiters<VirtualAddress | 'unknown' | 'not now'>(clock, 'not now')
  const saved = savedFile({
    folder: deps.folder,
    replaceFile,
    claim: deps.claim,
    text() {
      for (const service of inForce) touch(service)
      return table.saved()
    },
    clock,
    log,
  })

  function touch(service: string): void {
    const known = table.get(service)
    if (known !== null) known.usedAt = clock.wallTime()
  }

  function assign(services: Iterable<string>): void {
    const put: VirtualAddressEntry[] = []
    const drop: string[] = []
    const fresh: VirtualAddress[] = []
    for (const service of services) {
      const isNew = table.get(service) === null
      const result = table.assign(service, clock.wallTime())
      if (result === null) {
        sayFull()
        waiters.settle(service, 'not now')
        continue
      }
      if (result.dropped !== null) {
        told.delete(result.dropped.service)
        drop.push(...addressesOf(result.dropped))
      }
      if (!isNew) continue
      fresh.push(result.given)
      put.push(...addressesOf(result.given).map((address): VirtualAddressEntry => [address, service]))
    }
    if (fresh.length === 0) return
    saved.changed()
    void deps.know(put, drop).then(areKnown => {
      if (!areKnown) log.error('a data thread does not take virtual addresses: their names are not answered')
      for (const given of fresh) {
        if (areKnown) told.add(given.service)
        waiters.settle(given.service, areKnown ? given : 'not now')
      }
    })
  }

  function sayFull(): void {
    if (!hasSaidFull)
      log.warn(`${table.size} services have virtual addresses, and each keeps its own for a day: others get none`)
    hasSaidFull = true
  }

  const services: ServiceNames = {
    find(service) {
      if (!inForce.has(service) || !told.has(service)) return null
      const known = table.get(service)
      if (known !== null) known.usedAt = clock.wallTime()
      return known
    },
    lookUp(service, answered) {
      if (inForce.has(service)) {
        // A thread that did not take it may by now.
        if (!told.has(service)) tellAgain(service)
        return waiters.wait(service, TOLD_MS, answered)
      }
      if (onDemandMs === 0) {
        answered('unknown')
        return () => {}
      }
      const cancel = waiters.wait(service, onDemandMs, answered)
      deps.ask(service, why => waiters.settle(service, why.certain ? 'unknown' : 'not now'))
      return cancel
    },
    at: table.at,
    isHere(service, datacenter) {
      const { consul } = deps.discovery()
      const own = consul?.services.find(each => each.service === service)?.datacenter ?? consul?.datacenter ?? null
      return datacenter === (own ?? deps.datacenter())
    },
  }

  const telling = new Set<string>()
  function tellAgain(service: string): void {
    const given = table.get(service)
    if (given === null) return assign([service])
    if (telling.has(service)) return
    telling.add(service)
    const put = addressesOf(given).map((address): VirtualAddressEntry => [address, service])
    void deps.know(put, []).then(areKnown => {
      telling.delete(service)
      if (areKnown) told.add(service)
      waiters.settle(service, areKnown ? given : 'not now')
    })
  }

  function isSelf({ address, port }: AddressSpec): boolean {
    const own = spec.listen
    if (port !== own.port) return false
    return address === own.address || (isWildcard(own.address) && hasAddress(address))
  }

  async function openNow(): Promise<void> {
    const server = await openNameServer({
      spec,
      services,
      resolvConf: () => readText(RESOLV_CONF, MAX_BYTES).catch(() => ''),
      isSelf,
      clock,
      randomId: randomUint16,
      openDatagrams,
      ask: askByDatagram,
      listen: (address, onWire, onError) => listen({ ...address, shared: false }, onWire, onError),
      dial,
      log,
    })
    opened = server
    if (isOver) server.close()
  }

  /** The process before has the port still. */
  const again = clock.timer(() => {
    openNow().catch((error: unknown) => {
      if (codeOf(error) !== 'EADDRINUSE') log.error(`the name server cannot begin: ${String(error)}`)
      if (!isOver) again.arm(AGAIN_MS)
    })
  })

  return {
    entries: () =>
      [...table.all()].flatMap(entry => addressesOf(entry).map(address => [address, entry.service] as const)),
    applied(snapshot) {
      onDemandMs = snapshot.onDemandMs
      inForce = new Set(
        Object.values(snapshot.services)
          .filter(({ kind }) => kind === 'named')
          .map(({ name }) => name),
      )
      assign(inForce)
      for (const service of waiters.services()) {
        const known = services.find(service)
        if (known !== null) waiters.settle(service, known)
      }
    },
    async open(place) {
      try {
        await openNow()
        return []
      } catch (error) {
        if (deps.isSuccessor && codeOf(error) === 'EADDRINUSE') {
          log.info('the name server begins when the process before has ended: until then that one answers')
          again.arm(AGAIN_MS)
          return []
        }
        const { explainListen } = await import('../system/listen-error.ts')
        return [cannotListen(place, 'the name server ', spec.listen, await explainListen(error, spec.listen))]
      }
    },
    port: () => (opened === null ? null : { ...spec.listen, port: opened.port }),
    view: () => ({
      listen: formatAddress({ ...spec.listen, port: opened?.port ?? spec.listen.port }),
      domain: spec.domain,
      servers: (opened?.servers() ?? []).map(formatAddress),
      names: [...table.all()]
        .map(({ service, address, address6, usedAt }) => ({
          service,
          name: `${service}.${spec.domain}`,
          address,
          address6,
          inUse: inForce.has(service),
          usedAt: new Date(usedAt).toISOString(),
        }))
        .sort((a, b) => (a.service < b.service ? -1 : 1)),
      queries: [...(opened?.counts.queries.values() ?? [])].map(each => ({ ...each })),
      waiting: opened?.waiting().now ?? 0,
      timeouts: opened?.counts.timeouts ?? 0,
    }),
    server: () => opened,
    async stop() {
      isOver = true
      again.cancel()
      opened?.close()
      await saved.flush()
    },
  }
}

function addressesOf({ address, address6 }: VirtualAddress): readonly string[] {
  return address6 === '' ? [address] : [address, address6]
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
