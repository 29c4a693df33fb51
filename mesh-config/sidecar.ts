import * as z from 'zod'
import { consulName, register } from './register.ts'
import { applicationFields, serviceSchema } from './service.ts'
import {
  anyText,
  duration,
  label,
  listenAddress,
  nameServer,
  peerAddress,
  serviceName,
  setting,
  size,
  text,
} from './values.ts'
import { MAX_WEIGHT } from './weight.ts'

/**
 * The sidecar file: what this one sidecar is. The one source of its types, its validation, its JSON Schema and its
 * reference page.
 */

/** Also taken when a file says nothing of it: two listeners must not meet there unseen. */
export const defaultAdmin = '127.0.0.1:15000'

const listenerTimeouts = (connectionAge: '30m' | 'off', why: string) => ({
  head: setting(
    duration().default('10s'),
    'From the first byte of a request head to its last: 408 after that. `off`: no limit.',
    'a head is one packet; whoever takes longer holds connections open on purpose',
  ),
  body: setting(
    duration().default('30s'),
    'Between two pieces of a request body, until the answer begins: 408 after that. `off`: no limit.',
    'slow networks pause for seconds; the whole upload may take as long as it likes',
  ),
  idle: setting(
    duration().default('5m'),
    'A connection without a request is closed. `off`: no limit.',
    'longer than the pools of most callers keep theirs, so they close first and no request meets a closing connection',
  ),
  connectionAge: setting(
    duration().default(connectionAge),
    'An older connection, give or take a tenth, is asked to make room for a new one: GOAWAY over HTTP/2, `connection: close` with the next answer over HTTP/1.1. Nothing that runs is cut. `off`: never.',
    why,
  ),
  detect: setting(
    duration('refused').default('5s'),
    'With `protocol: detect`, how long a connection may take to say what it speaks. Then it is TCP, where there is one service or application it can be for, and is closed elsewhere.',
    'who speaks first does so at once, and a lost packet is sent again within 3 s; database clients give up after 10 s, so a server that speaks first is late here, and not lost',
  ),
})

const listenerLimits = {
  headers: setting(
    z.int().min(1).max(10_000).default(100),
    'Header fields in one head: 431 above that.',
    'as in Envoy',
  ),
  headBytes: setting(
    size(1024, 16 * 1024 ** 2, 'from 1KiB to 16MiB').default('60KiB'),
    'One head, request line included: 431 above that.',
    'as in Envoy; the 16 KiB of Node break large cookies',
  ),
  targetBytes: setting(
    size(64, 16 * 1024 ** 2, 'from 64B to 16MiB').default('16KiB'),
    'The request target (path and query): 414 above that.',
    'twice what most servers take, so the answer comes from the application',
  ),
  connections: setting(
    z.int().min(1).max(1_000_000).default(10_000),
    'Connections at a time, for each data thread; more are closed at once.',
    'a guard of memory, not a policy',
  ),
  streams: setting(
    z.int().min(1).max(100_000).default(256),
    'HTTP/2 requests at once on one connection; callers are told, and more are refused (REFUSED_STREAM).',
    'RFC 9113 asks for 100 at least; who wants more opens another connection, which a balancer before us can place elsewhere',
  ),
  buffer: setting(
    size(256 * 1024, 1024 ** 3, 'from 256KiB to 1GiB').default('1MiB'),
    'What is held of one connection in one direction before its sender has to wait. The windows of HTTP/2 grow no larger.',
    'as in Envoy: memory stays bounded whatever the sizes',
  ),
}

const protocols = z.enum(['http', 'detect', 'tcp']).optional()

const listener = (connectionAge: '30m' | 'off', why: string) => ({
  protocol: setting(
    protocols,
    'What callers speak. `http`: HTTP/1.1 and HTTP/2, told apart; anything else is refused. `tcp`: anything, passed on byte for byte. `detect`: HTTP is served as such, TLS goes by its server name (SNI), anything else is TCP; never for servers that speak first. Without it: `tcp` where the service or the application has `protocol: tcp`, else `http`.',
  ),
  timeouts: setting(
    z.strictObject(listenerTimeouts(connectionAge, why)).prefault({}),
    'How long the downstream side may take.',
  ),
  limits: setting(z.strictObject(listenerLimits).prefault({}), 'How much the downstream side may send.'),
  h2cUpgrade: setting(
    z.boolean().default(true),
    'A request that offers HTTP/2 by `Upgrade: h2c` gets it. HTTP/2 with prior knowledge is spoken either way.',
    'who offers it (the HttpClient of Java, curl --http2) can do it; the offer ends here and is never passed on',
  ),
})

const application = {
  protocol: setting(
    z.enum(['http', 'http2', 'grpc', 'tcp']).default('http'),
    'What the application speaks: `http` is HTTP/1.1, `http2` is HTTP/2 with prior knowledge, `grpc` is gRPC over that, whichever of them callers speak; `tcp` is anything else, passed on byte for byte.',
    'nearly every application speaks HTTP/1.1; one that speaks HTTP/2 only cannot be asked first which it is',
  ),
  timeouts: setting(
    z
      .strictObject({
        connect: applicationFields.timeouts.connect,
        request: setting(
          duration().default('off'),
          'From the last byte of the request to the head of its response: 504 after that. `off`: no limit.',
          'the timeout of the caller rules; a second one here would only hide it',
        ),
        idle: applicationFields.timeouts.idle,
        grpcTimeout: applicationFields.timeouts.grpcTimeout,
        grpcTimeoutMax: applicationFields.timeouts.grpcTimeoutMax,
        grpcTimeoutOffset: applicationFields.timeouts.grpcTimeoutOffset,
        tunnel: applicationFields.timeouts.tunnel,
      })
      .prefault({}),
    'How long the application may take.',
  ),
  limits: setting(z.strictObject(applicationFields.limits).prefault({}), 'How much the application is given at once.'),
  upgrades: applicationFields.upgrades,
}

const inbound = z.strictObject({
  listen: setting(listenAddress(), 'The address that peers connect to.'),
  multiplex: setting(
    z.boolean().default(true),
    'Sidecars that call are told that they may send HTTP/1.1 requests multiplexed over HTTP/2; the application gets HTTP/1.1 all the same. `false`: they are not told.',
    'fewer connections and less work for both sidecars; other callers see one more word in the first answer of a connection, and go on as ever',
  ),
  forward: setting(
    peerAddress(),
    'The application. It is never retried and never ejected: the sidecars of its callers do that.',
  ),
  application: setting(z.strictObject(application).prefault({}), 'How the application is called.'),
  ...listener(
    '30m',
    'callers behind a balancer of connections (a virtual IP) come to new instances; gRPC keeps one connection for good otherwise',
  ),
})

const connect = z.strictObject({
  services: setting(
    z.boolean().default(true),
    'To the services: the tunnel leads to one of their endpoints, whatever port is asked for.',
    'whoever may call a service may as well tunnel to it',
  ),
  hosts: setting(
    z.array(peerAddress()).default([]),
    'And to these, as `host:port`. A name that leads to this machine or to a link-local address (cloud metadata) is refused: that has to be named as an address.',
    'nothing outside is reached that was not named',
  ),
})

const outbound = z.strictObject({
  listen: setting(listenAddress(), 'The address that the application connects to.'),
  service: setting(
    serviceName().optional(),
    'The one service this port is for. Without it: picked by Host, and TLS (`protocol: detect`) by its server name.',
  ),
  connect: setting(
    connect.optional(),
    'Lets callers ask for TCP tunnels by CONNECT, for egress. Without it CONNECT is answered with 403.',
  ),
  transparent: setting(z.boolean().optional(), 'Connections come redirected (iptables), and go where they were going.'),
  ...listener('off', 'the application has no other sidecar to go to'),
})

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
    'all alike',
  ),
  zone: setting(label('a zone').optional(), 'Where it stands.'),
  meta: setting(z.record(z.string(), anyText('a value')).default({}), 'What subsets are chosen by.'),
  health: setting(
    z.enum(['passing', 'failing', 'draining']).default('passing'),
    '`failing` is used in panic only, `draining` never.',
    'what is listed is there',
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
    'It is asked again after the TTL of the answer, at the latest after this.',
    'as the usual TTL of cluster DNS: a new endpoint is used within half a minute',
  ),
  servers: setting(z.array(nameServer()).default([]), 'Name servers. Without it: those of the system.'),
  family: setting(
    z.enum(['auto', 'ipv4', 'ipv6', 'all']).default('auto'),
    'Which addresses count. `auto`: those of the families that this machine speaks with others.',
    'an address of a family that the machine does not speak is only a connection that fails',
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
  address: setting(
    text(
      /^https?:\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?\/?$/,
      'a URL',
      'http://host:port or https://host:port',
    ).default('http://127.0.0.1:8500'),
    'The HTTP API of the Consul agent.',
    'an agent stands on every host',
  ),
  token: setting(
    anyText('a token').optional(),
    'The ACL token: it needs service:read and node:read, and service:write for what it registers.',
  ).meta({
    secret: true,
  }),
  tokenFile: setting(anyText('a file').optional(), 'A file with the token, read again when it changes.'),
  datacenter: setting(datacenter().optional(), 'Without it: that of the agent.'),
  tls: setting(
    z
      .strictObject({
        ca: setting(
          anyText('a file').optional(),
          'Certificates (PEM) that sign those of Consul. Without it: those of the system.',
        ),
        cert: setting(anyText('a file').optional(), 'Our certificate (PEM), where Consul asks for one.'),
        key: setting(anyText('a file').optional(), 'Its key (PEM).'),
        serverName: setting(
          anyText('a name').optional(),
          'The name in the certificate of Consul. Without it: the host of `address`.',
        ),
      })
      .prefault({}),
    'For an https address.',
  ),
  maxStale: setting(
    duration().default('10s'),
    'Any server may answer, not only the leader, as long as its data is not older than this. `off`: only the leader.',
    'answers go on while a leader is elected; ten seconds old is still younger than most health checks',
  ),
  wait: setting(
    duration('refused').default('5m'),
    'How long a question waits at Consul for a change, at most 10m; a list is asked for anew at least this often.',
    'the default of Consul',
  ),
  addresses: setting(
    consulAddressKinds.default('service'),
    'Which address of an instance: its own (`service`, else that of its node), or a tagged one: `lan`, `wan`, `virtual`.',
    'what a service registered is where it can be reached',
  ),
  services: setting(
    z.record(serviceName(), consulService).prefault({}),
    'What differs for a service, and services to watch from the start.',
  ),
  onDemand: setting(
    z.boolean().default(true),
    'A service that no file names is looked up in Consul when a request first asks for it.',
    'nothing to configure for a service that wants nothing special',
  ),
  firstUse: setting(
    duration('refused').default('2s'),
    'How long that first request waits for the answer: 503 NC after that. Where Consul says that there is no such service it is 404 NR.',
    'a healthy Consul answers in milliseconds',
  ),
  idle: setting(
    duration('refused').default('10m'),
    'A service found on demand is forgotten after so long without a request.',
    'longer than most batch jobs pause',
  ),
})

const discovery = z.strictObject({
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
    'Endpoints from Consul: for every service named here that has no other source, and for others on demand.',
  ),
  massRemoval: setting(
    z.number().min(1).max(100).default(50),
    'One update that removes more than this percentage of at least three endpoints is doubted: they are kept until a connection to them fails or a second update says the same. 100: never doubted.',
    'half a service does not vanish at once; a registry that lost its data says so',
  ),
  startTimeout: setting(
    duration('none').default('3s'),
    'How long a start waits for the first answers; then it goes on with the endpoints known last.',
    'a registry that is down must not keep a service from starting',
  ),
})

const accessLogModes = z.enum(['off', 'on', 'errors'])

const accessLogMap = z.strictObject({
  mode: setting(
    accessLogModes.default('errors'),
    '`on`: every request. `errors`: those that failed (status 500 and above, or a response flag). `off`: none.',
    'what failed is in the log before anyone asks why; what succeeded would be most of the volume and the cost',
  ),
  format: setting(
    z.enum(['text', 'json']).default('text'),
    'One line of text, or one JSON object a line.',
    'the line Envoy writes, which tools already read',
  ),
  template: setting(
    anyText('a template').optional(),
    "The text format, in Envoy's operators: %START_TIME%, %REQ(:METHOD)%, %RESPONSE_FLAGS% ... Without it: Envoy's default format.",
  ),
  path: setting(anyText('a file').default('stdout'), 'A file, or `stdout`.', 'where containers are expected to log'),
})

const flights = {
  recent: setting(
    z.int().min(0).max(1_000_000).default(256),
    'The last requests, for each data thread.',
    'minutes of a quiet service in a few hundred KiB',
  ),
  failed: setting(
    z.int().min(0).max(1_000_000).default(256),
    'The last failed requests, kept apart so that good ones do not push them out.',
    'enough to see the whole of an incident',
  ),
}

const drain = {
  delay: setting(
    duration('none').default('5s'),
    'After SIGTERM, how long to go on as before while /ready says no.',
    'removing an endpoint takes Kubernetes and Consul some seconds to spread; until then callers still come',
  ),
  timeout: setting(
    duration('none').default('20s'),
    'After the delay, how long the requests under way may take before they are cut.',
    'with the delay it stays inside the 30 s that Kubernetes gives a container',
  ),
}

export const sidecarSchema = z.strictObject({
  service: setting(
    serviceName().default('unnamed'),
    'The service this sidecar stands beside, as logs and metrics call it.',
    'the smallest file needs no name',
  ),
  admin: setting(
    listenAddress(true).default(defaultAdmin),
    'The address of the admin port, or `off`.',
    'the port of Envoy in Istio, and only this machine: it tells a lot to whoever asks',
  ),
  metrics: setting(
    listenAddress(true).default('off'),
    'A port of its own with nothing but /metrics, /ready and /live, for Prometheus and probes from elsewhere: it shows no configuration and changes nothing, whoever asks. `off`: none.',
    'the admin port has the metrics too; this one may be open to a network that must not reach that',
  ),
  adminHosts: setting(
    z
      .array(
        text(
          /^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/,
          'a host name',
          'a name without port, such as sidecar.web.svc',
        ),
      )
      .default([]),
    'Names by which the admin port may be asked, besides addresses and `localhost`.',
    'a name may be pointed at this port by a web page that wants to read it (DNS rebinding); an address cannot',
  ),
  inbound: setting(z.array(inbound).prefault([]), 'Listeners for what comes to the application.'),
  outbound: setting(z.array(outbound).prefault([]), 'Listeners for what the application calls.'),
  zone: setting(
    label('a zone').optional(),
    'Where this sidecar stands, as endpoints name their zones. Without it: the zone of its Consul node.',
  ),
  discovery: setting(discovery.prefault({}), 'Where endpoints come from.'),
  register: setting(
    register.optional(),
    'Registers the service this sidecar stands beside with Consul, and takes it out again on drain.',
  ),
  agent: setting(anyText('an address').optional(), 'The agent of this host, such as unix:/run/outrigger/agent.sock.'),
  state: setting(
    anyText('a folder').optional(),
    'The folder for last-known endpoints, or `off`. Without it: one for this service and port in the state folder that systemd gives ($STATE_DIRECTORY), else in that of the user ($XDG_STATE_HOME, else ~/.local/state); none where the user has no home.',
  ),
  workers: setting(
    z.int().min(1).max(256).default(1),
    'Data threads.',
    'one serves more than most instances ever see, and costs the least memory',
  ),
  buffers: setting(
    size(16 * 1024 ** 2, 64 * 1024 ** 3, 'from 16MiB to 64GiB').default('256MiB'),
    'What each data thread may hold of bodies over all its connections: what callers and endpoints have not taken yet, and what may have to be sent again. Above half of it every connection and stream may hold less, 64 KiB; above all of it those that hold the most are cut (503 OM, or a reset where the answer has begun).',
    'room for five hundred readers that stand still with 512 KiB each; with what else a sidecar takes it stays inside a container of 512 MiB',
  ),
  accessLog: setting(
    z.union([accessLogModes.transform(mode => accessLogMap.parse({ mode })), accessLogMap]).prefault('errors'),
    'The access log: `off`, `on`, `errors`, or a map.',
  ),
  flights: setting(
    z.strictObject(flights).prefault({}),
    'The flight recorder: decision records kept in memory, at /flights.',
  ),
  drain: setting(z.strictObject(drain).prefault({}), 'How the sidecar stops.'),
  services: setting(
    z.record(serviceName(), serviceSchema).prefault({}),
    'Service policies, by name. A service with endpoints and no policy has the defaults of one.',
  ),
})

/** The sidecar file with every default filled in, values as written. */
export type SidecarDocument = z.output<typeof sidecarSchema>
export type ListenerDocument = SidecarDocument['outbound'][number]
