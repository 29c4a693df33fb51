import * as z from 'zod'
import { anyText, duration, peerAddress, setting, text } from '../values.ts'

const path = () => text(/^(\/[^/\s]+)+$/, 'a path of a znode', 'a path such as /outrigger')

/** The `policies.zookeeper` of an agent file: documents in znodes. */
export const zookeeper = z.strictObject({
  servers: setting(
    z.array(peerAddress()).min(1),
    'The servers of the ensemble, as `zk-1.internal:2181`. One of them is used; another one when it fails.',
  ),
  chroot: setting(
    path().optional(),
    'The part of the tree that is ours, where the ensemble is shared: it stands before `path`.',
  ),
  path: setting(
    path().default('/outrigger'),
    'The znode of the documents: `services/<name>` and `defaults` below it.',
    'the layout that Consul KV has too',
  ),
  auth: setting(
    anyText('user:password').optional(),
    'User and password of the digest scheme. What `outrigger policy put` makes may then be read and written by this user only.',
  ).meta({ secret: true }),
  sessionTimeout: setting(
    duration('refused').default('10s'),
    'The session asked for. A server that is silent for two thirds of it is given up.',
    'as long as most clients of ZooKeeper have it',
  ),
})
