import { renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type DevFile, GATEWAY } from '../mesh-config/dev/load-dev-file.ts'
import type { Plan, PlannedInstance, SidecarPorts } from './plan.ts'

/** The files of the sidecars and of the agent: JSON, which is YAML too. Each is one that a user could have written. */

export const agentSocket = (folder: string) => join(folder, 'agent.sock')

export function agentFile(dev: DevFile, plan: Plan, folder: string, base: string): string {
  return text({
    listen: `unix:${agentSocket(folder)}`,
    state: join(folder, 'agent'),
    admin: local(plan.agentAdmin),
    policies: { folder: resolve(base, dev.policies) },
    ...(dev.traces.export === undefined ? {} : { traces: { export: dev.traces.export } }),
  })
}

export function sidecarFile(dev: DevFile, plan: Plan, folder: string, instance: PlannedInstance): string {
  const { name, service, ports } = instance
  return text({
    service: service.name,
    ...shared(dev, folder, name, ports),
    inbound: [
      {
        listen: local(ports.inbound),
        forward: local(ports.app),
        ...(service.protocol === 'http' ? {} : { application: { protocol: service.protocol } }),
      },
    ],
    ...outbound(dev, plan, ports),
  })
}

/** The way in from outside: for browsers and curl. */
export function gatewayFile(dev: DevFile, plan: Plan, folder: string): string {
  return text({ service: GATEWAY, ...shared(dev, folder, GATEWAY, plan.gateway), ...outbound(dev, plan, plan.gateway) })
}

function shared(dev: DevFile, folder: string, name: string, { admin }: SidecarPorts): object {
  return {
    admin: local(admin),
    agent: `unix:${agentSocket(folder)}`,
    state: join(folder, name),
    traces: { sample: dev.traces.sample },
    // Whoever presses Ctrl-C waits for it, and whoever edits a file for the restart.
    drain: { delay: '0s', timeout: '2s' },
  }
}

function outbound(dev: DevFile, { instances }: Plan, ports: SidecarPorts): object {
  const at = (service: string) =>
    instances.filter(instance => instance.service.name === service).map(({ ports }) => local(ports.inbound))
  return {
    outbound: [
      { listen: local(ports.outbound) },
      ...dev.services.map(({ name }) => ({ listen: local(ports.to[name]!), service: name })),
    ],
    discovery: { endpoints: Object.fromEntries(dev.services.map(({ name }) => [name, at(name)])) },
    services: Object.fromEntries(
      dev.services.map(({ name, protocol, policy }) => [
        name,
        { ...(protocol === 'http' ? {} : { protocol }), ...(policy as object | null) },
      ]),
    ),
  }
}

const local = (port: number) => `127.0.0.1:${port}`
const text = (document: object) => `${JSON.stringify(document, null, 2)}\n`

/** Replaced in one step: a reader sees the old file or the new one. */
export function writeWhole(file: string, content: string): void {
  writeFileSync(`${file}.new`, content, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}
