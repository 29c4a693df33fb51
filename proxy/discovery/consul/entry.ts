/**
 * The fields of an instance in `/v1/health/service/:name` that are used. Older versions of Consul, and other programs
 * that register, omit many of them.
 */
export interface Entry {
  readonly Node?: NodeEntry | null
  readonly Service?: ServiceEntry | null
  readonly Checks?: readonly CheckEntry[] | null
}

export interface NodeEntry {
  readonly ID?: string
  readonly Node?: string
  readonly Datacenter?: string
  readonly Address?: string
  readonly TaggedAddresses?: Readonly<Record<string, string>> | null
  readonly Meta?: Readonly<Record<string, string>> | null
  readonly Locality?: LocalityEntry | null
}

export interface ServiceEntry {
  readonly Kind?: string
  readonly ID?: string
  readonly Service?: string
  readonly Tags?: readonly string[] | null
  readonly Address?: string
  readonly Port?: number
  readonly TaggedAddresses?: Readonly<
    Record<string, { readonly Address?: string; readonly Port?: number } | null>
  > | null
  readonly Meta?: Readonly<Record<string, string>> | null
  readonly Weights?: { readonly Passing?: number; readonly Warning?: number } | null
  readonly Locality?: LocalityEntry | null
}

export interface CheckEntry {
  readonly CheckID?: string
  readonly Name?: string
  readonly Status?: string
  readonly Notes?: string
  readonly Output?: string
}

export interface LocalityEntry {
  readonly Region?: string
  readonly Zone?: string
}

/** Throws an Error with a message for people. */
export function entriesOf(json: unknown): readonly (Entry & { readonly Service: ServiceEntry })[] {
  const fine = Array.isArray(json) && json.every(entry => typeof entry?.Service === 'object' && entry.Service !== null)
  if (!fine) throw new Error('the answer of Consul is no list of instances')
  return json
}
