import { readdirSync, readFileSync } from 'node:fs'

/** The folder of a running dev: where the files of its sidecars are. */
export function folderOf(pids: readonly number[]): string | null {
  for (const pid of pids) {
    const folder = /\0(\/[^\0]+\/outrigger-dev-\w+)\//.exec(readFileSync(`/proc/${pid}/cmdline`, 'latin1'))?.[1]
    if (folder !== undefined) return folder
  }
  return null
}

/** The pids of all processes whose environment has this text: a folder that only they know. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter(name => {
      try {
        return (
          readFileSync(`/proc/${name}/environ`, 'latin1').includes(text) &&
          !/\) Z/.test(readFileSync(`/proc/${name}/stat`, 'latin1'))
        )
      } catch {
        return false
      }
    })
    .map(Number)
}
