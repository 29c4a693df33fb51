import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')

export interface YamlBlock {
  /** `docs/tcp.md:7` */
  readonly place: string
  /** What stands behind `yaml` at the fence: empty for a sidecar file. */
  readonly kind: string
  readonly text: string
}

/** Every yaml block of the documentation, and every file of the examples. */
export function yamlOfDocs(): YamlBlock[] {
  const pages = globSync('{*.md,docs/**/*.md,examples/**/*.md}', { cwd: root }).sort()
  const files = globSync('examples/**/*.yaml', { cwd: root }).sort()
  return [
    ...pages.flatMap(blocksOf),
    ...files.map(place => ({ place, kind: kindOf(place), text: readFileSync(join(root, place), 'utf8') })),
  ]
}

/** By the names of files and folders. */
const kinds = [
  [/\/dev\.yaml$/, 'dev'],
  [/\/agent\.yaml$/, 'agent'],
  [/\/policies\//, 'policy'],
  [/^examples\/kubernetes\//, 'kubernetes'],
  [/\/compose\.yaml$/, 'compose'],
  [/\/prometheus\.yaml$/, 'prometheus'],
  [/\/grafana\//, 'grafana'],
] as const

function kindOf(file: string): string {
  return kinds.find(([name]) => name.test(file))?.[1] ?? ''
}

function blocksOf(page: string): YamlBlock[] {
  const text = readFileSync(join(root, page), 'utf8')
  return [...text.matchAll(/^```ya?ml(?: (\w+))?\n([\s\S]*?)^```$/gm)].map(({ index, 1: kind = '', 2: block }) => ({
    place: `${page}:${text.slice(0, index).split('\n').length}`,
    kind,
    text: block!,
  }))
}
