import type { Located, Say } from './located.ts'
import { checkRegistryAccess, registryAddress, registryTls } from './registry-access.ts'
import { anyText, label, setting } from './values.ts'

/** How to reach Consul: the same keys in a sidecar file (`discovery.consul`) and in an agent file (`consul`). */
export const consulAccess = (rights: string) => ({
  address: setting(
    registryAddress('http://host:port or https://host:port').default('http://127.0.0.1:8500'),
    'The HTTP API of the Consul agent.',
    'every host has an agent',
  ),
  token: setting(anyText('a token').optional(), `The ACL token: it needs ${rights}.`).meta({ secret: true }),
  tokenFile: setting(anyText('a file').optional(), 'A file with the token, read again when it changes.'),
  datacenter: setting(label('a datacenter').optional(), 'Without it: that of the agent.'),
  tls: registryTls('Consul', 'Without it: those of the system.'),
})

/** Checks of these keys that concern several. */
export function checkConsulAccess(consul: Located, say: Say): void {
  checkRegistryAccess(consul, { isSecure: false, secure: 'https://host:8501' }, say)
}
