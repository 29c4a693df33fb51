import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { node, root, run } from './child.ts'
import { machinePath, npmProgram } from './machine.ts'

/** For npm, and for what npm installed: Node 26 first, as the package asks for; npm is the one of the machine. */
export const npmEnvironment = {
  PATH: [dirname(node), machinePath].join(delimiter),
  npm_config_update_notifier: 'false',
  npm_config_fund: 'false',
  npm_config_audit: 'false',
}

/** The package as `npm pack` makes it, in an empty folder. */
export async function packInto(folder: string): Promise<string> {
  // Else packing would begin with `npm ci`, under the feet of whoever runs these tests.
  const stamp = join(root, 'node_modules/.installed')
  const current =
    existsSync(stamp) && readFileSync(stamp, 'utf8') === readFileSync(join(root, 'package-lock.json'), 'utf8')
  if (!current) throw new Error('the packages are not those of package-lock.json: run the tests by `npm test`')
  await npm(['pack', '--pack-destination', folder], root)
  return join(folder, readdirSync(folder)[0]!)
}

export async function npm(args: readonly string[], folder: string): Promise<string> {
  const { code, out, err } = await run(npmProgram('npm'), args, npmEnvironment, folder)
  if (code !== 0) throw new Error(`npm ${args.join(' ')}: ${out}${err}`)
  return out
}
