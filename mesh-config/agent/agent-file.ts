import * as z from 'zod'
import { anyText, listenAddress, setting } from '../values.ts'
import { consul } from './consul.ts'
import { mesh } from './mesh.ts'
import { policies } from './sources.ts'
import { traces } from './traces.ts'

export const DEFAULT_ADMIN = '127.0.0.1:15005'

/** The agent file: what the agent of this host is. The one source of its types, its validation and its reference. */
export const agentSchema = z.strictObject({
  listen: setting(
    anyText('an address').optional(),
    'The Unix socket for the proxies of this host and the command line, as `unix:/run/outrigger/agent.sock`. Without it: where proxies look.',
  ),
  state: setting(
    anyText('a folder').optional(),
    'The folder for what must outlive the agent. Without it: a folder of its own in the state folder of systemd ($STATE_DIRECTORY), else in that of the user.',
  ),
  admin: setting(
    listenAddress(true).default(DEFAULT_ADMIN),
    'The port for `/metrics`, `/ready` and `/status`; `off`: none. Where another process has the default one, the agent goes on without.',
    'beside 15000, the admin port of a sidecar; only this host reaches it',
  ),
  consul: setting(
    consul.optional(),
    'Consul: documents in its KV, its config entries, and the other agents. Without it: none of these. `consul: {}` is the agent of this host.',
  ),
  policies: setting(policies.prefault({}), 'Where policy documents come from.'),
  traces: setting(traces.prefault({}), 'Spans: which are taken, and where they go.'),
  mesh: setting(mesh.prefault({}), 'The other agents of the mesh.'),
})

/** The agent file with every default filled in, values as written. */
export type AgentDocument = z.output<typeof agentSchema>
