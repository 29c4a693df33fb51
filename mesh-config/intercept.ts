import { isIP } from 'node:net'
import * as z from 'zod'
import { cidrPattern, wrongCidr } from './cidr.ts'
import { portRangePattern, wrongPorts } from './port-range.ts'
import { sidecarUser } from './usual-ports.ts'
import { checked, setting } from './values.ts'

/**
 * The `intercept` of a sidecar file (sidecar.ts): which connections `outrigger intercept up` redirects to the
 * transparent listeners. The proxy itself reads none of it.
 */

const MOST = 500

const ports = () =>
  z
    .array(
      checked<string | number>(wrongPorts, {
        kind: 'port',
        type: ['string', 'integer'],
        pattern: portRangePattern,
        minimum: 1,
        maximum: 65_535,
        examples: [443, '8000-8010'],
      }),
    )
    .max(MOST)

const cidrs = () =>
  z.array(checked(wrongCidr, { kind: 'CIDR', pattern: cidrPattern, examples: ['10.0.0.0/8', 'fd00::/8'] })).max(MOST)

const ids = () => z.array(z.int().min(0).max(4_294_967_294)).max(MOST)

const nameServerAddress = checked(
  input =>
    typeof input === 'string' && isIP(input) !== 0
      ? null
      : {
          what: '{value} is not the address of a name server',
          fix: 'write an IP address such as 10.0.0.2',
          otherForm: typeof input === 'object',
        },
  { kind: 'IP address', pattern: '^[0-9A-Fa-f:.]+$', examples: ['10.0.0.2', 'fd00::2'] },
)

const outbound = {
  skipPorts: setting(
    ports().default([]),
    'Connections to these ports go past the sidecar.',
    'the sidecar passes on what it does not know; leave out what must not depend on it',
  ),
  skipCidrs: setting(cidrs().default([]), 'Connections to these addresses go past the sidecar.', 'as with skipPorts'),
  onlyPorts: setting(
    ports().default([]),
    'Redirects connections to these ports and no others. Virtual addresses are redirected all the same. Empty: every port.',
    'what is not listed would go without balancing, retries and traces, unseen',
  ),
  onlyCidrs: setting(
    cidrs().default([]),
    'Redirects connections to these addresses and no others; with `onlyPorts`, both must hold. Virtual addresses are redirected all the same. Empty: every address.',
    'as with onlyPorts',
  ),
}

const inbound = {
  skipPorts: setting(
    ports().default([22]),
    'Connections to these ports go to the application directly. The own ports of the sidecar always do: admin, metrics, DNS and every listener.',
    'the way in to repair a machine must not lead through the sidecar',
  ),
  skipCidrs: setting(
    cidrs().default([]),
    'Connections from these addresses go to the application directly.',
    'each caller is subject to the same limits and is seen in the same metrics',
  ),
  onlyPorts: setting(
    ports().default([]),
    'Redirects connections to these ports and no others. Empty: every port.',
    'in a pod all ports are those of the application; on a machine with other servers list the ports of the application',
  ),
}

const exclude = {
  users: setting(
    ids().default([]),
    'Connections of these user ids are not redirected, besides those of `user`.',
    'a local name server or an agent of monitoring may need to bypass the sidecar; nothing else does',
  ),
  groups: setting(ids().default([]), 'The same for group ids.', 'as with users'),
  interfaces: setting(
    z
      .array(
        checked(
          input =>
            typeof input === 'string' && /^[A-Za-z0-9_.@:-]{1,15}$/.test(input)
              ? null
              : { what: '{value} is not a network interface', fix: 'write a name such as docker0' },
          { kind: 'interface', pattern: '^[A-Za-z0-9_.@:-]{1,15}$' },
        ),
      )
      .max(MOST)
      .default([]),
    'Connections through these network interfaces are not redirected, in either direction.',
    'a machine has one network as a rule',
  ),
}

export const intercept = z.strictObject({
  user: setting(
    z.int().min(0).max(4_294_967_294).default(sidecarUser),
    'The user id that the sidecar runs as. Its own connections are never redirected: they would come back to it without end.',
    'as in Istio; no usual package creates this user',
  ),
  group: setting(
    z.int().min(0).max(4_294_967_294).default(sidecarUser),
    'The same for the group id.',
    'the same number as the user',
  ),
  outbound: setting(z.strictObject(outbound).prefault({}), 'Which connections of the application are redirected.'),
  inbound: setting(z.strictObject(inbound).prefault({}), 'Which connections to the application are redirected.'),
  exclude: setting(z.strictObject(exclude).prefault({}), 'What is never redirected.'),
  dnsServers: setting(
    z.union([z.enum(['resolv.conf', 'all']), z.array(nameServerAddress).min(1).max(MOST)]).default('resolv.conf'),
    'Where `dns.listen` is set: queries to these name servers are redirected to it, over UDP and TCP. `resolv.conf`: those in /etc/resolv.conf when the rules are set; `all`: any.',
    'queries of a local name server (systemd-resolved, dnsmasq) to others are not redirected; with `all` they would come back to it without end unless its user is excluded',
  ),
})

/** Every default filled in, values as written. */
export type InterceptDocument = z.output<typeof intercept>
