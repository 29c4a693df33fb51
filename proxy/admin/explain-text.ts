import type { ExplainAnswer, FlightView } from '../core/channel.ts'
import { grpcStatusText } from '../core/grpc.ts'
import { printable } from '../core/printable.ts'
import { askedOf } from './flights-text.ts'

/** The stages in the order that the request would pass them, and the outcome. */
export function explainText({ steps }: ExplainAnswer, record: FlightView): string {
  const width = Math.max(0, ...steps.map(({ stage }) => stage.length))
  const lines = [askedOf(record), '│']
  for (const { stage, text } of steps) {
    const [first, ...more] = text.split('\n')
    lines.push(`├─ ${stage.padEnd(width)}  ${first}`, ...more.map(each => `│  ${' '.repeat(width)}  ${each}`))
  }
  const [first, ...more] = explainedOutcome(record)
  lines.push('│', `└─ ${first}`, ...more.map(each => `   ${each}`))
  return `${lines.map(printable).join('\n')}\n`
}

/** The outcome of the request: the first line, then why and what to do. */
export function explainedOutcome({
  protocol,
  failure,
  status,
  grpcStatus,
  flag,
  reason,
  detail,
  remedy,
  attempts,
  destination,
}: FlightView): string[] {
  if (failure === '') return [`would be sent to ${attempts.at(-1)?.endpoint ?? '?'} (${destination})`]
  const told = grpcStatus === null ? `${status}` : `${status}, grpc ${grpcStatusText(grpcStatus)}`
  const what = protocol === 'tcp' ? 'closed by the proxy' : `answered by the proxy: ${told}`
  return [
    `would be ${what} ${flag}, ${reason}`,
    ...(detail === '' ? [] : [`detail:     ${detail}`]),
    `what to do: ${remedy}`,
  ]
}
