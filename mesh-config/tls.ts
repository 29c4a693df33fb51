import * as z from 'zod'
import { anyText, setting } from './values.ts'

/** TLS to the endpoints of a service (service.ts). `tls: on` is a map without settings. */
const settings = {
  ca: setting(
    anyText('a file').optional(),
    'CA certificates (PEM) that the certificates of endpoints are verified with. Without it: those of the system.',
  ),
  cert: setting(anyText('a file').optional(), 'The client certificate (PEM), where endpoints ask for one.'),
  key: setting(anyText('a file').optional(), 'Its key (PEM).'),
  serverName: setting(
    anyText('a name').optional(),
    'The name in the certificate of endpoints, which they are also asked for (SNI). Without it: the host of their address.',
  ),
  minVersion: setting(
    z.enum(['1.2', '1.3']).default('1.2'),
    'The oldest version of TLS that is spoken.',
    'servers outside of the mesh are known that have no 1.3; older versions are broken (RFC 8996)',
  ),
}

const map = z.strictObject(settings)

export const upstreamTls = setting(
  z.union([z.literal('on').transform(() => map.parse({})), map]).optional(),
  'TLS to the endpoints: `on`, or a map. HTTP/2 is spoken with those that agree to it (ALPN), unless `protocol` says otherwise. The files are read again when they change. Without it: none.',
)
