import type { PageAnswer, PageRequest } from '../page-types.ts'
import { href, html, lines, Markup, type Part } from './markup.ts'
import { stylesheet } from './stylesheet.ts'

// As node:http in server.ts: the built-in module, without loading all its exports.
const { createHash } = process.getBuiltinModule('node:crypto')

/** The page loads nothing and runs nothing except the one stylesheet; forms post to this port only. */
const policy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(stylesheet).digest('base64')}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`

const tabs = ['endpoints', 'flights', 'explain', 'config', 'sync', 'ready', 'metrics', 'log-level']
/** Pages whose content changes by itself. */
const living = ['', 'endpoints', 'flights', 'sync', 'ready']
const REFRESH_SECONDS = 5

/** `name`: of the page, as in its path; empty: the start page. */
export function framed(name: string, request: PageRequest, content: Markup, status = 200): PageAnswer {
  const { query } = request
  const seconds = living.includes(name) ? refreshOf(query) : 0
  const title = name === '' ? 'outrigger' : `${name} - outrigger`
  const body = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title>
${seconds > 0 && html`<meta http-equiv="refresh" content="${seconds}">`}<style>${STYLE}</style></head>
<body><header><b><a href="/">outrigger</a></b>${tabs.map(tab => html`<a href="/${tab}"${tab === name && CURRENT}>${tab}</a>`)}${living.includes(name) && toggle(name, query, seconds)}</header>
<main>${content}</main></body></html>
`
  return { status, type: 'text/html; charset=utf-8', body: body.text, policy }
}

/** The terminal's text, for pages without HTML of their own. */
export function preformatted(text: string): Markup {
  return html`<pre>${lines(text)}</pre>`
}

export function failed(status: number, message: string): Markup {
  return html`<h1>${status}</h1>${box('bad', message)}<p><a href="/">all pages</a></p>`
}

const CURRENT = html` aria-current="page"`
/** The hash in the header is over exactly this text. */
const STYLE = new Markup(stylesheet)

function refreshOf(query: URLSearchParams): number {
  const seconds = Number(query.get('refresh') ?? 0)
  return Number.isInteger(seconds) && seconds >= 1 && seconds <= 3600 ? seconds : 0
}

function toggle(name: string, query: URLSearchParams, seconds: number): Markup {
  const others: Record<string, string> = {}
  for (const [key, value] of query) if (key !== 'refresh') others[key] = value
  const link = href(`/${name}`, { ...others, refresh: seconds > 0 ? null : String(REFRESH_SECONDS) })
  return html`<a class="live" href="${link}">${seconds > 0 ? `stop refreshing (every ${seconds} s)` : `refresh every ${REFRESH_SECONDS} s`}</a>`
}

/** A filter keeps the refresh setting. */
export function keepRefresh(query: URLSearchParams): Markup | null {
  const seconds = refreshOf(query)
  return seconds === 0 ? null : html`<input type="hidden" name="refresh" value="${seconds}">`
}

export interface Column<Row> {
  readonly title: string
  readonly isNumber?: boolean
  /** Cells that need no title on a narrow screen: on a line with others (`inline`) or on their own (`bare`). */
  readonly narrow?: 'inline' | 'bare'
  cell(row: Row): Part
}

/** A table whose rows become cards on a narrow screen. `more`: a second line under a row, over its whole width. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  more: (row: Row) => Markup | null = () => null,
): Markup {
  const head = columns.map(({ title, isNumber }) => html`<th${isNumber === true && NUMBER}>${title}</th>`)
  const body = rows.map(row => {
    const below = more(row)
    const cells = columns.map(column => cellOf(column, row))
    return html`<tr${below !== null && LED}>${cells}</tr>${below !== null && html`<tr class="more"><td colspan="${columns.length}">${below}</td></tr>`}
`
  })
  return html`<table><thead><tr>${head}</tr></thead><tbody>
${body}</tbody></table>`
}

function cellOf<Row>({ title, isNumber = false, narrow, cell }: Column<Row>, row: Row): Markup {
  const classes = `${isNumber ? 'num ' : ''}${narrow === 'inline' ? 'inline' : ''}`.trim()
  return html`<td${classes !== '' && html` class="${classes}"`}${narrow === undefined && html` data-label="${title}"`}>${cell(row)}</td>`
}

const NUMBER = html` class="num"`
const LED = html` class="led"`

export type Tone = 'ok' | 'warn' | 'bad' | ''

export function tag(text: string, tone: Tone): Markup {
  return html`<span class="tag ${tone}">${text}</span>`
}

export function box(tone: Tone, content: Part): Markup {
  return html`<div class="box ${tone}">${content}</div>`
}

export function nothing(content: Part): Markup {
  return html`<p class="none">${content}</p>`
}

export function option(value: string, text: string, chosen: string | null): Markup {
  return html`<option value="${value}"${value === (chosen ?? '') && SELECTED}>${text}</option>`
}

const SELECTED = html` selected`
