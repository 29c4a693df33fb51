import { printable } from '../core/printable.ts'
import { eitherAnswer, escapeHtml, htmlAnswer, htmlPage, type Page, type PageAnswer, type PageRequest } from './page.ts'
import { columns } from './text.ts'

/** `about`: one line that says which proxy this is. */
export function startPage(about: () => string, pages: () => readonly Page[]): Page {
  return {
    path: '/',
    methods: ['GET'],
    shows: 'this list',
    answer(request) {
      if (request.format === 'html') return htmlAnswer(htmlPage('admin', `<p>${escapeHtml(about())}</p>\n${listHtml(pages())}`))
      const list = pages().map(({ path, methods, shows, parameters = '' }) => ({ path, methods, shows, parameters }))
      return eitherAnswer(
        { ...request, format: request.format ?? 'text' },
        'pages',
        { about: about(), pages: list },
        () => `${printable(about())}\n\n${listText(pages())}\n\n${hint}\n`,
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

function listHtml(pages: readonly Page[]): string {
  const row = ({ path, methods, shows, parameters = '' }: Page) => {
    const name = methods.includes('GET') ? `<a href="${path}">${path}</a>` : `${methods.join(', ')} ${path}`
    return `<tr><td>${name}</td><td>${escapeHtml(shows)}<br><small>${escapeHtml(parameters)}</small></td></tr>`
  }
  return `<table>${pages.map(row).join('\n')}</table>\n<p><small>${escapeHtml(hint)}</small></p>`
}

/** For a path that is no page: what there is. */
export function unknownPage(request: PageRequest, path: string, pages: readonly Page[]): PageAnswer {
  const error = `there is no page ${path}`
  return eitherAnswer(
    { ...request, format: request.format ?? 'text' },
    '404',
    { error, pages: pages.map(page => page.path) },
    () => `${printable(error)}; there are:\n\n${listText(pages)}\n`,
    404,
  )
}
