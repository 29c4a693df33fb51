// Emits dist/: four programs (the command line with the control thread, the data thread, the readers of configurations
// and of endpoint files), what applications load (propagate), and the chunks they share, each one file, because reading
// two hundred small modules would take longer than all else that happens at a start. Leaves dist/ alone when nothing
// changed since.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { isBuilt } from './fresh.js'
import { loadedByName } from './loaded-by-name.js'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
if (isBuilt(root) && !process.argv.includes('--force')) process.exit(0)

// Each file costs about a millisecond of a start, however small: small modules that several programs share are one, and
// so are those of the control thread and the data threads. What makes HTML is one file, which only a browser's request
// loads.
const ofAll = [
  'proxy/core/(printable|grpc|log|hash|header-list|endpoint-state)',
  'proxy/control/config-cache',
  'mesh-config/(address|bounded-json|duration|edited-heads|ejectable|endpoint-json|filter-expression|host-name)',
  'mesh-config/(log-template|nearest|own|read-file|secret|warns|weight|agent/distrust|agent/socket)',
]
const ofThreads = [
  'proxy/core/(turn|slots|metrics-[a-z-]+|ledger|endpoints-delta|same)',
  'proxy/system/(net|clock|turns|timer-wheel|families|names|name-[a-z-]+|resolve-name|shrink-heap|buffers)',
  'proxy/system/(socket-wire|listen-on|cannot-listen)',
]
const oneOf = modules => new RegExp(`/(${modules.join('|')})\\.ts$`)
const groups = [
  { name: 'common', test: oneOf(ofAll) },
  { name: 'threads', test: oneOf(ofThreads) },
  { name: 'html', test: /proxy\/admin\/html\// },
  { name: 'admin', test: /proxy\/admin\/[^/]+$/ },
]

const bundle = await rolldown({
  cwd: root,
  input: {
    main: 'cli/main.ts',
    worker: 'proxy/worker.ts',
    'load-config': 'proxy/control/load-config.ts',
    'read-endpoints': 'proxy/control/read-endpoints.ts',
  },
  platform: 'node',
  // What is needed at every start is bundled; what only some configurations or pages need stays in node_modules.
  external: [/^node:/, ...loadedByName.map(name => new RegExp(`^${name}(/|$)`))],
  treeshake: true,
  preserveEntrySignatures: 'allow-extension',
})
rmSync(join(root, 'dist'), { recursive: true, force: true })
await bundle.write({
  dir: join(root, 'dist'),
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: '[name].js',
  comments: false,
  codeSplitting: { groups, includeDependenciesRecursively: false },
})
await bundle.close()

// One character beyond Latin-1 makes V8 keep the whole text of a chunk with two bytes for each character.
for (const name of readdirSync(join(root, 'dist')).filter(each => each.endsWith('.js'))) {
  const code = readFileSync(join(root, 'dist', name), 'utf8')
  const escaped = code.replace(/[^\0-\xff]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  if (escaped !== code) writeFileSync(join(root, 'dist', name), escaped)
}

// What applications load into their own process, with their own Node: one file, and a Node of 2023 reads it.
const propagate = await rolldown({
  cwd: root,
  input: 'propagate/main.ts',
  platform: 'node',
  external: [/^node:/],
  transform: { target: 'node20' },
})
await propagate.write({ file: join(root, 'dist/propagate.js'), format: 'esm', comments: false })
await propagate.close()
for (const name of readdirSync(join(root, 'agent/sync')).filter(each => each.endsWith('.proto')))
  cpSync(join(root, 'agent/sync', name), join(root, 'dist/protos', name))
