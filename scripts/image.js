// image.js FOLDER: what a container image has of this package: the programs, and of node_modules what they load by name.
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { loadedByName } from './loaded-by-name.js'

const root = join(import.meta.dirname, '..')
const to = process.argv[2]
if (to === undefined) throw new Error('usage: node scripts/image.js FOLDER')

for (const name of ['bin', 'dist', 'package.json', 'LICENSE'])
  cpSync(join(root, name), join(to, name), { recursive: true })
// The launcher runs the sources where it finds them, and asks then whether they are newer than the bundles.
const taken = new Set()
const open = loadedByName.map(name => ({ name, from: root }))
for (const { name, from } of open) {
  if (name.startsWith('@types/')) continue
  const folder = place(name, from)
  if (taken.has(folder)) continue
  taken.add(folder)
  cpSync(join(root, folder), join(to, folder), { recursive: true, filter: isNeeded })
  const { dependencies = {} } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  for (const each of Object.keys(dependencies)) open.push({ name: each, from: join(root, folder) })
}
for (const name of readdirSync(join(to, 'bin'))) if (!name.endsWith('.js')) rmSync(join(to, 'bin', name))

/** Node's way: the nearest node_modules that has it. Packages inside packages are copied with those. */
function place(name, from) {
  for (let folder = from; folder.startsWith(root); folder = join(folder, '..')) {
    if (existsSync(join(folder, 'node_modules', name))) return join(folder, 'node_modules', name).slice(root.length + 1)
  }
  throw new Error(`${name}, which ${from} needs, is not installed`)
}

/** Types, maps and texts for people are not run. */
function isNeeded(path) {
  if (statSync(path).isDirectory()) return !['test', 'tests', 'docs', 'example', 'examples'].includes(basename(path))
  return !/\.(d\.[cm]?ts|map|md|markdown|ts)$/.test(path)
}
