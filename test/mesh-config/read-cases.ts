import { readFileSync } from 'node:fs'

export interface ReadableCase {
  readonly name: string
  readonly text: string
  /** It stands for itself, not over minimal.yaml. */
  readonly alone: boolean
  readonly expected: readonly string[]
}

/** What cases are loaded over, as their files say at the top. */
export const minimal = {
  file: 'minimal.yaml',
  text: 'outbound: [{ listen: 127.0.0.1:9101, service: orders }]\ndiscovery:\n  endpoints: { orders: [127.0.0.1:9001, 127.0.0.1:9002] }\n',
}

/** Each `## name` of a page with a yaml block and, under it, a block of the lines that are expected. */
export function readCases(page: URL): ReadableCase[] {
  const form = /^## (?<name>.*)\n\n```yaml(?<alone> alone)?\n(?<text>[\s\S]*?)```\n```\n(?<expected>[\s\S]*?)\n```$/gm
  const text = readFileSync(page, 'utf8')
  const cases = [...text.matchAll(form)].map(({ groups }) => ({
    name: groups!.name!,
    text: groups!.text!,
    alone: groups!.alone !== undefined,
    expected: groups!.expected!.split('\n').filter(line => line !== ''),
  }))
  const titles = text.match(/^## /gm)?.length ?? 0
  if (titles !== cases.length)
    throw new Error(`${page.pathname}: ${titles} titles and ${cases.length} cases: one is not of the form`)
  return cases
}
