import * as z from 'zod'
import type { Located, Say } from './located.ts'
import { nodeAt } from './located.ts'
import { textAt } from './look.ts'
import { anyText, label, setting, text } from './values.ts'

/** How to reach Consul: the same keys in a sidecar file (`discovery.consul`) and in an agent file (`consul`). */
export const consulAccess = (rights: string) => ({
  address: setting(
    text(
      /^https?:\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?\/?$/,
      'a URL',
      'http://host:port or https://host:port',
    ).default('http://127.0.0.1:8500'),
    'The HTTP API of the Consul agent.',
    'every host has an agent',
  ),
  token: setting(anyText('a token').optional(), `The ACL token: it needs ${rights}.`).meta({ secret: true }),
  tokenFile: setting(anyText('a file').optional(), 'A file with the token, read again when it changes.'),
  datacenter: setting(label('a datacenter').optional(), 'Without it: that of the agent.'),
  tls: setting(
    z
      .strictObject({
        ca: setting(anyText('a file').optional(), 'CA certificates (PEM) of Consul. Without it: those of the system.'),
        cert: setting(anyText('a file').optional(), 'The client certificate (PEM), where Consul asks for one.'),
        key: setting(anyText('a file').optional(), 'Its key (PEM).'),
        serverName: setting(
          anyText('a name').optional(),
          'The name in the certificate of Consul. Without it: the host of `address`.',
        ),
      })
      .prefault({}),
    'For an https address.',
  ),
})

/** Checks of these keys that concern several. */
export function checkConsulAccess(consul: Located, say: Say): void {
  const token = nodeAt(consul, ['token'])
  if (token !== null && nodeAt(consul, ['tokenFile']) !== null)
    say(token.at, 'token and tokenFile exclude each other: remove one')
  const cert = nodeAt(consul, ['tls', 'cert'])
  const key = nodeAt(consul, ['tls', 'key'])
  if ((cert === null) !== (key === null))
    say((cert ?? key)!.at, `a certificate and its key go together: add tls.${cert === null ? 'cert' : 'key'}`)
  const tls = nodeAt(consul, ['tls'])
  const address = textAt(consul, ['address'])
  if (tls !== null && !address?.value.startsWith('https:'))
    say(tls.at, 'tls needs an https address: write address: https://host:8501')
}
