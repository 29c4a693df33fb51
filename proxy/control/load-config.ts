import { constants, setPriority } from 'node:os'
import { deflateRawSync } from 'node:zlib'
import { loadSnapshot } from '../../mesh-config/load-snapshot.ts'
import { hidden } from '../../mesh-config/secret.ts'
import { jsonText } from '../core/printable.ts'
import { buildOf, type CacheHead } from './config-cache.ts'
import { keepConfig } from './keep-config.ts'
import type { ChildLine } from './loaded-config.ts'

/** The process that config-loader.ts starts: files in, JSON lines out. What the proxy waits for comes first. */
const [, program, ...files] = process.argv as [string, string, ...string[]]
/** Those that decide of the state folder, and those that the files name. */
const looked = new Set(['HOME', 'XDG_STATE_HOME', 'STATE_DIRECTORY'])
const env = new Proxy(process.env, {
  get(target, name: string) {
    looked.add(name)
    return target[name]
  },
})
let sources: CacheHead['files'] = []
const loaded = await loadSnapshot(files, env, read => (sources = read))

if (!loaded.ok) write({ ok: false, errors: loaded.errors })
else {
  const { bootstrap, discovery, agent, snapshot, warnings } = loaded
  const config = { ok: true, bootstrap, discovery, agent, snapshot, warnings } as const
  write(config)
  // The proxy starts with that, perhaps on the same core; what follows is for /config and for the next start.
  setPriority(constants.priority.PRIORITY_LOW)
  const effective = await loaded.effective()
  const { effectiveText } = await import('./effective-text.ts')
  const json = jsonText(effective)
  const own = JSON.stringify(agent.kind === 'off' ? {} : await loaded.own())
  const shown = { json: pack(json), text: pack(effectiveText(effective)), own: pack(own) }
  write(shown)
  // A secret stays where its owner put it. And the sources are no program that is built: they change from one moment to
  // the next.
  const isSecret = json.includes(hidden) || (discovery.consul?.address.includes('@') ?? false)
  if (!isSecret && program.endsWith('.js')) {
    const values = Object.fromEntries([...looked].map(name => [name, process.env[name] ?? null]))
    keepConfig({ build: buildOf(program), files: sources, env: values }, config, shown)
  }
}

function write(line: ChildLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function pack(text: string): string {
  return deflateRawSync(text).toString('base64')
}
