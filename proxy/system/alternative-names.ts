/**
 * The URIs of a certificate, as Node writes its alternative names: `DNS:a, URI:spiffe://b`. A name with a comma or a
 * quote in it stands as a JSON text, so that none can look like two.
 */
export function urisIn(names: string): string[] {
  return partsOf(names).flatMap(part => (part.startsWith('URI:') ? [textOf(part.slice(4))] : []))
}

function partsOf(names: string): string[] {
  return names.match(/[A-Za-z ]+:(?:"(?:[^"\\]|\\.)*"|[^,]*)/g)?.map(part => part.trim()) ?? []
}

function textOf(text: string): string {
  return text.startsWith('"') ? (JSON.parse(text) as string) : text
}
