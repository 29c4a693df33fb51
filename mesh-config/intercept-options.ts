/**
 * The options of `outrigger intercept` that stand for a setting of the sidecar file, under the name that annotations of
 * pods have too. An option replaces the setting as a whole.
 */
export interface InterceptOption {
  /** `skip-outbound-ports`. */
  readonly name: string
  /** The path of the setting under `intercept`. */
  readonly at: readonly string[]
  readonly kind: 'ports' | 'cidrs' | 'ids' | 'id' | 'names' | 'servers'
  readonly help: string
}

export const interceptOptions: readonly InterceptOption[] = [
  {
    name: 'skip-outbound-ports',
    at: ['outbound', 'skipPorts'],
    kind: 'ports',
    help: 'connections to these ports go past the sidecar',
  },
  {
    name: 'skip-outbound-cidrs',
    at: ['outbound', 'skipCidrs'],
    kind: 'cidrs',
    help: 'connections to these addresses go past the sidecar',
  },
  {
    name: 'only-outbound-ports',
    at: ['outbound', 'onlyPorts'],
    kind: 'ports',
    help: 'redirect connections to these ports and no others',
  },
  {
    name: 'only-outbound-cidrs',
    at: ['outbound', 'onlyCidrs'],
    kind: 'cidrs',
    help: 'redirect connections to these addresses and no others',
  },
  {
    name: 'skip-inbound-ports',
    at: ['inbound', 'skipPorts'],
    kind: 'ports',
    help: 'connections to these ports go to the application directly (default: 22)',
  },
  {
    name: 'skip-inbound-cidrs',
    at: ['inbound', 'skipCidrs'],
    kind: 'cidrs',
    help: 'connections from these addresses go to the application directly',
  },
  {
    name: 'only-inbound-ports',
    at: ['inbound', 'onlyPorts'],
    kind: 'ports',
    help: 'redirect connections to these ports of this machine and no others',
  },
  {
    name: 'skip-users',
    at: ['exclude', 'users'],
    kind: 'ids',
    help: 'connections of these user ids are not redirected',
  },
  {
    name: 'skip-groups',
    at: ['exclude', 'groups'],
    kind: 'ids',
    help: 'connections of these group ids are not redirected',
  },
  {
    name: 'skip-interfaces',
    at: ['exclude', 'interfaces'],
    kind: 'names',
    help: 'connections through these network interfaces are not redirected',
  },
  {
    name: 'dns-servers',
    at: ['dnsServers'],
    kind: 'servers',
    help: 'redirect queries to these name servers: addresses, resolv.conf (the default) or all',
  },
  { name: 'user', at: ['user'], kind: 'id', help: 'the user id that the sidecar runs as (default: 1337)' },
  { name: 'group', at: ['group'], kind: 'id', help: 'the group id that the sidecar runs as (default: 1337)' },
]
