import * as z from 'zod'
import { exportPattern } from '../agent/traces.ts'
import { serviceSchema } from '../service.ts'
import { anyText, serviceName, setting, text } from '../values.ts'

/** The file of `outrigger dev`: the services on this machine. The one source of its types, validation and reference. */

const port = () => z.int().min(1).max(65_535)

const devService = z.strictObject({
  command: setting(
    text(/\S/, 'a command', 'a command line, such as node orders.js'),
    'How an instance is started, as a line for `sh`. It listens on 127.0.0.1 at `$PORT`.',
  ),
  folder: setting(
    anyText('a folder').default('.'),
    'Where the command runs.',
    'that of the file: paths in it are what they are for its reader',
  ),
  protocol: setting(
    z.enum(['http', 'http2', 'grpc', 'tcp']).default('http'),
    'What the application speaks: `http` is HTTP/1.1, `http2` is HTTP/2 with prior knowledge, `grpc` is gRPC over that, `tcp` is anything else.',
    'nearly every application speaks HTTP/1.1',
  ),
  port: setting(
    port().optional(),
    'The port of the application, for one that does not read `$PORT`. Further instances get the ports after it. Without it: a free one.',
  ),
  instances: setting(
    z.int().min(1).max(20).default(1),
    'How many of it run, each with a sidecar of its own.',
    'two show balancing and retries; one starts faster',
  ),
  publish: setting(
    port().optional(),
    'The port of this machine at which the gateway answers for the service, for browsers and curl. Without it: a free one.',
  ),
  env: setting(
    z
      .record(text(/^[A-Za-z_][A-Za-z0-9_]*$/, 'a variable name', 'a name such as DATABASE_URL'), z.unknown())
      .default({}),
    'Environment variables: texts, numbers, true or false. They win over those that `outrigger dev` sets.',
    'most need none',
  ),
  depends: setting(
    z.array(serviceName()).default([]),
    'Services of which every instance is ready before this one is started.',
    'services that find each other missing should try again, as they must in production',
  ),
  policy: setting(
    serviceSchema.optional(),
    'How this service is called, as under `services` of a sidecar file. It counts over the documents in `policies`.',
  ),
})

export const devSchema = z.strictObject({
  services: setting(z.record(serviceName(), devService), 'The services, by name.'),
  policies: setting(
    anyText('a folder').default('policies'),
    'The folder of policy documents (`orders.yaml`, `defaults.yaml`), watched by the agent.',
    'beside the file; it need not be there',
  ),
  traces: setting(
    z
      .strictObject({
        export: setting(
          text(exportPattern, 'an address of a collector', 'grpc://127.0.0.1:4317 or http://127.0.0.1:4318').optional(),
          'Where the agent sends spans by OTLP. Without it: $OTEL_EXPORTER_OTLP_ENDPOINT; without that nowhere.',
        ),
        sample: setting(
          z.number().min(0).max(100).default(100),
          'Percent of the requests that are recorded.',
          'on a laptop every request is one that somebody looks for',
        ),
      })
      .prefault({}),
    'Spans.',
  ),
  propagate: setting(
    z.boolean().default(true),
    'Services in Node get `--import outrigger/propagate` by NODE_OPTIONS, so that their traces join up. `false`: for a Node older than 20.',
    'other programs ignore it, and a Node service needs no change',
  ),
})

export type DevDocument = z.output<typeof devSchema>
export type DevServiceDocument = DevDocument['services'][string]
