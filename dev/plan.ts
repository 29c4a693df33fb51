import { type DevFile, type DevService, GATEWAY } from '../mesh-config/dev/load-dev-file.ts'

/** What runs where. */

export interface PlannedInstance {
  /** `orders-1`. */
  readonly name: string
  readonly service: DevService
  readonly ports: SidecarPorts & {
    /** The application's own. */
    readonly app: number
    /** Where other sidecars call it. */
    readonly inbound: number
  }
}

export interface SidecarPorts {
  readonly admin: number
  /** Any service, by Host. */
  readonly outbound: number
  /** One service each. */
  readonly to: Readonly<Record<string, number>>
}

export interface Plan {
  readonly instances: readonly PlannedInstance[]
  readonly gateway: SidecarPorts
  readonly agentAdmin: number
}

/** The same key gets the same port again. */
export type PortOf = (key: string) => number

/** The keys of all ports that are not written in the file. */
export function portKeys(dev: DevFile): string[] {
  const keys: string[] = []
  planOf(dev, key => {
    keys.push(key)
    return 1
  })
  return keys
}

export function planOf(dev: DevFile, portOf: PortOf): Plan {
  const names = dev.services.map(({ name }) => name)
  const sidecar = (owner: string, fixed: Readonly<Record<string, number | undefined>> = {}): SidecarPorts => ({
    admin: portOf(`${owner} admin`),
    outbound: portOf(`${owner} outbound`),
    to: Object.fromEntries(names.map(name => [name, fixed[name] ?? portOf(`${owner} to ${name}`)])),
  })
  const instances = dev.services.flatMap(service =>
    Array.from({ length: service.instances }, (_, index): PlannedInstance => {
      const name = `${service.name}-${index + 1}`
      const app = service.port === undefined ? portOf(`${name} app`) : service.port + index
      return { name, service, ports: { app, inbound: portOf(`${name} inbound`), ...sidecar(name) } }
    }),
  )
  const published = Object.fromEntries(dev.services.map(({ name, publish }) => [name, publish]))
  return { instances, gateway: sidecar(GATEWAY, published), agentAdmin: portOf('agent admin') }
}

export function instancesOf({ instances }: Plan, service: string): readonly PlannedInstance[] {
  return instances.filter(instance => instance.service.name === service)
}
