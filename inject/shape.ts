/** What users and API servers hand over is looked at through these: nothing is taken to have the shape it should. */

export type Json = Readonly<Record<string, unknown>>

/** Empty where the value is no map. */
export function mapOf(value: unknown): Json {
  return isMap(value) ? value : {}
}

export function isMap(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The maps of a list; empty where the value is no list. */
export function mapsOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.filter(isMap) : []
}

/** Null where the value is no text. */
export function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

export function own(map: Json, key: string): unknown {
  return Object.hasOwn(map, key) ? map[key] : undefined
}
