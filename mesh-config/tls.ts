import * as z from 'zod'
import { anyText, setting } from './values.ts'

/** TLS: of connections to the endpoints of a service (service.ts), and of callers (listeners.ts). */

const versions = z.enum(['1.2', '1.3']).default('1.2')
const versionReason = 'programs outside of the mesh are known that have no 1.3; older versions are broken (RFC 8996)'

const upstream = z.strictObject({
  ca: setting(
    anyText('a file').optional(),
    'CA certificates (PEM) that the certificates of endpoints are verified with. Without it: those of the system.',
  ),
  cert: setting(anyText('a file').optional(), 'The client certificate (PEM), where endpoints ask for one.'),
  key: setting(anyText('a file').optional(), 'Its key (PEM).'),
  serverName: setting(
    anyText('a name').optional(),
    'The name in the certificate of endpoints, which they are also asked for (SNI); or a URI that must be in it, such as a SPIFFE ID. Without it: the host of their address.',
  ),
  minVersion: setting(versions, 'The oldest version of TLS that is spoken.', versionReason),
})

/** `tls: on` is a map without settings. */
export const upstreamTls = setting(
  z.union([z.literal('on').transform(() => upstream.parse({})), upstream]).optional(),
  'TLS to the endpoints: `on`, or a map. HTTP/2 is spoken with those that agree to it (ALPN), unless `protocol` says otherwise. The files are read again when they change. Without it: none.',
)

export const downstreamTls = setting(
  z
    .strictObject({
      cert: setting(anyText('a file'), 'The certificate (PEM), and behind it those that issued it.'),
      key: setting(anyText('a file'), 'Its key (PEM).'),
      clientCa: setting(
        anyText('a file').optional(),
        'CA certificates (PEM) of callers: a caller without a certificate of one of them is refused. Without it: callers are not asked for one.',
      ),
      mode: setting(
        z.enum(['strict', 'permissive']).default('strict'),
        '`strict`: callers that speak no TLS are refused. `permissive`: they are served as well, and counted.',
        'a port that is meant to be safe should be; `permissive` is for the time in which callers change over',
      ),
      minVersion: setting(versions, 'The oldest version of TLS that is spoken.', versionReason),
    })
    .optional(),
  'Callers speak TLS, and HTTP/2 where they agree to it (ALPN). The files are read again when they change. Without it: they do not.',
)
