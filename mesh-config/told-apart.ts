/** Names of one list, the second of a name with its number among those: they are labels. */
export function toldApart(names: readonly string[]): string[] {
  const used = new Map<string, number>()
  return names.map(name => {
    const times = (used.get(name) ?? 0) + 1
    used.set(name, times)
    return times === 1 ? name : `${name}#${times}`
  })
}
