// Writes docs/failures.md from the failure table: node scripts/failures.ts
import { writeFileSync } from 'node:fs'
import { type Failure, failures } from '../proxy/core/failure.ts'
import { grpcStatusText } from '../proxy/core/grpc.ts'

const rows: readonly Failure[] = Object.values(failures)

const sides = {
  upstream: [
    'The endpoint',
    'The side we sent the request to. Most of these count against the endpoint, in outlier detection and in `outrigger_upstream_failures_total`; each entry says so.',
  ],
  local: ['The proxy', 'The proxy itself decided. No endpoint is to blame, and none is ejected for it.'],
  downstream: ['The caller', 'The side that sent us the request. No endpoint is to blame, and nothing is tried again.'],
} as const satisfies Record<Failure['side'], readonly [title: string, text: string]>

/** What each flag says, in the words of Envoy's documentation made short. */
const flags: Readonly<Record<Failure['flag'], string>> = {
  NR: 'no route',
  OM: 'out of memory for bodies',
  NC: 'no cluster',
  UH: 'no healthy upstream',
  UF: 'upstream connection failure',
  UO: 'overflow: circuit breaking',
  UR: 'upstream remote reset',
  UC: 'upstream connection termination',
  UT: 'upstream timeout',
  UPE: 'upstream protocol error',
  SI: 'stream idle',
  DPE: 'downstream protocol error',
  UMSDR: 'maximum stream duration reached',
  DT: 'downstream too slow',
  DC: 'downstream connection termination',
  LR: 'local reset',
  UAEX: 'not allowed here',
  URX: 'upstream retry limit exceeded',
  RL: 'rate limited',
  FI: 'fault injected',
  DI: 'delay injected',
}

/** Where the HTTP status is not what the caller sees. */
const seen: Readonly<Record<string, string>> = {
  'reset-after-response':
    'the status of the answer that had begun, then a reset of the connection; in gRPC, this status in the trailers',
  'upstream-idle':
    'the status of the answer that had begun, then a reset of the connection; in gRPC, this status in the trailers',
  'stream-deadline': 'the gRPC status of this row in the trailers of the answer that had begun',
  'grpc-needs-http2': '505 with this failure in the body, which is no gRPC',
  drained: 'the connection is closed; where an answer had begun, it is cut',
  'downstream-gone': 'nothing: it has gone',
}

/** What else there is to say of some. */
const rare: Readonly<Record<string, string>> = {
  'refused-stream': 'only endpoints that speak HTTP/2 can refuse a stream.',
  'goaway-unprocessed':
    'the first time it goes elsewhere whatever the policy says, and does not count against `retries.attempts`.',
  'no-cluster': 'the configuration check refuses such a route, so this version does not meet it.',
}

const replays = {
  unsent: 'The endpoint cannot have acted on the request, so any method may be tried again.',
  'maybe-sent': 'The endpoint may have acted on it: only GET, HEAD, OPTIONS, TRACE, PUT and DELETE are tried again.',
  never: 'never.',
} as const satisfies Record<Failure['replay'], string>

const against = {
  failure: 'it counts, in outlier detection and in `outrigger_upstream_failures_total`.',
  ignorable: 'nothing is counted.',
} as const satisfies Record<Failure['outcome'], string>

/** The page docs/failures.md; test/docs.test.ts checks that the file is this. */
export function failuresPage(): string {
  return [
    introduction,
    '## By flag\n',
    table(
      ['flag', 'HTTP', 'failure', 'what happened'],
      [...rows].sort(byFlag).map(row => [`**${row.flag}** ${flags[row.flag]}`, status(row), link(row), row.reason]),
    ),
    ...(Object.keys(sides) as Failure['side'][]).map(section),
    ending,
  ].join('\n')
}

function section(side: Failure['side']): string {
  const [title, text] = sides[side]
  return [`## ${title}\n`, `${text}\n`, ...rows.filter(row => row.side === side).map(entry)].join('\n')
}

function entry(row: Failure): string {
  return `### ${row.failure}

**${row.flag}**, HTTP ${row.httpStatus}, gRPC ${grpcStatusText(row.grpcStatus)}, replay \`${row.replay}\`

- **What happened:** ${row.reason}.
- **Where to look:** ${row.remedy}.
- **The caller sees:** ${seen[row.failure] ?? `${row.httpStatus} with this failure in the body`}.
- **Tried again:** ${triedAgain(row)}
${row.side === 'upstream' ? `- **Against the endpoint:** ${against[row.outcome]}\n` : ''}${row.failure in rare ? `- **Note:** ${rare[row.failure]}\n` : ''}`
}

function triedAgain(row: Failure): string {
  const { condition } = row
  if (condition === null) return row.replay === 'never' ? replays.never : `no: \`retries.on\` has no word for it.`
  return `when \`retries.on\` has \`${condition}\`. ${replays[row.replay]}`
}

function status(row: Failure): string {
  return row.failure in seen ? `(${row.httpStatus})` : String(row.httpStatus)
}

function link({ failure }: Failure): string {
  return `[${failure}](#${failure})`
}

function byFlag(a: Failure, b: Failure): number {
  return a.flag < b.flag ? -1 : a.flag > b.flag ? 1 : a.httpStatus - b.httpStatus
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  return `${[head, head.map(() => '---'), ...body].map(cells => `| ${cells.join(' | ')} |`).join('\n')}\n`
}

const introduction = `# Failures

<!-- Made from the table of proxy/core/failure.ts by scripts/failures.ts: change the table there, not this page. -->

Every answer that the proxy makes itself, and every answer it had to cut, has one row of one table behind it. The same row is in the body of the answer
(\`application/problem+json\`), in the access log, in \`/flights\`, in \`/explain\` and in the \`flags\` label of \`http_requests_total\`. So start from whichever you have.

| you have | do |
|---|---|
| a flag such as \`UF\` in the access log or on a dashboard | look it up [by flag](#by-flag) |
| the body of the answer | its \`failure\` is a heading on this page; its \`detail\` says what this one time was about |
| a request id | \`curl -s 'http://127.0.0.1:15000/flights?failed' -H 'accept: text/plain'\` and search for it |
| "it fails now and then" | the same page: the last failed requests (\`flights.failed\`, 256 by default), each with all its attempts and why there was no other one |
| "would it fail now?" | \`outrigger explain http://orders/api/1\`: the same code, nothing is sent |
| a 5xx without a flag (\`-\`) | the application answered so itself: the proxy only passed it on |

The flags are Envoy's, so dashboards and habits carry over. A status in brackets is in logs and metrics only: the caller sees something else, which the entry says.
The gRPC status is what a [gRPC](grpc.md) caller gets (content-type application/grpc), with HTTP 200, the reason as its message, and the flag as \`x-outrigger-flag\`.
`

const ending = `## Several failures in one request

A request may fail at one endpoint and succeed at another. Then the caller gets the good answer, the access log has no flag, and only \`/flights\` and
\`outrigger_upstream_failures_total\` show the failed attempt. When no attempt succeeds, the failure of the last one is the failure of the request.

## Refused before it was a request

A malformed head is refused by the codec: it has no method, no route and no request id, and it is counted with \`service="-"\` and \`path="-"\`.
\`/flights?failed\` as JSON has the address it came from in \`peer\`, and the rule it broke in \`detail\`.
`

if (import.meta.main) writeFileSync(new URL('../docs/failures.md', import.meta.url), failuresPage())
