import * as z from 'zod'
import { statuses } from './status-range.ts'
import { anyText, duration, setting } from './values.ts'

/** The access log of a sidecar file (sidecar.ts). */

const modes = z.enum(['off', 'on', 'errors'])

const condition = z.strictObject({
  errors: setting(z.boolean().optional(), 'Requests that failed, as with `mode: errors`.'),
  slowerThan: setting(
    duration('refused').optional(),
    'Requests that took longer, from the first byte of the head to the last byte of the answer.',
  ),
  status: setting(statuses().optional(), 'Requests with one of these statuses: `404`, `5xx`, `400-428`.'),
  sample: setting(
    z.number().gt(0).max(100).optional(),
    'So many percent of the requests, and every one that failed. Chosen by the trace id, else the request id, so that all sidecars log the same requests.',
  ),
})

const map = z.strictObject({
  mode: setting(
    modes.default('errors'),
    '`on`: every request. `errors`: those that failed (status 500 and above, or a response flag). `off`: none.',
    'failed requests are in the log when they are looked for; successful ones would be most of the volume and the cost',
  ),
  only: setting(
    z.array(condition).default([]),
    'With `mode: on`: only requests that meet one of these conditions. A condition is met when all that it says is true.',
    '`mode` alone says what most need',
  ),
  format: setting(
    z.enum(['text', 'json', 'ecs']).default('text'),
    '`text`: one line. `json`: one object a line. `ecs`: the same with the names of the Elastic Common Schema, for Elasticsearch and Kibana.',
    'the line Envoy writes, which tools already read',
  ),
  template: setting(
    anyText('a template').optional(),
    "The text format, in Envoy's operators: %START_TIME%, %REQ(:METHOD)%, %RESPONSE_FLAGS% ... Without it: Envoy's default format.",
  ),
  fields: setting(
    z.record(anyText('a name'), anyText('a template')).optional(),
    "The JSON format, as Envoy's json_format: name and template of each field. A field that is one operator alone is a number where the operator is one, and null where it has no value.",
  ),
  path: setting(anyText('a file').default('stdout'), 'A file, or `stdout`.', 'where containers are expected to log'),
})

export const accessLog = z.union([modes.transform(mode => map.parse({ mode })), map]).prefault('errors')
export type AccessLogDocument = z.output<typeof accessLog>
