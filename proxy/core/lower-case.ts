/** Names that were asked for, and are in lower case. */
const seen = new Set<string>()
/** More than filters, codecs and a configuration have. */
const MOST_SEEN = 256

/**
 * A name that code or a configuration asks for, in lower case: most are already, and a look at a set costs a quarter of
 * what it takes to see that. Not for names that come from a peer.
 */
export function lowerCase(name: string): string {
  if (seen.has(name)) return name
  const lower = name.toLowerCase()
  if (lower === name && seen.size < MOST_SEEN) seen.add(name)
  return lower
}
