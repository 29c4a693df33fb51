import { DELIMITED, delimited, Fields } from './wire.ts'

export interface Enriched {
  /** `service.name`, or `unknown_service`. */
  readonly service: string
  /** Attributes that it lacks, as bytes to add to the resource; null: none. */
  readonly extra: Buffer | null
}

/** Looks at a resource, which is given as the parts it was written in. */
export type Enrich = (resource: readonly Buffer[]) => Enriched

const MAX_NAME_BYTES = 255

/**
 * Adds what the agent knows of its host to the resource of spans. What a sender says of itself stays. `attributes`: read
 * at each call, because Consul may answer late.
 */
export function enricher(attributes: () => ReadonlyMap<string, string>): Enrich {
  let known = attributes()
  let encoded = encode(known)
  return resource => {
    const now = attributes()
    if (now !== known) {
      known = now
      encoded = encode(now)
    }
    let service = 'unknown_service'
    const there = new Set<string>()
    for (const part of resource) {
      const fields = new Fields(part)
      while (fields.next()) {
        if (fields.number !== 1) continue
        const { key, value } = readAttribute(part, fields.from, fields.end)
        if (key === 'service.name' && value !== null && value !== '') service = value.slice(0, MAX_NAME_BYTES)
        else if (encoded.has(key)) there.add(key)
      }
    }
    const missing = [...encoded].flatMap(([key, bytes]) => (there.has(key) ? [] : [bytes]))
    return { service, extra: missing.length === 0 ? null : Buffer.concat(missing) }
  }
}

/** The attributes of a resource, each as a field of it. */
function encode(attributes: ReadonlyMap<string, string>): ReadonlyMap<string, Buffer> {
  return new Map(
    [...attributes].map(([key, value]) => {
      const anyValue = delimited(1, [Buffer.from(value)])
      return [key, delimited(1, [delimited(1, [Buffer.from(key)]), delimited(2, [anyValue])])]
    }),
  )
}

/** `value`: where it is a text. */
function readAttribute(bytes: Buffer, from: number, end: number): { key: string; value: string | null } {
  let key = ''
  let value: string | null = null
  const fields = new Fields(bytes, from, end)
  while (fields.next()) {
    if (fields.wire !== DELIMITED) continue
    if (fields.number === 1) key = bytes.toString('utf8', fields.from, fields.end)
    else if (fields.number === 2 && (key === '' || key === 'service.name')) value = readText(bytes, fields)
  }
  return { key, value }
}

function readText(bytes: Buffer, { from, end }: Fields): string | null {
  const fields = new Fields(bytes, from, end)
  while (fields.next())
    if (fields.number === 1 && fields.wire === DELIMITED) return bytes.toString('utf8', fields.from, fields.end)
  return null
}
