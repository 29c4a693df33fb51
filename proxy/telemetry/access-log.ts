import { defaultLogTemplate, type LogPart, readLogTemplate } from '../../mesh-config/log-template.ts'
import type { AccessLogSpec } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { quotable } from '../core/printable.ts'
import { ecsLine } from './access-log-ecs.ts'
import { jsonFieldsLine } from './access-log-fields.ts'
import { logFilter } from './access-log-filter.ts'
import { jsonLine } from './access-log-json.ts'
import { operatorValue, type Value } from './access-log-values.ts'

/** The line of a finished exchange, newline included; empty: it is not logged. */
export type AccessLogFormatter = (exchange: Exchange, clock: Clock) => string

/**
 * Compiles what the log says, once for a snapshot. Throws on a template that the configuration should have refused.
 * `service`: of this sidecar.
 */
export function accessLogFormatter(spec: AccessLogSpec, service: string): AccessLogFormatter {
  const filter = logFilter(spec)
  const format = lineOf(spec, service)
  return filter === null ? format : (exchange, clock) => (filter(exchange) ? format(exchange, clock) : '')
}

function lineOf({ format, template, fields }: AccessLogSpec, service: string): AccessLogFormatter {
  if (format === 'ecs') return ecsLine(service)
  if (format === 'json') return fields === null ? jsonLine : jsonFieldsLine(fields)
  return textLine(template ?? defaultLogTemplate)
}

function textLine(template: string): AccessLogFormatter {
  const { parts, problems } = readLogTemplate(template)
  if (problems.length > 0) throw new Error(`accessLog.template: ${problems.join('; ')}`)
  // Texts and values alternate: texts[0] values[0] texts[1] ... so a line is one loop without a branch.
  const texts: string[] = ['']
  const values: Value[] = []
  for (const part of parts) {
    if (part.kind === 'text') texts[values.length] = part.text
    else {
      values.push(textOf(part))
      texts.push('')
    }
  }
  texts[values.length] += '\n'
  return (exchange, clock) => {
    let line = texts[0]!
    for (let i = 0; i < values.length; i++) line += values[i]!(exchange, clock) + texts[i + 1]!
    return line
  }
}

/** Escapes text from callers: no forged lines, no terminal escapes, no closing of quotes. */
function textOf({ name, argument, maxLength }: LogPart & { kind: 'operator' }): Value {
  const value = operatorValue(name, argument)
  return (exchange, clock) => {
    const text = value(exchange, clock)
    if (text === '') return '-'
    return quotable(text.length > maxLength ? text.slice(0, maxLength) : text)
  }
}
