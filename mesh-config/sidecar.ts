import * as z from 'zod'
import { accessLog } from './access-log.ts'
import { agentAddress } from './agent/address.ts'
import { discovery } from './discovery.ts'
import { dns } from './dns.ts'
import { intercept } from './intercept.ts'
import { inbound, outbound } from './listeners.ts'
import { overload } from './overload.ts'
import { register } from './register.ts'
import { serviceSchema } from './service.ts'
import { traces } from './traces.ts'
import { anyText, duration, label, listenAddress, serviceName, setting, size, text } from './values.ts'

/**
 * The sidecar file: what this one sidecar is. The one source of its types, its validation, its JSON Schema and its
 * reference page.
 */

/** Also taken when a file says nothing of it: two listeners must not meet there unseen. */
export const defaultAdmin = '127.0.0.1:15000'

const metricsListen = setting(
  listenAddress(true).default('off'),
  'A port of its own with nothing but /metrics, /ready and /live, for Prometheus and probes from elsewhere. It shows no configuration and changes nothing. `off`: none.',
  'the admin port has the metrics too; this one may be open to networks that must not reach the admin port',
)

const metricsMap = z.strictObject({
  listen: metricsListen,
  aliases: setting(
    z.array(z.enum(['envoy', 'istio'])).default([]),
    'Shows what is counted under the names of other meshes as well, for their dashboards: `envoy` (`envoy_cluster_*`, `envoy_http_*`), `istio` (`istio_requests_total` and its family).',
    'they are computed at each scrape and take no memory, but make the page longer and Prometheus keep more series',
  ),
  expire: setting(
    duration().default('10m'),
    'A counter or histogram of requests that has not changed for so long is no longer shown; when it comes back it begins at 0. Gauges, and what belongs to an endpoint, stay. `off`: nothing expires.',
    'as in Linkerd: callers, statuses and routes of long ago would fill every scrape',
  ),
})

const flights = {
  recent: setting(
    z.int().min(0).max(1_000_000).default(256),
    'The last requests, for each data thread.',
    'minutes of a quiet service in a few hundred KiB',
  ),
  failed: setting(
    z.int().min(0).max(1_000_000).default(256),
    'The last failed requests, kept apart so that successful ones do not push them out.',
    'enough to see the whole of an incident',
  ),
}

const drain = {
  delay: setting(
    duration('none').default('5s'),
    'After SIGTERM, how long to serve as before while /ready says no.',
    'removing an endpoint takes Kubernetes and Consul some seconds to spread; until then callers still come',
  ),
  timeout: setting(
    duration('none').default('20s'),
    'After the delay, how long requests under way may take before they are cut.',
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
    'the port of Envoy in Istio, open to this machine only, because the pages show the configuration',
  ),
  metrics: setting(
    z.union([listenAddress(true).transform(listen => metricsMap.parse({ listen })), metricsMap]).prefault('off'),
    'A port for /metrics alone (an address, or `off`), or a map.',
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
    'Host names that the admin port answers to, besides addresses and `localhost`.',
    'a web page can point its own name at this port to read it (DNS rebinding); it cannot do that with an address',
  ),
  inbound: setting(z.array(inbound).prefault([]), 'Listeners for calls to the application.'),
  outbound: setting(z.array(outbound).prefault([]), 'Listeners for calls of the application.'),
  intercept: setting(
    intercept.prefault({}),
    'Which connections `outrigger intercept up` redirects to the transparent listeners. A running proxy does not read it. See docs/interception.md.',
  ),
  zone: setting(
    label('a zone').optional(),
    'The zone of this sidecar, named as the zones of endpoints. Without it: the zone of its Consul node.',
  ),
  discovery: setting(discovery.prefault({}), 'Where endpoints come from.'),
  dns: setting(
    dns.optional(),
    'A name server for the application: names of services get virtual addresses, all others are forwarded. Without it: none. See docs/dns.md.',
  ),
  register: setting(
    register.optional(),
    'Registers the service of this sidecar with Consul, and takes it out again on drain.',
  ),
  agent: setting(
    agentAddress.optional(),
    'The agent of this host: `unix:/run/outrigger/agent.sock`, or `off`. Without it: the default socket, as soon as an agent of the same user or of root is there (in /run/outrigger for root, else in $XDG_RUNTIME_DIR/outrigger, else in /tmp/outrigger-<uid>; $OUTRIGGER_AGENT names another one).',
  ),
  state: setting(
    anyText('a folder').optional(),
    'The folder for last-known endpoints, or `off`. Without it: a folder for this service and port in the state folder of systemd ($STATE_DIRECTORY), else in that of the user ($XDG_STATE_HOME, else ~/.local/state); none where the user has no home.',
  ),
  workers: setting(
    z.int().min(1).max(256).default(1),
    'Data threads.',
    'one thread serves more than most instances ever see, and takes the least memory',
  ),
  buffers: setting(
    size(16 * 1024 ** 2, 64 * 1024 ** 3, 'from 16MiB to 64GiB').default('256MiB'),
    'What each data thread may hold of bodies over all its connections: bytes that callers and endpoints have not read yet, and copies kept for another try. Above half of it every connection and stream may hold only 64 KiB; above all of it those that hold the most are cut (503 OM, or a reset where the answer has begun).',
    'room for five hundred readers that stand still with 512 KiB each; with its other memory the sidecar stays inside a container of 512 MiB',
  ),
  overload,
  accessLog: setting(accessLog, 'The access log: `off`, `on`, `errors`, or a map.'),
  flights: setting(
    z.strictObject(flights).prefault({}),
    'The flight recorder: decision records kept in memory, at /flights.',
  ),
  traces: setting(traces.prefault({}), 'Spans: `off`, or a map. See docs/tracing.md.'),
  drain: setting(z.strictObject(drain).prefault({}), 'How the sidecar stops.'),
  services: setting(
    z.record(serviceName(), serviceSchema).prefault({}),
    'Service policies, by name. A service with endpoints and no policy has the defaults of one.',
  ),
})

/** The sidecar file with every default filled in, values as written. */
export type SidecarDocument = z.output<typeof sidecarSchema>
export type ListenerDocument = SidecarDocument['outbound'][number]
