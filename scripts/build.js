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

// Small modules that several programs share would each be a file of its own to read at a start: they are one. What
// makes HTML is one file, which only a browser's request loads.
const groups = [
  { name: 'common', test: /proxy\/core\/(printable|grpc|log)\.ts$|mesh-config\/(address|duration|nearest)\.ts$/ },
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
