import * as z from 'zod'
import { parseRule } from './pass-through.ts'
import { setting, text } from './values.ts'

/** What a listener says of connections that are redirected to it. */

const rule = text(
  /^[A-Za-z0-9*[][A-Za-z0-9.:*_/[\]-]*$/,
  'a destination',
  'a network such as 10.0.0.0/8, an address such as 10.1.2.3:5432, or a name such as api.example.com:443',
).refine(written => typeof written !== 'string' || parseRule(written) !== null, {
  params: {
    wrong: {
      what: '{value} is not a destination',
      fix: 'write a network such as 10.0.0.0/8, an address such as 10.1.2.3:5432, or a name with a port such as api.example.com:443',
    },
  },
})

export const passThrough = setting(
  z.union([z.enum(['allow', 'deny']), z.array(rule)]).default('allow'),
  'With `transparent`: connections to destinations that belong to no known service. `allow`: they go on to where they were going. `deny`: they are refused. A list: only to these networks (`10.0.0.0/8`), addresses (`10.1.2.3:5432`) and names (`api.example.com:443`, `*.example.com:443`, as Host or server name say them).',
  'an application must not lose what it could reach before the sidecar came',
)

export const opaquePorts = setting(
  z.array(z.int().min(1).max(65_535)).default([21, 22, 25, 110, 143, 587, 3306, 4222, 4444, 5432, 6379, 9300, 11211]),
  'With `transparent`: connections that were made to these ports are TCP, and nothing of them is read first.',
  'the servers of FTP, SSH, SMTP, POP3, IMAP, MySQL, NATS and Galera speak first; the text commands of Redis and memcached look like HTTP; PostgreSQL and Elasticsearch as in Linkerd',
)
