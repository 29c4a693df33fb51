import { type Instance, instancesOf, type Plan, services } from './plan.ts'

export interface FileOptions {
  /** Off: every failed attempt is a failed request, which is what `--no-retries` is there to show. */
  readonly retries: boolean
  readonly split: Split
  /** Of all files of the demo: what a sidecar keeps is kept there too. */
  readonly folder: string
  /** The socket of the demo's agent; null: there is none. */
  readonly agent: string | null
}

export interface Split {
  readonly v1: number
  readonly v2: number
}

/** The sidecar file of one instance, written to be read. */
export function sidecarFile(plan: Plan, instance: Instance, options: FileOptions): string {
  const { name, service, ports } = instance
  const { calls, protocol } = services[service]!
  const names = calls.map(call => `http://${call}/`).join(', ')
  return `# The sidecar beside ${name}. Edit it while the demo runs: a valid change is taken up at once, an invalid one is told in ${name}.sidecar.log and ignored.
service: ${service}
admin: 127.0.0.1:${ports.admin}
inbound:
  - listen: 127.0.0.1:${ports.inbound}     # the sidecars of callers connect here
    forward: 127.0.0.1:${ports.app}    # the application${protocol === 'http' ? '' : `\n    application: { protocol: ${protocol} }`}
outbound:
  - listen: 127.0.0.1:${ports.outbound}     # the application calls ${names || 'nobody, but could call others'} here
drain: { delay: 0s, timeout: 2s }
${recorded(options.agent)}${plan.consul === null ? '' : inConsul(plan.consul, instance, options.folder)}${calls.length === 0 ? '' : `${plan.consul === null ? endpoints(plan, calls) : ''}services:\n${calls.map(call => policy(plan, call, options)).join('')}`}`
}

/** An agent that happens to be on this machine has policies of its own: the demo is not its business. */
function recorded(agent: string | null): string {
  return agent === null
    ? 'agent: off\n'
    : `agent: unix:${agent}\ntraces: { sample: 100 }     # percent: all of them, because this is a demo\n`
}

/** No address of a peer: the sidecar says where it is, and finds the others in the same place. */
function inConsul(port: number, { name, version }: Instance, folder: string): string {
  return `discovery:
  consul: { address: "http://127.0.0.1:${port}" }
register:
  id: ${name}
  address: 127.0.0.1${version === null ? '' : `\n  meta: { version: ${version} }`}
  check: { ttl: 3s }        # killed, it is out of everybody's list after three seconds; drained, at once
state: ${folder}/${name}.state
`
}

function endpoints(plan: Plan, calls: readonly string[]): string {
  const list = (service: string) =>
    instancesOf(plan, service).map(({ ports, version }) => {
      const address = `127.0.0.1:${ports.inbound}`
      return `      - ${version === null ? address : `{ address: ${address}, meta: { version: ${version} } }`}\n`
    })
  return `discovery:\n  endpoints:\n${calls.map(call => `    ${call}:\n${list(call).join('')}`).join('')}`
}

function policy(plan: Plan, service: string, { retries, split }: FileOptions): string {
  const versions = instancesOf(plan, service).some(({ version }) => version !== null)
  const { protocol } = services[service]!
  return `  ${service}:${protocol === 'http' ? '' : `\n    protocol: ${protocol}`}
    balancer: { type: least_request }
    timeouts: { connect: 5s, request: 30s }
    retries: { attempts: ${retries ? 2 : 1}, on: [connect-failure, refused-stream, reset-before-response] }
    outliers: { consecutiveGatewayFailures: 3, baseEjection: 1500ms, maxEjection: 6s }
${versions ? `    subsets: { v1: { version: v1 }, v2: { version: v2 } }\n    routes:\n      - to: ${splitList(split)}\n` : ''}`
}

function splitList({ v1, v2 }: Split): string {
  return `[ { subset: v1, weight: ${v1} }, { subset: v2, weight: ${v2} } ]`
}

/** The same file with another split: what one would do in an editor. */
export function withSplit(file: string, split: Split): string {
  return file.replace(/\[ \{ subset: v1, weight: \d+ \}, \{ subset: v2, weight: \d+ \} \]/, splitList(split))
}
