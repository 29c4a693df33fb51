/**
 * The one stylesheet, inline, because the admin port serves no files. Narrow screens show each row of a table as a
 * card, so that no column is cut off.
 */
export const stylesheet = `
:root { color-scheme: light dark; --bg: #fff; --fg: #1c2127; --dim: #5d6773; --line: #d5dae0; --card: #f5f7f9; --link: #0b57c2;
  --ok: #146c2e; --ok-bg: #dff3e4; --warn: #7a4d00; --warn-bg: #fdeecb; --bad: #a11616; --bad-bg: #fce0de }
@media (prefers-color-scheme: dark) { :root { --bg: #14181d; --fg: #e4e8ec; --dim: #9aa5b1; --line: #333b44; --card: #1c2228; --link: #8ab8ff;
  --ok: #7fd69a; --ok-bg: #15331f; --warn: #f0c465; --warn-bg: #3a2d0c; --bad: #ff9d96; --bad-bg: #431b1a } }
* { box-sizing: border-box }
body { margin: 0; background: var(--bg); color: var(--fg); font: 15px/1.5 system-ui, sans-serif; overflow-wrap: break-word }
header, main { padding: .75rem 1.25rem; max-width: 96rem; margin: 0 auto }
header { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; align-items: baseline; border-bottom: 1px solid var(--line) }
header b { margin-right: .5rem } header .live { margin-left: auto }
a { color: var(--link); text-decoration: none } a:hover { text-decoration: underline } a[aria-current] { color: var(--fg); font-weight: 600 }
h1 { font-size: 1.35rem; margin: .75rem 0 } h2 { font-size: 1.1rem; margin: 1.5rem 0 .25rem } h1 small, h2 small { font-weight: 400; font-size: .95rem }
p { margin: .4rem 0 } small, .dim { color: var(--dim) } ul { margin: .3rem 0; padding-left: 1.2rem }
code, pre, .mono { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .9em } pre { white-space: pre-wrap; margin: 0 }
pre, td, small, .box, li { overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem }
th { text-align: left; font-weight: 600; font-size: .8rem; color: var(--dim); white-space: nowrap }
th, td { padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th.num, td.num { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.nb { white-space: nowrap } td small { display: block }
tr.more td { padding-left: 1.5rem; background: var(--card) } tr.led td { border-bottom: 0 }
.tag { display: inline-block; padding: 0 .45rem; border-radius: .6rem; font-size: .85em; white-space: nowrap; background: var(--card); border: 1px solid var(--line) }
.ok { color: var(--ok); background: var(--ok-bg); border-color: transparent } .warn { color: var(--warn); background: var(--warn-bg); border-color: transparent }
.bad { color: var(--bad); background: var(--bad-bg); border-color: transparent }
.box { padding: .5rem .8rem; border-radius: .4rem; margin: .75rem 0 } .none { padding: 1rem; text-align: center; color: var(--dim); background: var(--card); border-radius: .4rem }
form { display: flex; flex-wrap: wrap; gap: .5rem .75rem; align-items: end; margin: .75rem 0; padding: .6rem .8rem; background: var(--card); border-radius: .4rem }
label { display: flex; flex-direction: column; font-size: .8rem; color: var(--dim); min-width: 0 } label.check { flex-direction: row; gap: .35rem; align-items: center; padding-bottom: .35rem }
label.wide { flex: 1 1 16rem }
input, select, button { font: inherit; color: var(--fg); background: var(--bg); border: 1px solid var(--line); border-radius: .3rem; padding: 0 .45rem; height: 1.9rem; max-width: 100%; font-size: .9rem }
label.wide input { width: 100% } button { cursor: pointer } :focus-visible { outline: 2px solid var(--link); outline-offset: 1px }
@media (max-width: 46rem) {
  header, main { padding: .6rem .8rem } header .live { margin-left: 0 }
  table, tbody, tr, td { display: block; width: 100% } thead { display: none }
  tr { padding: .45rem 0; border-bottom: 1px solid var(--line) } tr.led { border-bottom: 0; padding-bottom: 0 } tr.more { padding-top: 0 } tr.more td { padding: .4rem .6rem }
  td, td.num { border: 0; padding: .05rem 0; text-align: left } .nb { white-space: normal } td:empty { display: none }
  td.num { display: inline-block; width: 33%; white-space: normal } td.inline { display: inline-block; width: auto; padding-right: .8rem; vertical-align: middle }
  td[data-label]:not([data-label=""])::before { content: attr(data-label); display: inline-block; min-width: 6.5rem; padding-right: .5rem; color: var(--dim); font: .8rem system-ui, sans-serif }
  td.num[data-label]::before { display: block }
}
`
