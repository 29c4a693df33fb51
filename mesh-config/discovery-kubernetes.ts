import * as z from 'zod'
import { registryAddress, registryTls } from './registry-access.ts'
import { anyText, duration, serviceName, setting, text } from './values.ts'

/** `discovery.kubernetes` of a sidecar file: EndpointSlices and Services, read from the API server. */

const label = (name: string) =>
  text(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, name, 'small letters, digits and - such as orders')

const kubernetesService = z.strictObject({
  name: setting(label('a Service').optional(), 'The name of the Service. Without it: the first part of this name.'),
  namespace: setting(
    label('a namespace').optional(),
    'Its namespace. Without it: the second part of this name (`orders.shop`), else that of `kubernetes`.',
  ),
  port: setting(
    z.union([z.int().min(1).max(65_535), label('a port')]).optional(),
    'The port of the Service, by number or name. Without it: the only one, else 80, else the one named `http`, else `grpc`.',
  ),
})

export const kubernetes = z.strictObject({
  address: setting(
    registryAddress('https://host:6443').optional(),
    'The API server. Without it: that of the cluster this pod is in.',
  ),
  token: setting(
    anyText('a token').optional(),
    'The token: it needs `list` and `watch` on services and endpointslices, and `get` on services.',
  ).meta({ secret: true }),
  tokenFile: setting(
    anyText('a file').optional(),
    'A file with the token, read again when it changes. Without it, in a pod: that of its service account.',
  ),
  tls: registryTls('the API server', 'Without it, in a pod: that of its service account.'),
  namespace: setting(
    label('a namespace').optional(),
    'The namespace of names that have none. Without it: that of the pod (its service account, else `POD_NAMESPACE`).',
  ),
  clusterDomain: setting(
    text(
      /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/,
      'a domain',
      'small letters, digits, - and . such as cluster.local',
    ).default('cluster.local'),
    'How names of Services end.',
    'the usual one of Kubernetes',
  ),
  family: setting(
    z.enum(['auto', 'ipv4', 'ipv6']).default('auto'),
    'Which addresses of pods that have two. `auto`: those of the first family of the Service that this machine has addresses of.',
    'a pod is one endpoint, however many addresses it has',
  ),
  services: setting(
    z.record(serviceName(), kubernetesService).prefault({}),
    'Settings of single services; a service listed here is watched from the start.',
  ),
  onDemand: setting(
    z.boolean().default(true),
    'A service that no file names is looked up in Kubernetes when a request first asks for it.',
    'a Service with default settings needs no configuration',
  ),
  firstUse: setting(
    duration('refused').default('2s'),
    'How long that first request waits for the answer: 503 NC after that. A name that is no Service is 404 NR.',
    'a healthy API server answers in milliseconds',
  ),
  idle: setting(
    duration('refused').default('10m'),
    'A service found on demand is forgotten after so long without a request.',
    'longer than most batch jobs pause',
  ),
})
