import { expect, test } from 'vitest'
import { findUser } from '../../run/users.ts'

const files = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n',
  group: 'root:x:0:\napp:x:1001:\nweb:x:2000:app\n',
}
const app = { uid: 1000, gid: 1001, name: 'app', home: '/home/app' }

test.each([
  ['app', '', app],
  ['1000', '', app],
  ['app', 'web', { ...app, gid: 2000 }],
  ['app', '77', { ...app, gid: 77 }],
  ['1337', '1337', { uid: 1337, gid: 1337, name: '', home: '' }],
  ['1337', '', '/etc/passwd has no user with the id 1337: name the group as well (--group)'],
  ['nobody-here', '', 'there is no user nobody-here in /etc/passwd'],
  ['app', 'none', 'there is no group none in /etc/group'],
])('%s %s', (user, group, found) => {
  expect(findUser(user, group, files)).toEqual(found)
})
