import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { addressOf, formatAddress, isWildcard } from '../mesh-config/address.ts'
import type { AgentDocument } from '../mesh-config/agent/agent-file.ts'
import type { ConsulApi } from './consul.ts'
import { alone, type Leadership } from './leadership.ts'
import type { AgentLog } from './log.ts'
import type { AgentPart } from './part.ts'
import { type Election, election } from './stats/leader.ts'
import { type MeshPart, meshPart } from './stats/mesh-part.ts'
import type { KnownAgent, MeshTls } from './stats/other-agents.ts'
import { type Registration, registration } from './stats/registration.ts'
import type { AgentFacts } from './stats/status.ts'

export interface JoinedMesh {
  readonly stats: MeshPart
  readonly leadership: Leadership
  readonly parts: readonly AgentPart[]
}

export interface JoinMeshDeps {
  readonly mesh: AgentDocument['mesh']
  /** Null: this agent registers nowhere, and leads itself. */
  readonly consul: ConsulApi | null
  /** Of keys in Consul. */
  readonly prefix: string
  /** Paths of files are relative to it. */
  readonly base: string
  readonly version: string
  readonly log: AgentLog
  readonly facts: Omit<AgentFacts, 'host' | 'version' | 'address' | 'isLeader'>
}

/** This agent among the others. Throws, for people, where a file of `mesh` cannot be read. */
export function joinMesh({ mesh, consul, prefix, base, version, log, facts }: JoinMeshDeps): JoinedMesh {
  const file = (path: string) => resolve(base, path)
  const host = hostname()
  const listen = mesh.listen === undefined ? null : addressOf(mesh.listen)
  const advertise = mesh.advertise === undefined ? reachedAt(listen, host) : addressOf(mesh.advertise)
  const address = advertise === null ? '' : formatAddress(advertise)
  const tls: MeshTls | null =
    mesh.tls === undefined
      ? null
      : { cert: file(mesh.tls.cert), key: file(mesh.tls.key), ca: file(mesh.tls.ca), name: mesh.tls.name ?? null }
  const registered: Registration | null =
    consul === null ? null : registration({ consul, host, version, advertise, log })
  const elected: Election | null =
    consul === null ? null : election({ consul, name: address || host, key: `${prefix}/leader`, log })
  const leadership = elected ?? alone

  /** Consul's word, and the agent file's; this agent itself is in neither list. */
  function known(): readonly KnownAgent[] {
    const found = registered?.others() ?? []
    const addresses = new Set([address, ...found.map(agent => agent.address)])
    const listed = mesh.agents.filter(each => !addresses.has(each))
    return [...found, ...listed.map(each => ({ host: '', version: '', address: each, isPassing: true }))]
  }

  const stats = meshPart({
    facts: { ...facts, host, version, address, isLeader: leadership.isLeader },
    known,
    tls,
    listen,
    log,
  })
  return {
    stats,
    leadership,
    parts: [
      stats,
      {
        name: 'mesh',
        register: () => {},
        async start() {
          registered?.start()
          elected?.start()
        },
        async stop() {
          await Promise.all([registered?.stop(), elected?.stop()])
        },
      },
    ],
  }
}

function reachedAt(listen: ReturnType<typeof addressOf> | null, host: string) {
  if (listen === null) return null
  return isWildcard(listen.address) ? { address: host, port: listen.port } : listen
}
