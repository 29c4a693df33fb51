import * as z from 'zod'
import { checkCertificatePair } from './cross-check-tls.ts'
import type { Located, Say } from './located.ts'
import { nodeAt } from './located.ts'
import { textAt } from './look.ts'
import { anyText, setting, text } from './values.ts'

/** What the ways to Consul and to the API server of Kubernetes have in common. */

export function registryAddress(example: string) {
  return text(/^https?:\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?\/?$/, 'a URL', example)
}

export function registryTls(server: string, withoutCa: string) {
  return setting(
    z
      .strictObject({
        ca: setting(anyText('a file').optional(), `CA certificates (PEM) of ${server}. ${withoutCa}`),
        cert: setting(anyText('a file').optional(), `The client certificate (PEM), where ${server} asks for one.`),
        key: setting(anyText('a file').optional(), 'Its key (PEM).'),
        serverName: setting(
          anyText('a name').optional(),
          `The name in the certificate of ${server}. Without it: the host of \`address\`.`,
        ),
      })
      .prefault({}),
    'For an https address.',
  )
}

/**
 * Checks of these keys that concern several. `isSecure`: what an address that is not given is; `secure`: one with TLS.
 */
export function checkRegistryAccess(
  registry: Located,
  { isSecure, secure }: { readonly isSecure: boolean; readonly secure: string },
  say: Say,
): void {
  const token = nodeAt(registry, ['token'])
  if (token !== null && nodeAt(registry, ['tokenFile']) !== null)
    say(token.at, 'token and tokenFile exclude each other: remove one')
  const tls = nodeAt(registry, ['tls'])
  checkCertificatePair(tls, 'tls', say)
  const address = textAt(registry, ['address'])
  if (tls !== null && !(address?.value.startsWith('https:') ?? isSecure))
    say(tls.at, `tls needs an https address: write address: ${secure}`)
}
