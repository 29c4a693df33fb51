import { printable } from '../core/printable.ts'
import { eitherAnswer } from './page.ts'
import type { Page, PageAnswer, PageRequest } from './page-types.ts'
import { columns } from './text.ts'

/** `about`: one line that names this proxy. */
export function startPage(about: () => string, pages: () => readonly Page[]): Page {
  return {
    path: '/',
    methods: ['GET'],
    shows: 'this list',
    answer(request) {
      const list = pages().map(({ path, methods, shows, parameters = '' }) => ({ path, methods, shows, parameters }))
      return eitherAnswer(
        { ...request, format: request.format ?? 'text' },
        '',
        { about: about(), pages: list },
        () => `${printable(about())}\n\n${listText(pages())}\n\n${hint}\n`,
        200,
        async () => (await import('./html/start.ts')).startHtml(about(), pages(), hint),
      )
    },
  }
}

const hint = 'JSON for programs, text for people: -H "accept: text/plain", or ?format=text|json|html'

export function listText(pages: readonly Page[]): string {
  return columns(
    pages.flatMap(({ path, methods, shows, parameters }) => [
      [`  ${methods.join(', ')}`, path, shows],
      ...(parameters === undefined ? [] : [['', '', parameters]]),
    ]),
  )
}

/** For an unknown path: the list of pages. */
export function unknownPage(
  request: PageRequest,
  path: string,
  pages: readonly Page[],
): PageAnswer | Promise<PageAnswer> {
  const error = `there is no page ${path}`
  return eitherAnswer(
    { ...request, format: request.format ?? 'text' },
    '404',
    { error, pages: pages.map(page => page.path) },
    () => `${printable(error)}; there are:\n\n${listText(pages)}\n`,
    404,
    async () => (await import('./html/start.ts')).unknownHtml(error, pages),
  )
}
