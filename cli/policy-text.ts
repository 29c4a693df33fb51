import type { Source } from '../mesh-config/effective.ts'
import { describeSource, effectiveLines } from '../mesh-config/effective-yaml.ts'
import { printable } from '../proxy/core/printable.ts'
import type { Colours } from './colours.ts'
import type { DiffLine } from './line-diff.ts'
import { type Cell, count, span, table } from './table.ts'

/** `Document` and `Source` of agent/sync/control.proto. */
export interface PolicyDocument {
  readonly service: string
  readonly version: string
  readonly text: string
  readonly at: string
  readonly author: string
  readonly comment: string
  readonly timeMs: number
  readonly errors: readonly string[]
  readonly warnings: readonly string[]
}

export interface PolicySource {
  readonly name: string
  readonly trouble: string
  readonly ageMs: number
  readonly documents: number
}

export interface EffectivePolicy {
  readonly policy: unknown
  readonly sources: Readonly<Record<string, Source>>
}

export function listText(
  documents: readonly PolicyDocument[],
  sources: readonly PolicySource[],
  width: number,
  { bold, green, red, dim }: Colours,
): string {
  const head = (...names: string[]) => names.map((text): Cell => ({ text, paint: bold }))
  const rows = documents.map(({ service, version, at, errors }) => [
    service === '*' ? '* (all)' : service,
    version === '' ? '-' : version,
    errors.length === 0 ? { text: 'in force', paint: green } : { text: 'refused', paint: red },
    at,
    errors.length === 0 ? '' : errors[0]!,
  ])
  const sourceRows = sources.map(({ name, trouble, ageMs, documents: number }) => [
    name,
    trouble === '' ? { text: 'answers', paint: green } : { text: 'in trouble', paint: red },
    count(number, 'document'),
    trouble === '' ? `news ${span(ageMs)} ago` : trouble,
  ])
  const none =
    documents.length === 0 ? [dim('there are no policy documents: outrigger policy put orders orders.yaml')] : []
  return [
    ...(documents.length === 0
      ? none
      : table([head('SERVICE', 'VERSION', 'STATE', 'WHERE', 'WHY'), ...rows], width, 3)),
    '',
    ...table([head('SOURCE', 'STATE', 'DOCUMENTS', ''), ...sourceRows], width, 2),
  ]
    .map(line => `${line}\n`)
    .join('')
}

export function historyText(versions: readonly PolicyDocument[], width: number, { bold, dim }: Colours): string {
  const head = ['VERSION', 'WHEN', 'AUTHOR', 'COMMENT'].map((text): Cell => ({ text, paint: bold }))
  const rows = versions.map(({ version, timeMs, author, comment }) => [
    version,
    { text: timeMs === 0 ? '-' : new Date(timeMs).toISOString().slice(0, 19).replace('T', ' '), paint: dim },
    author === '' ? '-' : author,
    comment,
  ])
  return table([head, ...rows], width, 3)
    .map(line => `${line}\n`)
    .join('')
}

/** What is known of a document besides its text, as comments of YAML. */
export function factsText(
  { at, version, author, comment, timeMs, errors, warnings }: PolicyDocument,
  colours: Colours,
) {
  const { dim, red, yellow } = colours
  const who = author === '' ? '' : `, by ${author}`
  const when = timeMs === 0 ? '' : `, ${new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ')}`
  const facts = [
    dim(printable(`# ${at}, version ${version}${who}${when}`)),
    ...(comment === '' ? [] : [dim(printable(`# ${comment}`))]),
  ]
  if (errors.length > 0) facts.push(red('# refused: the version before stays in force'))
  for (const error of errors) facts.push(red(printable(`# ${error}`)))
  for (const warning of warnings) facts.push(yellow(printable(`# warning: ${warning}`)))
  return facts.map(line => `${line}\n`).join('')
}

export function effectiveText({ policy, sources }: EffectivePolicy, { bold, dim }: Colours): string {
  const lines = effectiveLines({ files: [], config: policy, sources }).map(line => ({
    ...line,
    text: printable(line.text),
  }))
  const width = Math.min(48, Math.max(...lines.map(({ text }) => text.length)))
  return lines
    .map(({ text, source }) => {
      if (source === null) return `${text}\n`
      const aligned = text.padEnd(width)
      return `${source.at === null ? aligned : bold(aligned)}  ${dim(printable(`# ${describeSource(source)}`))}\n`
    })
    .join('')
}

export function diffText(lines: readonly DiffLine[], { red, green }: Colours): string {
  const paint = { '-': red, '+': green, ' ': (text: string) => text }
  return lines.map(({ sign, text }) => `${paint[sign](`${sign}${printable(text)}`)}\n`).join('')
}
