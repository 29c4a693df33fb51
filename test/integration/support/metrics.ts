/** A scrape, to ask for values in. */
export interface Metrics {
  readonly text: string
  readonly lines: number
  /** The sum of all samples of that name with these labels; 0 when there are none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number
  has(name: string): boolean
}

export function parseMetrics(text: string): Metrics {
  const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  const samplesOf = (name: string) => lines.filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  return {
    text,
    lines: lines.length,
    has: name => samplesOf(name).length > 0,
    value(name, labels = {}) {
      const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`)
      const matching = samplesOf(name).filter(line => {
        const own = line.slice(line.indexOf('{') + 1, line.lastIndexOf('}')).split(/,(?=[a-zA-Z_]+=)/)
        return wanted.every(pair => own.includes(pair))
      })
      return matching.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
    },
  }
}
