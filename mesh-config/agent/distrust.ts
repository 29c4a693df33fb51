import { lstatSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Whose a default socket is, where it must not be used; empty: it may be. Another user could have made it, or the folder
 * or link that leads to it, in a folder of all users (`/tmp`): the one would then write policies, or read them.
 */
export function distrust(path: string, uid: number): string {
  for (const place of [dirname(path), path])
    for (const look of [lstatSync, statSync]) {
      let owner: number | undefined
      try {
        owner = look(place, { throwIfNoEntry: false })?.uid
      } catch {
        // Nothing can be seen of it: connecting will say why.
      }
      if (owner !== undefined && owner !== uid && owner !== 0) return `${place} belongs to another user (uid ${owner})`
    }
  return ''
}
