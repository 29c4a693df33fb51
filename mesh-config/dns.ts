import * as z from 'zod'
import { parsePrefix64, parseRange } from './address-range.ts'
import { usualPorts } from './usual-ports.ts'
import { duration, listenAddress, nameServer, setting, text } from './values.ts'

/** The name server of a sidecar file (sidecar.ts): virtual addresses for the names of services. */

const LARGEST = 2 ** 24
const SMALLEST = 2 ** 8

/** The texts a check of our own accepts, as a pattern for editors. */
const range = text(
  /^(?:\d{1,3}\.){3}\d{1,3}\/(?:8|9|1\d|2[0-4])$/,
  'a range of addresses',
  'a range such as 240.64.0.0/10, from /8 to /24',
).superRefine((input, context) => {
  if (typeof input !== 'string' || context.issues.length > 0) return
  const parsed = parseRange(input)
  if (parsed !== null && parsed.size >= SMALLEST && parsed.size <= LARGEST) return
  const wrong = {
    what: '{value} is not a range of addresses',
    fix: 'write its first address and a length, such as 240.64.0.0/10',
  }
  context.addIssue({ code: 'custom', params: { wrong } })
})

const prefix = text(
  /^(?:auto|off|fd[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{1,4}){0,3}::\/64)$/,
  'a prefix of IPv6 addresses',
  'auto, off, or a unique local prefix such as fd12:3456:789a:1::/64',
).superRefine((input, context) => {
  if (typeof input !== 'string' || context.issues.length > 0) return
  if (input === 'auto' || input === 'off' || parsePrefix64(input) !== null) return
  const wrong = { what: '{value} is not a unique local prefix', fix: 'write one such as fd12:3456:789a:1::/64' }
  context.addIssue({ code: 'custom', params: { wrong } })
})

export const dns = z.strictObject({
  listen: setting(
    listenAddress().default(`127.0.0.1:${usualPorts.dns}`),
    'The address of the name server, UDP and TCP.',
    'the port that redirect rules send queries to; on loopback no other machine can use it to flood a third one',
  ),
  remote: setting(
    z.boolean().default(false),
    'Allows `listen` to be an address that other machines reach. Answers over UDP then have 1,232 bytes at most, and longer ones need TCP.',
    'a name server open to a network answers forged senders, too: say so only where a firewall stands in front',
  ),
  servers: setting(
    z.array(nameServer()).max(8).default([]),
    'The name servers that other names are forwarded to, as `address:port`, in this order. Without them: those of /etc/resolv.conf, which is read again when it changes.',
    'the sidecar sees what the application would see without it',
  ),
  domain: setting(
    text(
      /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
      'a domain',
      'small letters, digits and -, such as mesh or mesh.internal',
      input => input.toLowerCase().replace(/^\.|\.$/g, ''),
    ).default('mesh'),
    'The domain that is answered here and nowhere else: `orders.mesh` is the service `orders`.',
    'a name that no search domain and no other name server knows',
  ),
  addresses: setting(
    range.default('240.64.0.0/10'),
    'Where virtual IPv4 addresses come from.',
    'of the reserved class E: no host can have one of these, and none of these is given by Istio (240.240.0.0/16) or Consul (from 240.0.0.1 on)',
  ),
  ipv6: setting(
    prefix.default('auto'),
    'Where virtual IPv6 addresses come from: a unique local prefix of 64 bits, `auto` (fd6f:7574:7269:6767::/64 where this machine has IPv6), or `off`.',
    'a machine without IPv6 would try an address it cannot reach first',
  ),
  ttl: setting(
    duration('none').default('30s'),
    'How long a client may keep a virtual address.',
    'addresses hardly ever change, and a client asks again soon when a service has appeared',
  ),
  timeout: setting(
    duration('refused').default('4s'),
    'How long a forwarded query may take: SERVFAIL after that. The next name server is asked after a quarter of it.',
    'less than the 5 s after which the resolver of glibc gives up',
  ),
  queries: setting(
    z.int().min(1).max(50_000).default(1_000),
    'Queries that wait for an answer at a time. A further one ends the oldest of the client that has the most.',
    'each has a socket of its own; a busy application has a few dozen',
  ),
  perClient: setting(
    z.int().min(1).max(50_000).default(200),
    'The same for each client (address and port, or connection).',
    'a client that floods has a fifth of the room',
  ),
  connections: setting(
    z.int().min(1).max(10_000).default(100),
    'TCP connections of clients at a time; a further one closes the one that has been idle the longest.',
    'TCP is for the rare long answer',
  ),
})
