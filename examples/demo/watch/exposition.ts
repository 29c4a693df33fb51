/** Reads what /metrics answers: the text format of Prometheus. */

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const line = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/
const label = /(\w+)="((?:[^"\\]|\\.)*)"/g

/** The samples of the families named; the others are passed over. */
export function readSamples(text: string, families: readonly string[]): Sample[] {
  const samples: Sample[] = []
  for (const each of text.split('\n')) {
    if (!families.some(family => each.startsWith(family))) continue
    const match = line.exec(each)
    if (match === null) continue
    const [, name, labels = '', value] = match
    samples.push({ name: name!, labels: readLabels(labels), value: Number(value) })
  }
  return samples
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [, name, value] of text.matchAll(label))
    labels[name!] = value!.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
  return labels
}
