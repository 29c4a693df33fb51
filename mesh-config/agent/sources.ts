import * as z from 'zod'
import { anyText, setting, text } from '../values.ts'
import { zookeeper } from './zookeeper.ts'

/** The kinds of sources, the least important first. */
export const sourceKinds = ['files', 'consul entries', 'consul kv', 'zookeeper'] as const
export type SourceKind = (typeof sourceKinds)[number]

/** The `policies` of an agent file: where policy documents come from, and which source counts over which. */
export const policies = z.strictObject({
  folder: setting(
    anyText('a folder or a file').default('policies'),
    'A folder of policy documents: `orders.yaml` is for the service orders, `defaults.yaml` for all. It is watched.',
    'beside the agent file; it need not be there',
  ),
  prefix: setting(
    text(
      /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/,
      'a prefix of keys',
      'keys of letters, digits, - _ and . without / at either end, such as outrigger',
    ).default('outrigger'),
    'The keys of the documents in Consul KV: `services/<name>` and `defaults` below it.',
    'the name of this program',
  ),
  zookeeper: setting(zookeeper.optional(), 'Documents in znodes of ZooKeeper. Without it: none are read there.'),
  order: setting(
    z.array(z.enum(sourceKinds)).default([...sourceKinds]),
    'Which sources are read, the least important first: a value of a later one counts.',
    'what is closest to all hosts counts most',
  ),
})
