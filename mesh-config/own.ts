/**
 * Looks up a name that came from a file, a registry or a caller. Undefined: absent. A plain index would find
 * `constructor` and `toString` on every object.
 */
export function own<Value>(record: Readonly<Record<string, Value>>, name: string): Value | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined
}
