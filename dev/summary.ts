import type { DevFile } from '../mesh-config/dev/load-dev-file.ts'
import type { Mesh } from './mesh.ts'
import { aligned, type Colours } from './output.ts'

/** Where everything is: what one copies into a browser or a shell. */
export function summary(dev: DevFile, mesh: Mesh, colours: Colours, about: { readonly policies: string }): string {
  const { instances, gateway, agentAdmin } = mesh.plan()
  const services = dev.services.map(({ name, protocol }) => [
    name,
    `${protocol === 'tcp' ? 'tcp' : 'http'}://127.0.0.1:${gateway.to[name]}`,
  ])
  const rows = instances.map(({ name, ports }) => [
    name,
    mesh.stateOf(name),
    String(ports.app),
    `http://127.0.0.1:${ports.outbound}`,
    `http://127.0.0.1:${ports.admin}`,
  ])
  const own = ['gateway', 'ready', '-', `http://127.0.0.1:${gateway.outbound}`, `http://127.0.0.1:${gateway.admin}`]
  const facts = [
    ['agent', `http://127.0.0.1:${agentAdmin}`],
    ['policies', `${about.policies} (an edit is in force at once)`],
    ['traces', traces(dev)],
  ]
  return `
${aligned([['SERVICE', 'CALL IT AT'], ...services], colours)}
${aligned([['INSTANCE', 'STATE', 'APP PORT', 'SIDECAR', 'ADMIN PAGE'], ...rows, own], colours)}
${facts.map(([name, value]) => `${colours.bold(name!.padEnd(9))} ${value}\n`).join('')}
`
}

function traces({ traces }: DevFile): string {
  const to = traces.export ?? process.env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? process.env.OTEL_EXPORTER_OTLP_ENDPOINT
  return to === undefined || to === '' || to === 'off'
    ? 'nowhere: write traces: { export: http://127.0.0.1:4318 }'
    : `${traces.sample} % to ${to}`
}
