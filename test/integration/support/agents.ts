import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, node, root, temporaryFolder } from './child.ts'
import type { CertificateFiles } from './mesh-certificates.ts'
import { freePort } from './ports.ts'
import type { Host } from './two-hosts.ts'

export interface Agent {
  readonly socket: string
  /** Where other agents reach it. */
  readonly address: string
  child: Child
  /** With the same files and state. */
  start(): Promise<void>
}

export interface AgentOptions {
  readonly host: Host
  readonly certificates: CertificateFiles
  /** The address of Consul. */
  readonly consul: string
  /** More lines of the agent file. */
  readonly more?: string
  /** Policy documents in its folder, by service. */
  readonly documents?: Readonly<Record<string, string>>
}

/** `outrigger agent` from the sources, that other agents reach by mutual TLS. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { host, certificates: files, consul, more = '', documents = {} } = options
  const folder = temporaryFolder()
  const port = await freePort()
  const socket = join(folder, 'agent.sock')
  const file = join(folder, 'agent.yaml')
  mkdirSync(join(folder, 'policies'))
  for (const [service, text] of Object.entries(documents)) writeFileSync(join(folder, `policies/${service}.yaml`), text)
  writeFileSync(
    file,
    `listen: unix:${socket}\nadmin: off\nstate: ${folder}/state\nconsul: { address: "${consul}" }\n${more}\n` +
      `mesh:\n  listen: ${host.address}:${port}\n  tls: { ca: ${files.ca}, cert: ${files.cert}, key: ${files.key} }\n`,
  )
  const own: Agent = {
    socket,
    address: `${host.address}:${port}`,
    child: undefined as unknown as Child,
    async start() {
      own.child = host.start(node, [join(root, 'cli/main.ts'), 'agent', '-c', file])
      await own.child.said('ready', out => out.includes('ready'))
    },
  }
  await own.start()
  return own
}
