import { deflateRawSync } from 'node:zlib'
import { loadSnapshot } from '../../mesh-config/load-snapshot.ts'
import { jsonText, printable } from '../core/printable.ts'
import type { ChildLine } from './config-loader.ts'

/** The process that config-loader.ts starts: files in, JSON lines out. What the proxy waits for comes first. */
const loaded = await loadSnapshot(process.argv.slice(2), process.env)

if (!loaded.ok) write({ ok: false, errors: loaded.errors })
else {
  const { bootstrap, discovery, snapshot, warnings } = loaded
  write({ ok: true, bootstrap, discovery, snapshot, warnings })
  const effective = await loaded.effective()
  const { effectiveLines, describeSource } = await import('../../mesh-config/effective-yaml.ts')
  const lines = effectiveLines(effective)
  const width = Math.min(60, Math.max(0, ...lines.map(({ text }) => text.length)))
  const text = lines.map(line => printable(line.source === null ? line.text : `${line.text.padEnd(width)}  # ${describeSource(line.source)}`)).join('\n')
  write({ json: pack(jsonText(effective)), text: pack(`${text}\n`) })
}

function write(line: ChildLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function pack(text: string): string {
  return deflateRawSync(text).toString('base64')
}
