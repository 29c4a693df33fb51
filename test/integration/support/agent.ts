import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, node, root, startChild, temporaryFolder } from './child.ts'

export interface RunningAgent extends Child {
  readonly socket: string
}

/** The agent of a host, as users start it, with its file (JSON is YAML) and state in a folder of its own. */
export async function startPolicyAgent(config: Readonly<Record<string, unknown>>): Promise<RunningAgent> {
  const folder = temporaryFolder()
  const file = join(folder, 'agent.yaml')
  const socket = join(folder, 'agent.sock')
  writeFileSync(
    file,
    JSON.stringify({ listen: `unix:${socket}`, state: join(folder, 'state'), admin: 'off', ...config }),
  )
  const child = startChild(node, [join(root, 'bin/outrigger.js'), 'agent', '-c', file])
  await child.said('that it is ready', out => out.includes('ready on unix:'))
  return { ...child, socket }
}
