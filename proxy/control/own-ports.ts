import type { Server } from 'node:http'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import type { Page } from '../admin/page-types.ts'
import { adminPages, type PageFacts, scrapePages } from '../admin/pages.ts'
import { type Access, adminServer } from '../admin/server.ts'
import type { ListeningSocket } from '../core/channel.ts'
import type { Log } from '../core/log.ts'
import { cannotListen } from '../system/cannot-listen.ts'
import { descriptorOf, listenOn, listenOnInherited } from '../system/listen-on.ts'
import type { LoadedConfig } from './loaded-config.ts'
import type { OwnPorts } from './ready-lines.ts'

export const OWN_PORTS = ['admin', 'metrics'] as const
export type OwnPortName = (typeof OWN_PORTS)[number]

export interface OpenOwnPorts {
  readonly ports: OwnPorts
  readonly reasons: readonly string[]
  /** For a process that takes over. */
  sockets(): readonly ListeningSocket[]
  /** What is being answered is answered; nothing more is taken. */
  stopListening(): void
}

interface WantedPort {
  readonly name: OwnPortName
  readonly address: AddressSpec | null
  readonly pages: readonly Page[]
  readonly access: Access
}

/** Opens the ports of the sidecar itself: where they listen, or why they cannot. */
export async function openOwnPorts(
  { bootstrap, snapshot }: LoadedConfig,
  facts: PageFacts,
  log: Log,
  inherited: (name: OwnPortName) => number | undefined = () => undefined,
): Promise<OpenOwnPorts> {
  const reasons: string[] = []
  const servers = new Map<OwnPortName, { readonly server: Server; readonly address: AddressSpec }>()
  async function open({ name, address, pages, access }: WantedPort): Promise<AddressSpec | null> {
    if (address === null) return null
    const begin = (server: Server) => {
      servers.set(name, { server, address })
      const fd = inherited(name)
      if (fd === undefined) listenOn(server, address)
      else listenOnInherited(server, fd)
    }
    try {
      return { ...address, port: (await adminServer(address, pages, log, access, begin)).port }
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
  return {
    ports: { admin, metrics },
    reasons,
    sockets: () =>
      [...servers].map(([name, { server, address }]) => ({ name, ...address, descriptors: descriptorOf(server) })),
    stopListening() {
      for (const { server } of servers.values()) server.close()
    },
  }
}

async function reasonOf(error: unknown, name: string, address: AddressSpec, place: string | undefined) {
  const { explainListen } = await import('../system/listen-error.ts')
  const why = await explainListen(error, address)
  return cannotListen(place, `the ${name} port `, address, `${why}; the key is ${name}:, and ${name}: off needs none`)
}
