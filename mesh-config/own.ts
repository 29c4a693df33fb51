/** What stands in a record under a name from elsewhere; absent: undefined, also for names such as `constructor`, which every plain object seems to have. */
export function own<Value>(record: Readonly<Record<string, Value>>, name: string): Value | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined
}
