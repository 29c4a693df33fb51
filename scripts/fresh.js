// Whether dist/ is what the sources say now. Plain JavaScript without dependencies: the launcher asks it in a clone.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const folders = ['mesh-config', 'proxy', 'agent', 'cli', 'dev', 'propagate', 'run']

export function isBuilt(root) {
  const changed = file => statSync(join(root, file), { throwIfNoEntry: false })?.mtimeMs ?? 0
  const sources = folders.flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true }).map(name => join(folder, name)),
  )
  // Folders count too: a file that was removed changes nothing else.
  return (
    changed('dist/main.js') >
    Math.max(...[...folders, ...sources, 'scripts/build.js', 'package-lock.json'].map(changed))
  )
}
