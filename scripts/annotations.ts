import { readFileSync, writeFileSync } from 'node:fs'
import { annotationTable } from '../inject/annotations.ts'

/** Writes the table of annotations in docs/kubernetes.md. `npm run docs` runs it; a test compares the page with the table. */

const page = new URL('../docs/kubernetes.md', import.meta.url)
const [BEGIN, END] = ['<!-- annotations -->', '<!-- end of annotations -->']

export function withAnnotations(text: string): string {
  const [before, rest] = text.split(BEGIN)
  return `${before}${BEGIN}\n\n${annotationTable()}\n\n${END}${rest!.split(END)[1]}`
}

if (import.meta.main) writeFileSync(page, withAnnotations(readFileSync(page, 'utf8')))
