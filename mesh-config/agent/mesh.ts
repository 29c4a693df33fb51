import * as z from 'zod'
import { anyText, listenAddress, peerAddress, setting, text } from '../values.ts'

const url = () =>
  text(
    /^https?:\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?\/?$/,
    'a URL',
    'http://host:port or https://host:port',
  )

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

const consul = z.strictObject({
  address: setting(
    url().default('http://127.0.0.1:8500'),
    'The HTTP API of the Consul agent.',
    'every host has an agent',
  ),
  token: setting(
    anyText('a token').optional(),
    'The ACL token: it needs service:write for outrigger-agent, and session:write and key:write for outrigger/.',
  ).meta({ secret: true }),
  tokenFile: setting(file().optional(), 'A file with the token, read for each call.'),
  datacenter: setting(anyText('a datacenter').optional(), 'Without it: that of the agent.'),
  ca: setting(file().optional(), 'CA certificates (PEM) of Consul, for an https address.'),
  cert: setting(file().optional(), 'The client certificate (PEM), where Consul asks for one.'),
  key: setting(file().optional(), 'Its key (PEM).'),
})

/** The `mesh` of an agent file: the other agents, which answer each other so that any of them shows the whole mesh. */
export const mesh = z
  .strictObject({
    listen: setting(
      listenAddress().optional(),
      'The TCP address for other agents, such as 0.0.0.0:15020; needs `tls`. Without it: this agent is asked on its own host only.',
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
    consul: setting(
      consul.optional(),
      'Agents register here as `outrigger-agent` and choose who leads staged roll-outs. Without it: each agent leads itself.',
    ),
  })
  .superRefine(({ listen, tls: files }, context) => {
    if (listen === undefined || files !== undefined) return
    const wrong = { what: 'other agents are only answered with mutual TLS', fix: 'write tls: with cert, key and ca' }
    context.addIssue({ code: 'custom', path: ['listen'], params: { wrong } })
  })
