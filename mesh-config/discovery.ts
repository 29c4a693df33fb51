import * as z from 'zod'
import { consulAccess } from './consul-access.ts'
import { kubernetes } from './discovery-kubernetes.ts'
import { consulName } from './register.ts'
import { anyText, duration, label, nameServer, peerAddress, serviceName, setting, text } from './values.ts'
import { MAX_WEIGHT } from './weight.ts'

/** The `discovery` of a sidecar file (sidecar.ts): where the endpoints of each service come from. */

const endpoint = z.strictObject({
  address: setting(peerAddress(), 'host:port.'),
  weight: setting(
    z.int().min(1).max(MAX_WEIGHT).default(1),
    'The share of the requests, relative to the other weights.',
    'equal shares',
  ),
  priority: setting(
    z.int().min(0).max(127).default(0),
    'Failover level: 1 is used when too few of 0 are healthy, and so on.',
    'all endpoints alike',
  ),
  zone: setting(label('a zone').optional(), 'The zone it stands in.'),
  meta: setting(z.record(z.string(), anyText('a value')).default({}), 'Labels, by which subsets choose endpoints.'),
  health: setting(
    z.enum(['passing', 'failing', 'draining']).default('passing'),
    '`failing` is used in panic only, `draining` never.',
    'a listed endpoint is taken to work',
  ),
})

/** A list of endpoints, as in the sidecar file and in endpoint files. */
export const endpointList = z.array(
  z.union([peerAddress().transform(address => endpoint.parse({ address })), endpoint]),
)

const dnsName = text(
  /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?\.?(:\d{1,5})?$/,
  'a DNS name',
  'name:port for A and AAAA records, or a name alone for SRV records',
)

const dnsSource = z.strictObject({
  name: setting(
    dnsName,
    '`name:port`: every A and AAAA record is an endpoint at that port. `name` alone: SRV records, which bring port, weight and priority.',
  ),
  refresh: setting(
    duration('refused').default('30s'),
    'The name is resolved again after the TTL of the answer, at the latest after this.',
    'the usual TTL of cluster DNS: a new endpoint is used within half a minute',
  ),
  servers: setting(z.array(nameServer()).default([]), 'Name servers. Without it: those of the system.'),
  family: setting(
    z.enum(['auto', 'ipv4', 'ipv6', 'all']).default('auto'),
    'Which addresses count. `auto`: those of the families that this machine has addresses of.',
    'a connection to an address of another family only fails',
  ),
})

const consulAddressKinds = z.enum(['service', 'lan', 'wan', 'virtual'])
const datacenter = () => label('a datacenter')

const consulService = z.strictObject({
  name: setting(consulName().optional(), 'Its name in Consul. Without it: the same.'),
  datacenter: setting(datacenter().optional(), 'Its datacenter. Without it: that of `consul`.'),
  tags: setting(z.array(anyText('a tag')).default([]), 'Only instances with all of these tags.'),
  address: setting(consulAddressKinds.optional(), 'Which of its addresses. Without it: as in `consul`.'),
  failover: setting(
    z.array(datacenter()).default([]),
    'Datacenters to go to, in this order, when too few are healthy here: their instances get priority 1, 2, ...',
  ),
})

const consul = z.strictObject({
  ...consulAccess('service:read and node:read, and service:write for what it registers'),
  maxStale: setting(
    duration().default('10s'),
    'Any server may answer, not only the leader, while its data is not older than this. `off`: only the leader.',
    'answers continue while a leader is elected, and most health checks run at longer intervals',
  ),
  wait: setting(
    duration('refused').default('5m'),
    'How long a query waits at Consul for a change, at most 10m; each list is requested at least this often.',
    'the default of Consul',
  ),
  addresses: setting(
    consulAddressKinds.default('service'),
    'Which address of an instance: its own (`service`, else that of its node), or a tagged one: `lan`, `wan`, `virtual`.',
    'a service registers the address where it can be reached',
  ),
  services: setting(
    z.record(serviceName(), consulService).prefault({}),
    'Settings of single services; a service listed here is watched from the start.',
  ),
  onDemand: setting(
    z.boolean().default(true),
    'A service that no file names is looked up in Consul when a request first asks for it.',
    'a service with default settings needs no configuration',
  ),
  firstUse: setting(
    duration('refused').default('2s'),
    'How long that first request waits for the answer: 503 NC after that. A service that Consul does not know is 404 NR.',
    'a healthy Consul answers in milliseconds',
  ),
  idle: setting(
    duration('refused').default('10m'),
    'A service found on demand is forgotten after so long without a request.',
    'longer than most batch jobs pause',
  ),
})

export const discovery = z.strictObject({
  endpoints: setting(
    z.record(serviceName(), endpointList).prefault({}),
    'Fixed endpoints, by service: `host:port`, or a map.',
  ),
  files: setting(
    z.record(serviceName(), anyText('a file')).prefault({}),
    'Files with endpoints, by service: a list as under `endpoints`, in JSON or YAML, or the file_sd format of Prometheus. Read again when they change.',
  ),
  dns: setting(
    z.record(serviceName(), z.union([dnsName.transform(name => dnsSource.parse({ name })), dnsSource])).prefault({}),
    'DNS names, by service: `name:port` for A and AAAA records, `name` for SRV, or a map.',
  ),
  consul: setting(
    consul.optional(),
    'Endpoints from Consul: for every service that the files name without another source, and for others on demand.',
  ),
  kubernetes: setting(
    kubernetes.optional(),
    'Endpoints from Kubernetes, in the same way: `{}` in a pod. Beside `consul` only one of them may have `onDemand`, and services that the files name without another source come from that one.',
  ),
  massRemoval: setting(
    z.number().min(1).max(100).default(50),
    'One update that removes more than this percentage of at least three endpoints is doubted: they are kept until a connection to them fails or a second update says the same. 100: never doubted.',
    'half a service seldom leaves at once, but a registry that lost its data reports that',
  ),
  startTimeout: setting(
    duration('none').default('3s'),
    'How long a start waits for the first answers; after that it uses the endpoints known last.',
    'a registry that is down must not keep a service from starting',
  ),
})
