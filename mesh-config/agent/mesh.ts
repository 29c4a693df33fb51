import * as z from 'zod'
import { anyText, listenAddress, peerAddress, setting } from '../values.ts'

const file = () => anyText('a file')

const tls = z.strictObject({
  cert: setting(file(), 'The certificate of this agent (PEM), for both sides of a connection.'),
  key: setting(file(), 'Its key (PEM).'),
  ca: setting(file(), 'The CA of the mesh (PEM): an agent without a certificate of it is not heard.'),
  name: setting(
    anyText('a name').optional(),
    'The name that certificates of agents have, where it is one for all. Without it: the address that is dialled.',
  ),
})

/** The `mesh` of an agent file: the other agents, which answer each other so that any of them shows the whole mesh. */
export const mesh = z
  .strictObject({
    listen: setting(
      listenAddress().optional(),
      'The TCP address for other agents, such as 0.0.0.0:15010; needs `tls`. Without it: this agent is asked on its own host only.',
    ),
    advertise: setting(
      peerAddress().optional(),
      'Where other agents reach it. Without it: `listen`, or with a wildcard address the name of the host.',
    ),
    tls: setting(tls.optional(), 'Mutual TLS between agents; there is no other way over TCP.'),
    agents: setting(
      z.array(peerAddress()).default([]),
      'Other agents by address, where there is no Consul to find them in.',
      'Consul lists them',
    ),
  })
  .superRefine(({ listen, tls: files }, context) => {
    if (listen === undefined || files !== undefined) return
    const wrong = { what: 'other agents are only answered with mutual TLS', fix: 'write tls: with cert, key and ca' }
    context.addIssue({ code: 'custom', path: ['listen'], params: { wrong } })
  })
