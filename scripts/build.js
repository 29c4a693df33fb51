// Emits dist/ with tsc, and leaves it alone when nothing changed since.
import { spawnSync } from 'node:child_process'
import { globSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const changed = file => statSync(join(root, file), { throwIfNoEntry: false })?.mtimeMs ?? 0
const sources = [...globSync('{mesh-config,proxy,cli}/**/*.ts', { cwd: root }), 'tsconfig.json', 'tsconfig.build.json', 'package.json']
const newest = Math.max(...sources.map(changed))
if (changed('dist/cli/main.js') > newest && !process.argv.includes('--force')) process.exit(0)
rmSync(join(root, 'dist'), { recursive: true, force: true })
const { status } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
process.exit(status ?? 1)
