import type { JaegerPorts } from '../../support/jaeger.ts'

/** What stands where: services, their instances, and the ports of each. */

export interface Instance {
  readonly name: string
  readonly service: string
  /** Null: the service has only one. */
  readonly version: string | null
  readonly ports: {
    /** The application; only its own sidecar connects to it. */
    readonly app: number
    /** Its sidecar: where the sidecars of callers connect, where the application calls others, and the admin port. */
    readonly inbound: number
    readonly outbound: number
    readonly admin: number
  }
}

export interface Plan {
  readonly instances: readonly Instance[]
  /**
   * The HTTP API of the demo's Consul; the three ports after it are its own too. Null: the sidecar files list who there
   * is.
   */
  readonly consul: number | null
  /** Of the demo's Jaeger; null: there is none. */
  readonly jaeger: JaegerPorts | null
}

interface ServicePlan {
  readonly protocol: 'http' | 'grpc'
  readonly calls: readonly string[]
  /** One for each instance. */
  readonly versions: readonly (string | null)[]
}

/** In the order in which they are shown. */
export const services: Readonly<Record<string, ServicePlan>> = {
  web: { protocol: 'http', calls: ['orders', 'payments'], versions: [null] },
  orders: { protocol: 'http', calls: ['stock', 'prices'], versions: [null, null, null] },
  stock: { protocol: 'http', calls: [], versions: [null, null] },
  prices: { protocol: 'grpc', calls: [], versions: [null, null] },
  payments: { protocol: 'http', calls: [], versions: ['v1', 'v1', 'v2'] },
}

/** The split of payments at the start, in percent. */
export const usualSplit = { v1: 90, v2: 10 } as const

const PORTS_EACH = 10
const parts = ['app', 'inbound', 'outbound', 'admin'] as const
const count = Object.values(services).reduce((sum, { versions }) => sum + versions.length, 0)

/** Behind those of the instances. */
const CONSUL = PORTS_EACH * count
const consulOffsets = [0, 1, 2, 3].map(offset => CONSUL + offset)
/** Between those of the first instance and of the second. */
const jaegerOffsets = { query: 4, grpc: 5, http: 6, unused: 7 }

/** Which ports of a block the plan uses. */
export const portOffsets: readonly number[] = [
  ...Array.from({ length: count }, (_, index) => parts.map((_, part) => index * PORTS_EACH + part)).flat(),
  ...consulOffsets,
  ...Object.values(jaegerOffsets),
]

export interface Others {
  readonly consul?: boolean
  readonly jaeger?: boolean
}

export function planFrom(base: number, { consul = false, jaeger = false }: Others = {}): Plan {
  const names = Object.entries(services).flatMap(([service, { versions }]) =>
    versions.map((version, index) => ({ service, version, name: `${service}-${index + 1}` })),
  )
  const instances = names.map((about, index) => {
    const first = base + index * PORTS_EACH
    return { ...about, ports: { app: first, inbound: first + 1, outbound: first + 2, admin: first + 3 } }
  })
  const { query, grpc, http, unused } = jaegerOffsets
  return {
    instances,
    consul: consul ? base + CONSUL : null,
    jaeger: jaeger ? { query: base + query, grpc: base + grpc, http: base + http, unused: base + unused } : null,
  }
}

export function instancesOf({ instances }: Plan, service: string): readonly Instance[] {
  return instances.filter(instance => instance.service === service)
}

export function instanceNamed({ instances }: Plan, name: string): Instance {
  const found = instances.find(instance => instance.name === name)
  if (found === undefined) throw new Error(`there is no instance ${name}`)
  return found
}
