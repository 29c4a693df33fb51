import { text } from '../values.ts'

/** Of a sidecar file: how the agent of this host is reached. */
export const agentAddress = text(
  /^(off|unix:\/[^\0]{1,106})$/,
  'an address of an agent',
  'unix:/path/to/agent.sock, or off; agents elsewhere (host:port) are not supported in this version',
)
