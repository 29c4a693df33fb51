import { readFileSync } from 'node:fs'

/** A user that a process is to run as. */
export interface User {
  readonly uid: number
  readonly gid: number
  /** Empty: the system has no name for this id. */
  readonly name: string
  readonly home: string
}

export interface UserFiles {
  readonly passwd: string
  readonly group: string
}

/** The accounts of this machine or image; those of other sources (LDAP) can be named by their ids. */
export function userFiles(): UserFiles {
  return { passwd: textOf('/etc/passwd'), group: textOf('/etc/group') }
}

/** `user`: a name or an id; `group` the same, empty: the one of the user. A text: why there is no such user. */
export function findUser(user: string, group: string, { passwd, group: groups }: UserFiles): User | string {
  const isId = /^\d+$/.test(user)
  const entry = rowsOf(passwd).find(row => row[isId ? 2 : 0] === user)
  if (entry === undefined && !isId) return `there is no user ${user} in /etc/passwd`
  const gid = group === '' ? entry?.[3] : groupId(group, groups)
  if (gid === undefined)
    return group === ''
      ? `/etc/passwd has no user with the id ${user}: name the group as well (--group)`
      : `there is no group ${group} in /etc/group`
  return { uid: Number(entry?.[2] ?? user), gid: Number(gid), name: entry?.[0] ?? '', home: entry?.[5] ?? '' }
}

function groupId(group: string, groups: string): string | undefined {
  return /^\d+$/.test(group) ? group : rowsOf(groups).find(([name]) => name === group)?.[2]
}

function rowsOf(text: string): string[][] {
  return text.split('\n').map(line => line.split(':'))
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
