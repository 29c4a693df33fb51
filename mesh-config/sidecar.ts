import * as z from 'zod'
import { applicationFields, serviceSchema } from './service.ts'
import { anyText, duration, label, listenAddress, peerAddress, serviceName, setting, size } from './values.ts'

/** The sidecar file: what this one sidecar is. The one source of its types, its validation, its JSON Schema and its reference page. */

/** Also taken when a file says nothing of it: two listeners must not meet there unseen. */
export const defaultAdmin = '127.0.0.1:15000'

const listenerTimeouts = {
  head: setting(
    duration().default('10s'),
    'From the first byte of a request head to its last: 408 after that. `off`: no limit.',
    'a head is one packet; whoever takes longer holds connections open on purpose',
  ),
  body: setting(
    duration().default('30s'),
    'Between two pieces of a request body: 408 after that. `off`: no limit.',
    'slow networks pause for seconds; the whole upload may take as long as it likes',
  ),
  idle: setting(
    duration().default('5m'),
    'A connection without a request is closed. `off`: no limit.',
    'longer than the pools of most callers keep theirs, so they close first and no request meets a closing connection',
  ),
}

const listenerLimits = {
  headers: setting(z.int().min(1).max(10_000).default(100), 'Header fields in one head: 431 above that.', 'as in Envoy'),
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
  buffer: setting(
    size(256 * 1024, 1024 ** 3, 'from 256KiB to 1GiB').default('1MiB'),
    'What is held of one connection in one direction before its sender has to wait.',
    'as in Envoy: memory stays bounded whatever the sizes',
  ),
}

const listener = {
  timeouts: setting(z.strictObject(listenerTimeouts).prefault({}), 'How long the downstream side may take.'),
  limits: setting(z.strictObject(listenerLimits).prefault({}), 'How much the downstream side may send.'),
}

const application = {
  timeouts: setting(
    z
      .strictObject({
        connect: applicationFields.timeouts.connect,
        request: setting(
          duration().default('off'),
          'From the request to the head of its response: 504 after that. `off`: no limit.',
          'the timeout of the caller rules; a second one here would only hide it',
        ),
        idle: applicationFields.timeouts.idle,
      })
      .prefault({}),
    'How long the application may take.',
  ),
  limits: setting(z.strictObject(applicationFields.limits).prefault({}), 'How much the application is given at once.'),
}

const inbound = z.strictObject({
  listen: setting(listenAddress(), 'The address that peers connect to.'),
  forward: setting(peerAddress(), 'The application. It is never retried and never ejected: the sidecars of its callers do that.'),
  application: setting(z.strictObject(application).prefault({}), 'How the application is called.'),
  ...listener,
})

const outbound = z.strictObject({
  listen: setting(listenAddress(), 'The address that the application connects to.'),
  service: setting(serviceName().optional(), 'The one service this port is for. Without it: picked by Host.'),
  transparent: setting(z.boolean().optional(), 'Connections come redirected (iptables), and go where they were going.'),
  ...listener,
})

const endpoint = z.strictObject({
  address: setting(peerAddress(), 'host:port.'),
  weight: setting(z.int().min(1).max(1_000_000).default(1), 'The share of the requests, relative to the other weights.', 'equal shares'),
  zone: setting(label('a zone').optional(), 'Where it stands.'),
  meta: setting(z.record(z.string(), anyText('a value')).default({}), 'What subsets are chosen by.'),
})

const discovery = z.strictObject({
  endpoints: setting(
    z.record(serviceName(), z.array(z.union([peerAddress().transform(address => endpoint.parse({ address })), endpoint]))).prefault({}),
    'Fixed endpoints, by service: `host:port`, or a map.',
  ),
  consul: setting(
    z.strictObject({ address: anyText('a URL').optional(), token: setting(anyText('a token').optional(), 'The ACL token.').meta({ secret: true }) }).optional(),
    'Endpoints from Consul.',
  ),
})

const accessLogModes = z.enum(['off', 'on', 'errors'])

const accessLogMap = z.strictObject({
  mode: setting(
    accessLogModes.default('errors'),
    '`on`: every request. `errors`: those that failed (status 500 and above, or a response flag). `off`: none.',
    'what failed is in the log before anyone asks why; what succeeded would be most of the volume and the cost',
  ),
  format: setting(z.enum(['text', 'json']).default('text'), 'One line of text, or one JSON object a line.', 'the line Envoy writes, which tools already read'),
  template: setting(
    anyText('a template').optional(),
    "The text format, in Envoy's operators: %START_TIME%, %REQ(:METHOD)%, %RESPONSE_FLAGS% ... Without it: Envoy's default format.",
  ),
  path: setting(anyText('a file').default('stdout'), 'A file, or `stdout`.', 'where containers are expected to log'),
})

const flights = {
  recent: setting(z.int().min(0).max(1_000_000).default(256), 'The last requests, for each data thread.', 'minutes of a quiet service in a few hundred KiB'),
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
  service: setting(serviceName().default('unnamed'), 'The service this sidecar stands beside, as logs and metrics call it.', 'the smallest file needs no name'),
  admin: setting(
    listenAddress(true).default(defaultAdmin),
    'The address of the admin port, or `off`.',
    'the port of Envoy in Istio, and only this machine: it tells a lot to whoever asks',
  ),
  inbound: setting(z.array(inbound).prefault([]), 'Listeners for what comes to the application.'),
  outbound: setting(z.array(outbound).prefault([]), 'Listeners for what the application calls.'),
  discovery: setting(discovery.prefault({}), 'Where endpoints come from.'),
  agent: setting(anyText('an address').optional(), 'The agent of this host, such as unix:/run/outrigger/agent.sock.'),
  state: setting(anyText('a folder').optional(), 'The folder for last-known endpoints and policy.'),
  workers: setting(z.int().min(1).max(256).default(1), 'Data threads.', 'one serves more than most instances ever see, and costs the least memory'),
  accessLog: setting(
    z.union([accessLogModes.transform(mode => accessLogMap.parse({ mode })), accessLogMap]).prefault('errors'),
    'The access log: `off`, `on`, `errors`, or a map.',
  ),
  flights: setting(z.strictObject(flights).prefault({}), 'The flight recorder: decision records kept in memory, at /flights.'),
  drain: setting(z.strictObject(drain).prefault({}), 'How the sidecar stops.'),
  services: setting(
    z.record(serviceName(), serviceSchema).prefault({}),
    'Service policies, by name. A service with endpoints and no policy has the defaults of one.',
  ),
})

/** The sidecar file with every default filled in, values as written. */
export type SidecarDocument = z.output<typeof sidecarSchema>
export type ListenerDocument = SidecarDocument['outbound'][number]
