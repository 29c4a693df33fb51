// Writes docs/consul-config-entries.md from the table of fields: node scripts/consul-entries.ts
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Kind, kinds } from '../agent/policy/consul-entries/entries.ts'
import { ruleOf, type Treatment } from '../agent/policy/consul-entries/fields.ts'

const root = join(import.meta.dirname, '..')
const listed = readFileSync(join(root, 'test/agent/policy/consul-api-fields.txt'), 'utf8')
  .split('\n')
  .filter(line => line !== '' && !line.startsWith('#'))
  .map(line => line.split(' ') as [Kind, string])

const words: Readonly<Record<Treatment, string>> = {
  yes: 'yes',
  partly: 'partly',
  kept: 'read only',
  no: '**warning**',
  data: '-',
}

function tableOf(kind: Kind): string {
  const rows = listed
    .filter(([each]) => each === kind)
    .map(([, field]) => {
      const { how, text } = ruleOf(kind, field)!
      return `| \`${field}\` | ${words[how]} | ${text} |`
    })
  return ['| field | translated | how, or why not |', '|---|---|---|', ...rows].join('\n')
}

const page = `# Consul config entries

Do you have \`service-router\`, \`service-splitter\` or \`service-resolver\` entries in Consul? The agent reads them, and every sidecar follows them within a second. You need to write nothing anew; what you write in [policies](configuration.md) counts over them, value by value.

\`\`\`yaml agent
consul:
  address: http://127.0.0.1:8500
\`\`\`

That is all: with \`consul\` in the agent file, the source \`consul entries\` is one of those in \`policies.order\`. The token of the agent needs \`service:read\` for the services, \`operator:read\` and \`agent:read\`.

## What becomes of an entry

All entries of a service together are one policy document of it; \`proxy-defaults\` is the document for all services. \`outrigger policy get orders\` shows it, with its place (\`consul service-router/orders\`), its version (the ModifyIndex of its newest entry, and a hash) and its warnings.

| entry | becomes |
|---|---|
| \`service-router\` | \`routes\`, in the same order, and one for all other requests at the end |
| \`service-splitter\` | the destinations of a route, with weights; splitters that lead to splitters are multiplied out |
| \`service-resolver\` | \`resolve\`: where the endpoints are, subsets, failover; \`balancer\`; \`timeouts\` |
| \`service-defaults\` | \`protocol\`; \`UpstreamConfig\` is how this service calls others |
| \`proxy-defaults\` | \`protocol\` of all services |
| \`service-intentions\` | read and kept; nothing is enforced yet |

The entries are compiled as Consul compiles its own discovery chain: redirects are followed, a default subset is filled in, failover and splits of a destination count. A service whose redirects or splitters go in a circle, that names a subset which is not there, or whose chain mixes protocols is refused, with the names in the reason. The version before stays in force; so do all policies while Consul cannot be reached.

A field that has no effect here is named in a warning of the document. So is a field that this version does not know.

## Differences from Envoy under Consul

- **Defaults** are those of Outrigger where an entry says nothing: connecting may take 1s (5s in Consul), requests go to the endpoint with the fewest (round robin in Consul), and a request that did not reach an application is tried once more.
- **Retries after an answer** are made of idempotent methods only, and within the budget of the service; Envoy repeats a POST as well.
- **Ejection** counts any 5xx where an entry has MaxFailures, as Envoy does; elsewhere 502, 503, 504 and missing answers, not a 500. Success rates are not compared, which Envoy does from five instances on.
- **Failover** goes on within one request: the next try of a request whose endpoint cannot be reached may be at the next target.
- **Hash policies** are those of each destination of a split; in Envoy the first ones count for all.
- \`PathExact\` with \`PrefixRewrite: /\` makes the path \`/\`. Envoy under Consul 1.22 leaves such a path as it is.
- Header values are sent as they are: variables of Envoy (\`%DOWNSTREAM_REMOTE_ADDRESS%\`) are refused with a warning, and \`%%\` is \`%\`.

${kinds.map(kind => `## ${kind}\n\n${tableOf(kind)}\n`).join('\n')}`

writeFileSync(join(root, 'docs/consul-config-entries.md'), page)
