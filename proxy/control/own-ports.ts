import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import type { Page } from '../admin/page-types.ts'
import { adminPages, type PageFacts, scrapePages } from '../admin/pages.ts'
import { type Access, adminServer } from '../admin/server.ts'
import type { Log } from '../core/log.ts'
import { cannotListen } from '../system/cannot-listen.ts'
import { listenOn } from '../system/listen-on.ts'
import type { LoadedConfig } from './loaded-config.ts'
import type { OwnPorts } from './ready-lines.ts'

interface WantedPort {
  readonly name: 'admin' | 'metrics'
  readonly address: AddressSpec | null
  readonly pages: readonly Page[]
  readonly access: Access
}

/** Opens the ports of the sidecar itself: where they listen, or why they cannot. */
export async function openOwnPorts(
  { bootstrap, snapshot }: LoadedConfig,
  facts: PageFacts,
  log: Log,
): Promise<{ readonly ports: OwnPorts; readonly reasons: readonly string[] }> {
  const reasons: string[] = []
  async function open({ name, address, pages, access }: WantedPort): Promise<AddressSpec | null> {
    if (address === null) return null
    try {
      return { ...address, port: (await adminServer(address, pages, log, access, listenOn)).port }
    } catch (error) {
      reasons.push(await reasonOf(error, name, address, snapshot.places[name]))
      return null
    }
  }
  const admin = await open({
    name: 'admin',
    address: bootstrap.admin,
    pages: adminPages(facts),
    access: bootstrap.adminHosts,
  })
  const metrics = await open({
    name: 'metrics',
    address: bootstrap.metrics,
    pages: scrapePages(facts),
    access: 'open',
  })
  return { ports: { admin, metrics }, reasons }
}

async function reasonOf(error: unknown, name: string, address: AddressSpec, place: string | undefined) {
  const { explainListen } = await import('../system/listen-error.ts')
  const why = await explainListen(error, address)
  return cannotListen(place, `the ${name} port `, address, `${why}; the key is ${name}:, and ${name}: off needs none`)
}
