import { existsSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { node, root } from './child.ts'

const folders = [
  // The Node that npm itself runs on, which the tests do not: npm says so to what it starts.
  ...(process.env.npm_node_execpath === undefined ? [] : [dirname(process.env.npm_node_execpath)]),
  ...(process.env.PATH ?? '').split(delimiter).filter(folder => !folder.startsWith(root)),
  ...['/usr/local/bin', '/usr/bin', '/bin'],
]

/** The PATH of a user of this machine, also where the tests run with a PATH of only Node. */
export const machinePath = folders.join(delimiter)

/** With Node 26 before it: what an application finds that names its programs. */
export const applicationPath = [dirname(node), machinePath].join(delimiter)

/** npm and npx come with the Node of the machine. */
export function npmProgram(name: 'npm' | 'npx'): string {
  const found = folders.map(folder => join(folder, name)).find(path => existsSync(path))
  if (found === undefined)
    throw new Error(`there is no ${name} beside the Node of this machine: run the tests by \`npm test\``)
  return found
}
