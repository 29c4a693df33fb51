import * as z from 'zod'
import { anyText, setting } from '../values.ts'
import { zookeeper } from './zookeeper.ts'

/** The `policies` of an agent file: where policy documents come from, and which source counts over which. */
export const policies = z.strictObject({
  folder: setting(
    anyText('a folder or a file').default('policies'),
    'A folder of policy documents: `orders.yaml` is for the service orders, `defaults.yaml` for all. It is watched.',
    'beside the agent file; it need not be there',
  ),
  zookeeper: setting(zookeeper.optional(), 'Documents in znodes of ZooKeeper. Without it: none are read there.'),
})
