import { isNumeric, type LogPart, readLogTemplate } from '../../mesh-config/log-template.ts'
import type { Clock } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { type JsonField, jsonObject } from './access-log-json.ts'
import { operatorValue, type Value } from './access-log-values.ts'

/**
 * A JSON format of one's own, as Envoy's json_format: a field that is one operator alone keeps its type, and is null
 * where it has no value; in a text with others such an operator is `-`.
 */
export function jsonFieldsLine(fields: Readonly<Record<string, string>>): (exchange: Exchange, clock: Clock) => string {
  return jsonObject(Object.entries(fields).map(([name, template]) => fieldOf(name, template)))
}

function fieldOf(name: string, template: string): JsonField {
  const { parts, problems } = readLogTemplate(template)
  if (problems.length > 0) throw new Error(`accessLog.fields.${name}: ${problems.join('; ')}`)
  const [first] = parts
  if (parts.length === 1 && first?.kind === 'operator')
    return [name, isNumeric(first.name, first.argument) ? 'number' : 'text', shortened(first)]
  const values = parts.map((part): Value => {
    if (part.kind === 'text') return () => part.text
    const value = shortened(part)
    return (exchange, clock) => value(exchange, clock) || '-'
  })
  return [name, 'text', (exchange, clock) => values.map(value => value(exchange, clock)).join('')]
}

function shortened({ name, argument, maxLength }: LogPart & { kind: 'operator' }): Value {
  const value = operatorValue(name, argument)
  return maxLength === Number.POSITIVE_INFINITY
    ? value
    : (exchange, clock) => value(exchange, clock).slice(0, maxLength)
}
