import * as z from 'zod'
import { addressPattern, explainAddress, isLiteral, parseAddress } from './address.ts'
import { durationPattern, guessDuration, parseDuration } from './duration.ts'
import { FIELD_NAME } from './edited-heads.ts'
import { guessSize, parseSize, sizePattern } from './size.ts'
import type { Check } from './wrong.ts'

// A configuration is parsed once or twice in the life of a process: compiling parsers for it would cost more time than
// it saves.
z.config({ jitless: true })

/**
 * The building blocks of the two documents. Values stay as the user wrote them (`5s`, `64KiB`), because `config
 * effective` shows them; compile.ts turns them into numbers.
 */

/** Description and, for a default, its reason: both go into the reference, the JSON Schema and `config effective`. */
export function setting<Schema extends z.ZodType>(schema: Schema, description: string, why?: string): Schema {
  return schema.meta({ description, ...(why === undefined ? {} : { why }) })
}

/** A text with a check of our own, and a pattern that tells editors the same. */
export function checked<Value = string>(
  check: Check,
  jsonSchema: Readonly<Record<string, unknown>>,
): z.ZodCustom<Value, Value> {
  const schema = z.custom<Value>().superRefine((input, context) => {
    const wrong = input === undefined ? null : check(input)
    if (wrong !== null) context.addIssue({ code: 'custom', params: { wrong } })
    else if (input === undefined) context.addIssue({ code: 'invalid_type', expected: 'string', input })
  })
  return schema.meta({ type: 'string', ...jsonSchema })
}

/** A duration or a size: 0 needs no unit. */
export type Measure = string | 0

const durationFix = 'write a number with a unit, such as 250ms, 2s, 5m or 1h'

/** `off`: 0 turns it off. `none`: 0 is a length like others. `refused`: there must be some time. */
export function duration(zero: 'off' | 'none' | 'refused' = 'off'): z.ZodCustom<Measure, Measure> {
  const check: Check = input => {
    if (typeof input !== 'string' && typeof input !== 'number')
      return { what: '{value} is not a duration', fix: durationFix, otherForm: typeof input === 'object' }
    const ms = input === 0 ? 0 : typeof input === 'string' ? parseDuration(input) : null
    if (ms === null) {
      const what = typeof input === 'number' ? '{value} has no unit' : '{value} is not a duration'
      return { what, fix: durationFix, meant: guessDuration(input) }
    }
    if (ms === 0 && zero === 'refused') return { what: 'this cannot be off', fix: durationFix }
    if (input === 'off' && zero === 'none') return { what: 'this cannot be off', fix: 'write 0s for no time at all' }
    return null
  }
  return checked<Measure>(check, {
    kind: 'duration',
    type: ['string', 'integer'],
    pattern: durationPattern,
    maximum: 0,
    minimum: 0,
  })
}

const sizeFix = 'write a number with a unit, such as 512B, 64KiB or 1MiB'

export function size(minBytes: number, maxBytes: number, limits: string): z.ZodCustom<Measure, Measure> {
  const check: Check = input => {
    if (typeof input !== 'string' && typeof input !== 'number')
      return { what: '{value} is not a size', fix: sizeFix, otherForm: typeof input === 'object' }
    const bytes = parseSize(String(input))
    if (bytes === null) {
      const what = typeof input === 'number' ? '{value} has no unit' : '{value} is not a size'
      return { what, fix: sizeFix, meant: guessSize(input) }
    }
    return bytes < minBytes || bytes > maxBytes
      ? { what: '{value} is out of range', fix: `write a size ${limits}` }
      : null
  }
  return checked<Measure>(check, {
    kind: `size ${limits}`,
    type: ['string', 'integer'],
    pattern: sizePattern,
    maximum: 0,
    minimum: 0,
  })
}

/**
 * An address to listen on: of this machine, so no name but `localhost`; port 0 lets the system choose one. `orOff`: or
 * the word `off`.
 */
export function listenAddress(orOff = false): z.ZodCustom<string, string> {
  const fix = orOff
    ? 'write address:port, such as 127.0.0.1:15000, or off'
    : 'write address:port, such as 127.0.0.1:15001'
  return checked(
    input => {
      if (orOff && (input === 'off' || input === false))
        return input === 'off' ? null : { what: '{value} is not an address', fix: 'write off' }
      const wrong = checkAddress(input, fix, '0.0.0.0')
      if (wrong !== null) return wrong
      const { address } = parseAddress(String(input))!
      const isName = /[a-z]/.test(address) && !address.includes(':') && address !== 'localhost'
      return isName
        ? {
            what: '{value} is a name, and listening needs an IP address of this machine',
            fix: 'write 127.0.0.1 (this machine only) or 0.0.0.0 (everyone)',
          }
        : null
    },
    {
      kind: orOff ? 'address or `off`' : 'address',
      pattern: orOff ? `^off$|${addressPattern}` : addressPattern,
      examples: ['127.0.0.1:15001', '0.0.0.0:20000', '[::1]:15001'],
    },
  )
}

/** The address of a name server: not a name, which would need another name server. */
export function nameServer(): z.ZodCustom<string, string> {
  const fix = 'write address:port, such as 10.0.0.2:53'
  return checked(
    input => {
      const wrong = checkAddress(input, fix, '127.0.0.1')
      if (wrong !== null) return wrong
      const { address, port } = parseAddress(String(input))!
      if (port === 0) return { what: 'nothing can be reached at port 0', fix }
      return isLiteral(address) && address !== 'localhost'
        ? null
        : { what: '{value} is a name, and a name server needs an IP address', fix }
    },
    { kind: 'address', pattern: addressPattern, examples: ['10.0.0.2:53', '[fd00::2]:53'] },
  )
}

/** An address to connect to. */
export function peerAddress(): z.ZodCustom<string, string> {
  const fix = 'write host:port, such as 127.0.0.1:3000'
  return checked(
    input => {
      const wrong = checkAddress(input, fix, '127.0.0.1')
      return wrong === null && parseAddress(String(input))!.port === 0
        ? { what: 'nothing can be reached at port 0', fix }
        : wrong
    },
    { kind: 'address', pattern: addressPattern, examples: ['127.0.0.1:3000', 'orders.internal:8080', '[::1]:3000'] },
  )
}

const checkAddress = (input: unknown, fix: string, everywhere: string): ReturnType<Check> => {
  if (typeof input !== 'string' && typeof input !== 'number')
    return { what: '{value} is not an address', fix, otherForm: typeof input === 'object' }
  return typeof input === 'string' && parseAddress(input) !== null
    ? null
    : { ...explainAddress(input, everywhere), fix }
}

/** A text that matches a pattern as a whole. Errors show `example`; `meant` may guess what was intended. */
export function text(
  pattern: RegExp,
  name: string,
  example: string,
  meant?: (input: string) => string,
): z.ZodCustom<string, string> {
  const fix = `write ${example}`
  const check: Check = input => {
    if (typeof input === 'object') return { what: `{value} is not ${name}`, fix, otherForm: true }
    if (typeof input !== 'string')
      return { what: `{value} is a ${typeof input}, and ${name} is a text`, fix, meant: JSON.stringify(String(input)) }
    if (pattern.test(input)) return null
    const guess = meant?.(input)
    return {
      what: `{value} is not ${name}`,
      fix,
      meant: guess !== undefined && guess !== input && pattern.test(guess) ? guess : null,
    }
  }
  return checked(check, {
    kind: name.replace(/^an? /, ''),
    ...(pattern === anything ? {} : { pattern: pattern.source }),
  })
}

const anything = /[\s\S]*/

export function anyText(name: string): z.ZodCustom<string, string> {
  return text(anything, name, 'a text')
}

/** A name a service goes by in config, in Consul and as a Host. */
export function serviceName(): z.ZodCustom<string, string> {
  return text(
    /^[a-z0-9]([a-z0-9_.-]*[a-z0-9])?$/,
    'a service name',
    'small letters, digits, - _ and . such as orders or orders-v2',
    input => input.toLowerCase().replace(/[^a-z0-9_.-]+/g, '-'),
  )
}

export function label(name: string): z.ZodCustom<string, string> {
  return text(/^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/, name, 'letters, digits, - _ and . such as v2')
}

/** The fields of a map, each optional and without its default, for a map that overrides some of them. */
export function overrides<Shape extends Readonly<Record<string, z.ZodDefault>>>(
  shape: Shape,
): { [Key in keyof Shape]: z.ZodOptional<ReturnType<Shape[Key]['unwrap']>> } {
  const entries = Object.entries(shape).map(([key, field]) => {
    const { description } = field.meta() ?? {}
    return [key, (field.unwrap() as z.ZodType).optional().meta({ description })]
  })
  return Object.fromEntries(entries)
}

export const headerName = text(FIELD_NAME, 'a header name', 'a name such as x-tester')

/** Requires exactly one of several forms. */
export function exactlyOne(
  forms: Readonly<Record<string, unknown>>,
  context: z.core.$RefinementCtx,
  example = '{ prefix: /api/ } or { exact: value }',
): void {
  const given = Object.keys(forms).filter(form => forms[form] !== undefined)
  if (given.length === 1 || context.issues.length > 0) return
  const what = given.length === 0 ? 'this matches nothing' : `${given.join(' and ')} exclude each other`
  context.addIssue({
    code: 'custom',
    params: { wrong: { what, fix: `write exactly one of them, such as ${example}` } },
  })
}
