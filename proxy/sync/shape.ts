/**
 * Checks of JSON from the agent: the shape that the data threads rely on. What the values mean, the agent has checked;
 * this is so that nothing from there can break a thread.
 */
export type Shape = (value: unknown, at: string, wrong: Wrong) => void

/** `at`: the path of the value, as `retries.attempts`. */
export type Wrong = (at: string, what: string) => void

/** More of them help nobody. */
const MOST_REASONS = 10

/** What is wrong, a line each; empty: the value has this shape. */
export function misshapen(value: unknown, shape: Shape): readonly string[] {
  const reasons: string[] = []
  shape(value, '', (at, what) => {
    if (reasons.length < MOST_REASONS) reasons.push(at === '' ? what : `${at}: ${what}`)
  })
  return reasons
}

export const text: Shape = (value, at, wrong) => {
  if (typeof value !== 'string') wrong(at, 'no text')
  else if (value.length > 65_536) wrong(at, 'a text of more than 65536 characters')
}

/** A text of this form. `what`: for people, as `a path`. */
export function matching(pattern: RegExp, what: string): Shape {
  return (value, at, wrong) => {
    if (typeof value !== 'string' || !pattern.test(value)) wrong(at, `not ${what}`)
  }
}

export const flag: Shape = (value, at, wrong) => {
  if (typeof value !== 'boolean') wrong(at, 'neither true nor false')
}

/** A finite number. */
export function number(min: number, max: number): Shape {
  return (value, at, wrong) => {
    if (typeof value !== 'number' || !(value >= min && value <= max)) wrong(at, `no number from ${min} to ${max}`)
  }
}

export function integer(min: number, max: number): Shape {
  return (value, at, wrong) => {
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
      wrong(at, `no whole number from ${min} to ${max}`)
  }
}

export function oneOf(...values: readonly (string | null)[]): Shape {
  return (value, at, wrong) => {
    if (!(values as readonly unknown[]).includes(value)) wrong(at, `none of ${values.join(', ')}`)
  }
}

export function listOf(shape: Shape, min: number, max: number): Shape {
  return (value, at, wrong) => {
    if (!Array.isArray(value) || value.length < min || value.length > max)
      return wrong(at, `no list of ${min} to ${max} items`)
    for (const [index, item] of value.entries()) shape(item, `${at}[${index}]`, wrong)
  }
}

export function mapOf(shape: Shape, max: number): Shape {
  return (value, at, wrong) => {
    if (!isRecord(value) || Object.keys(value).length > max) return wrong(at, `no map of at most ${max} entries`)
    for (const [key, inner] of Object.entries(value)) shape(inner, under(at, key), wrong)
  }
}

/** A field that may be absent. */
export function optional(shape: Shape): Shape {
  const own: Shape = (value, at, wrong) => shape(value, at, wrong)
  mayBeAbsent.add(own)
  return own
}

const mayBeAbsent = new WeakSet<Shape>()

/** Every one of these fields but the optional ones, and no other. */
export function fields(shapes: Readonly<Record<string, Shape>>): Shape {
  const names = new Set(Object.keys(shapes))
  return (value, at, wrong) => {
    if (!isRecord(value)) return wrong(at, 'no map')
    for (const [name, shape] of Object.entries(shapes)) {
      if (Object.hasOwn(value, name)) shape(value[name], under(at, name), wrong)
      else if (!mayBeAbsent.has(shape)) wrong(under(at, name), 'missing')
    }
    for (const name of Object.keys(value)) if (!names.has(name)) wrong(under(at, name), 'unknown')
  }
}

export function orNull(shape: Shape): Shape {
  return (value, at, wrong) => {
    if (value !== null) shape(value, at, wrong)
  }
}

/** The first whose shape it has; where it has none, what is wrong with the last. */
export function either(...shapes: readonly Shape[]): Shape {
  return (value, at, wrong) => {
    for (const shape of shapes.slice(0, -1)) if (misshapen(value, shape).length === 0) return
    shapes.at(-1)!(value, at, wrong)
  }
}

function under(at: string, key: string): string {
  return at === '' ? key : `${at}.${key}`
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The shape of a type: a field that is added to it does not compile until it is here. */
export type ShapeOf<Spec> = Readonly<Record<keyof Spec, Shape>>

export const BIG = Number.MAX_SAFE_INTEGER
export const count = integer(0, BIG)
export const ms = number(0, BIG)
export const percent = number(0, 1_000_000)
